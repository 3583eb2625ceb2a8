// What: a large object in parts.
// Why: one PUT is limited and starts over from the first byte when its connection breaks; a part starts over alone.
// Invariant: an upload ends completed or aborted; parts are not left behind by anything but the death of the process.

import {
  AbortMultipartUploadCommand,
  type CompletedPart,
  CompleteMultipartUploadCommand,
  CreateMultipartUploadCommand,
  type S3Client,
  UploadPartCommand,
} from '@aws-sdk/client-s3';
import type { Clock } from '../../src/kernel/clock.ts';
import type { PutOptions } from '../../src/ports.ts';
import { crc32cBase64 } from './checksum.ts';
import { classify } from './fault.ts';
import { unavailable } from './refusal.ts';
import type { Retrying } from './retry.ts';
import type { S3Settings } from './settings.ts';

/** An upload that the server forgot, or parts of it, is begun this often. */
const BEGINNINGS_MAX = 5;
const ABORT_PATIENCE_MS = 5_000;
const PARTS_MAX = 10_000;

export interface Multipart {
  readonly sdk: S3Client;
  readonly settings: S3Settings;
  readonly retrying: Retrying;
  readonly clock: Clock;
  /** Best effort failed: parts may be left until the bucket's lifecycle rule takes them. */
  abortFailed(key: string, error: unknown): void;
}

export async function putInParts(
  multipart: Multipart,
  key: string,
  body: Uint8Array,
  conditional: boolean,
  options: PutOptions,
): Promise<'created' | 'exists'> {
  const { clock, settings } = multipart;
  const startMs = clock.monotonicMs();
  for (let beginning = 1; ; beginning += 1) {
    try {
      return await upload(multipart, key, body, conditional, options);
    } catch (error) {
      // NoSuchUpload after a lost acknowledgement may mean that it was completed: from the start, it ends as 'exists'.
      const fault = classify(error);
      if (fault.kind !== 'no-upload') throw error;
      if (beginning < BEGINNINGS_MAX) continue;
      const spentMs = clock.monotonicMs() - startMs;
      throw unavailable({ name: 'complete-upload', key }, fault, error, settings, beginning, spentMs);
    }
  }
}

async function upload(
  { sdk, settings, retrying, abortFailed }: Multipart,
  key: string,
  body: Uint8Array,
  conditional: boolean,
  { contentType, signal }: PutOptions,
): Promise<'created' | 'exists'> {
  const target = { Bucket: settings.bucket, Key: key };
  const sending = signal === undefined ? {} : { abortSignal: signal };
  const operation = { key, ...(signal !== undefined && { signal }) };

  const { UploadId } = await retrying.run({ ...operation, name: 'create-upload' }, () =>
    sdk.send(
      new CreateMultipartUploadCommand({
        ...target,
        ContentType: contentType,
        ChecksumAlgorithm: 'CRC32C',
        ...encryptionFields(settings),
      }),
      sending,
    ),
  );
  const uploaded = { ...target, UploadId };

  const partBytes = Math.max(settings.partBytes, Math.ceil(body.byteLength / PARTS_MAX));
  const count = Math.ceil(body.byteLength / partBytes);
  const parts: CompletedPart[] = new Array(count);
  let next = 0;
  let failed = false;

  async function lane(): Promise<void> {
    while (next < count && !failed) {
      const index = next++;
      const part = body.subarray(index * partBytes, (index + 1) * partBytes);
      const ChecksumCRC32C = crc32cBase64(part);
      const PartNumber = index + 1;
      const { ETag } = await retrying.run({ ...operation, name: 'part', answers: ['no-upload'] }, () =>
        sdk.send(new UploadPartCommand({ ...uploaded, PartNumber, Body: part, ChecksumCRC32C }), sending),
      );
      parts[index] = { PartNumber, ChecksumCRC32C, ...(ETag !== undefined && { ETag }) };
    }
  }

  async function abandon(): Promise<void> {
    const abort = {
      name: 'abort-upload',
      key,
      patienceMs: ABORT_PATIENCE_MS,
      answers: ['no-upload'],
    } as const;
    try {
      // Without the caller's signal: it is often what brought us here.
      await retrying.run(abort, () => sdk.send(new AbortMultipartUploadCommand(uploaded)));
    } catch (error) {
      if (classify(error).kind !== 'no-upload') abortFailed(key, error);
    }
  }

  const lanes = Array.from({ length: Math.min(settings.partConcurrency, count) }, () =>
    lane().catch((error: unknown) => {
      failed = true;
      throw error;
    }),
  );
  // A part in flight could arrive after the abort: wait for all of them first.
  const outcomes = await Promise.allSettled(lanes);
  try {
    for (const outcome of outcomes) if (outcome.status === 'rejected') throw outcome.reason;
    await retrying.run({ ...operation, name: 'complete-upload', answers: ['exists', 'no-upload'] }, () =>
      sdk.send(
        new CompleteMultipartUploadCommand({
          ...uploaded,
          MultipartUpload: { Parts: parts },
          ...(conditional && { IfNoneMatch: '*' }),
        }),
        sending,
      ),
    );
    return 'created';
  } catch (error) {
    await abandon();
    if (classify(error).kind === 'exists') return 'exists';
    throw error;
  }
}

/** Fields of PutObject and CreateMultipartUpload. */
export function encryptionFields(settings: S3Settings): {
  ServerSideEncryption?: 'AES256' | 'aws:kms';
  SSEKMSKeyId?: string;
  StorageClass?: 'STANDARD';
} {
  const { encryption, storageClass } = settings;
  return {
    ...(encryption.kind === 'sse-s3' && { ServerSideEncryption: 'AES256' }),
    ...(encryption.kind === 'sse-kms' && { ServerSideEncryption: 'aws:kms' }),
    ...(encryption.kind === 'sse-kms' && encryption.keyId !== null && { SSEKMSKeyId: encryption.keyId }),
    // The SDK's type lists the classes of its day; the server knows its own.
    ...(storageClass !== null && { StorageClass: storageClass as 'STANDARD' }),
  };
}
