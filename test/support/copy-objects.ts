// What: copies the objects below a key prefix to a folder, keys as paths.
// Why: readers are tested on files; whether each of them speaks S3 is not ours to test.
// Invariant: every object that was listed is in the folder when it resolves.

import { mkdir, writeFile } from 'node:fs/promises';
import { dirname, join } from 'node:path';
import { GetObjectCommand, paginateListObjectsV2 } from '@aws-sdk/client-s3';
import type { S3Connection } from '../../services/s3.ts';
import { s3Client } from './ledger.ts';

const LANES = 16;

/** Returns the keys. */
export async function copyObjects(s3: S3Connection, prefix: string, folder: string): Promise<string[]> {
  const client = s3Client(s3);
  const keys: string[] = [];
  for await (const page of paginateListObjectsV2({ client }, { Bucket: s3.bucket, Prefix: prefix }))
    keys.push(...(page.Contents ?? []).map(({ Key }) => Key!));
  const waiting = keys.values();
  const lane = async (): Promise<void> => {
    for (const key of waiting) {
      const path = join(folder, key);
      await mkdir(dirname(path), { recursive: true });
      const object = await client.send(new GetObjectCommand({ Bucket: s3.bucket, Key: key }));
      await writeFile(path, await object.Body!.transformToByteArray());
    }
  };
  await Promise.all(Array.from({ length: LANES }, lane));
  client.destroy();
  return keys;
}
