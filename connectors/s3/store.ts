// What: the ObjectStore port over S3 and what speaks its protocol.
// Why: sealed segments and manifests become objects here, each written whole or not at all.
// Invariant: the write path reads nothing, so a credential that may only put, abort and list is enough.

import {
  DeleteObjectCommand,
  GetObjectCommand,
  ListObjectsV2Command,
  PutObjectCommand,
} from '@aws-sdk/client-s3';
import type { Clock } from '../../src/kernel/clock.ts';
import type { Logger, Metrics, ObjectInfo, ObjectStore, PutOptions } from '../../src/ports.ts';
import { crc32cBase64 } from './checksum.ts';
import { createBucketClient } from './client.ts';
import { classify, S3Failure } from './fault.ts';
import { encryptionFields, putInParts } from './multipart.ts';
import { probeStore } from './probe.ts';
import { createAgents, sendPut } from './request.ts';
import { createRetrying, type Operation } from './retry.ts';
import type { S3Settings } from './settings.ts';
import { amzDate, encodeKey, type SignedHeaders, sha256Hex, UNSIGNED_PAYLOAD } from './sign.ts';

export interface S3Surroundings {
  readonly clock: Clock;
  readonly metrics: Metrics;
  readonly log: Logger;
}

/** Nothing is sent before the first call; `probe`, or what it `learned` elsewhere, comes before the first `put`. */
export function createS3Store(
  settings: S3Settings,
  around: S3Surroundings,
  openClient: typeof createBucketClient = createBucketClient,
): ObjectStore {
  const { clock, metrics, log } = around;
  const agents = createAgents(settings.connectionsMax);
  const { sdk, direct, credentials, renewCredentials } = openClient(settings, agents);
  const bucket = settings.bucket;
  const labels = { store: 's3' };
  const fixedHeaders = settingsHeaders(settings);
  // Believed until the store shows otherwise: the header does no harm where it is not known.
  let conditionalWrites = settings.learned?.conditionalWrites ?? true;
  let closed = false;
  // The server's clock minus ours, learned when it refuses our dates.
  let skewMs = 0;

  const retrying = createRetrying({
    settings,
    clock,
    metrics,
    log,
    isClosed: () => closed,
    async mend(fault, error) {
      if (fault.kind === 'expired') await renewCredentials();
      if (fault.kind === 'skewed' && error instanceof S3Failure && Number.isFinite(error.serverMs)) {
        skewMs = error.serverMs - clock.nowMs();
        log.warn(
          { skewMs: Math.round(skewMs) },
          "this machine's clock differs from the store's; allowing for it",
        );
      }
    },
  });

  async function putDirectly(
    key: string,
    body: Uint8Array,
    checksum: string,
    conditional: boolean,
    { contentType, signal }: PutOptions,
  ): Promise<void> {
    const { url, basePath, signer } = direct!;
    const path = `${basePath}/${encodeKey(key)}`;
    const identity = await credentials();
    const headers: SignedHeaders = {
      'content-type': contentType,
      host: url.host,
      'x-amz-checksum-crc32c': checksum,
      // Under TLS the checksum and the channel protect the body; in the clear the signature must cover it.
      'x-amz-content-sha256': url.protocol === 'https:' ? UNSIGNED_PAYLOAD : sha256Hex(body),
      'x-amz-date': amzDate(clock.nowMs() + skewMs),
      ...fixedHeaders,
    };
    if (conditional) headers['if-none-match'] = '*';
    if (identity.sessionToken !== undefined) headers['x-amz-security-token'] = identity.sessionToken;
    const authorization = signer.authorization({ method: 'PUT', path, headers }, identity);
    await sendPut(
      {
        url,
        path,
        headers: { ...headers, authorization, 'content-length': body.byteLength, 'user-agent': 'zeptodb' },
        body,
        signal,
        stallMs: settings.stallMs,
      },
      agents,
      clock,
    );
  }

  /** One attempt. */
  async function putThroughSdk(
    key: string,
    body: Uint8Array,
    checksum: string,
    conditional: boolean,
    { contentType, signal }: PutOptions,
  ): Promise<void> {
    const command = new PutObjectCommand({
      Bucket: bucket,
      Key: key,
      Body: body,
      ContentType: contentType,
      ChecksumCRC32C: checksum,
      ...encryptionFields(settings),
      ...(conditional && { IfNoneMatch: '*' }),
    });
    await sdk.send(command, signal === undefined ? {} : { abortSignal: signal });
  }

  const putOnce = direct === null ? putThroughSdk : putDirectly;

  async function putWhole(
    key: string,
    body: Uint8Array,
    conditional: boolean,
    options: PutOptions,
    particular: Pick<Operation, 'answers' | 'patienceMs'>,
  ): Promise<'created' | 'exists'> {
    const checksum = crc32cBase64(body);
    const { signal } = options;
    const operation: Operation = { name: 'put', key, ...particular, ...(signal !== undefined && { signal }) };
    try {
      await retrying.run(operation, () => putOnce(key, body, checksum, conditional, options));
      return 'created';
    } catch (error) {
      if (classify(error).kind === 'exists') return 'exists';
      throw error;
    }
  }

  return {
    async put(key, body, options) {
      const startMs = clock.monotonicMs();
      const result =
        body.byteLength > settings.multipartThresholdBytes
          ? await putInParts(
              { sdk, settings, retrying, clock, abortFailed },
              key,
              body,
              conditionalWrites,
              options,
            )
          : await putWhole(key, body, conditionalWrites, options, { answers: ['exists'] });
      metrics.count('zepto_store_uploads_total', { ...labels, result }, 1);
      if (result === 'created') metrics.count('zepto_store_upload_bytes_total', labels, body.byteLength);
      metrics.observe('zepto_store_upload_seconds', labels, (clock.monotonicMs() - startMs) / 1000);
      return result;
    },

    get(key, signal) {
      const operation: Operation = { name: 'get', key, ...(signal !== undefined && { signal }) };
      return retrying.run(operation, async () => {
        const command = new GetObjectCommand({ Bucket: bucket, Key: key });
        const { Body } = await sdk.send(command, signal === undefined ? {} : { abortSignal: signal });
        return Body === undefined ? new Uint8Array(0) : Body.transformToByteArray();
      });
    },

    async *list(prefix, signal) {
      const operation: Operation = { name: 'list', key: prefix, ...(signal !== undefined && { signal }) };
      let token: string | undefined;
      do {
        const command = new ListObjectsV2Command({
          Bucket: bucket,
          Prefix: prefix,
          ...(token !== undefined && { ContinuationToken: token }),
        });
        const page = await retrying.run(operation, () =>
          sdk.send(command, signal === undefined ? {} : { abortSignal: signal }),
        );
        for (const { Key, Size, ETag } of page.Contents ?? []) {
          yield { key: Key!, size: Size ?? 0, etag: (ETag ?? '').replaceAll('"', '') } satisfies ObjectInfo;
        }
        token = page.IsTruncated ? page.NextContinuationToken : undefined;
      } while (token !== undefined);
    },

    async delete(key) {
      const operation: Operation = { name: 'delete', key, answers: ['denied', 'no-object'] };
      try {
        await retrying.run(operation, () => sdk.send(new DeleteObjectCommand({ Bucket: bucket, Key: key })));
        return true;
      } catch (error) {
        const { kind } = classify(error);
        if (kind === 'no-object') return true;
        if (kind === 'denied') return false;
        throw error;
      }
    },

    async probe(prefix) {
      conditionalWrites = await probeStore(prefix, (key, body, conditional, answers) =>
        putWhole(
          key,
          body,
          conditional,
          { contentType: 'text/plain' },
          { answers, patienceMs: settings.probePatienceMs },
        ),
      );
      return { conditionalWrites };
    },

    async close() {
      closed = true;
      sdk.destroy();
      agents.http.destroy();
      agents.https.destroy();
    },
  };

  function abortFailed(key: string, error: unknown): void {
    const reason = error instanceof Error ? error.message : String(error);
    metrics.count(
      'zepto_store_failures_total',
      { ...labels, operation: 'abort-upload', code: 'given-up' },
      1,
    );
    log.warn(
      { bucket, key, reason },
      'parts of an upload may be left behind; a lifecycle rule (AbortIncompleteMultipartUpload) removes them',
    );
  }
}

function settingsHeaders({ encryption, storageClass }: S3Settings): SignedHeaders {
  const headers: SignedHeaders = {};
  if (encryption.kind === 'sse-s3') headers['x-amz-server-side-encryption'] = 'AES256';
  if (encryption.kind === 'sse-kms') {
    headers['x-amz-server-side-encryption'] = 'aws:kms';
    if (encryption.keyId !== null) headers['x-amz-server-side-encryption-aws-kms-key-id'] = encryption.keyId;
  }
  if (storageClass !== null) headers['x-amz-storage-class'] = storageClass;
  return headers;
}
