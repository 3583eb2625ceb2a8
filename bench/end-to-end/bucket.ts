// What: what stands in the bucket below a prefix: files, bytes, and the sums that DuckDB reads from them.
// Why: the verdict on a sink comes from its objects, read by somebody else's reader.
// Invariant: every Parquet object below the prefix is read.

import { mkdir, writeFile } from 'node:fs/promises';
import { dirname, join } from 'node:path';
import { GetObjectCommand, paginateListObjectsV2, S3Client } from '@aws-sdk/client-s3';
import { DuckDBInstance } from '@duckdb/node-api';
import type { S3Connection } from '../../services/s3.ts';
import type { Sums } from './ticks.ts';

const LANES = 8;

export interface Bucket extends Sums {
  readonly files: number;
  readonly bytes: number;
}

/** Copies the objects to `folder` and reads them there. */
export async function bucketSums(s3: S3Connection, prefix: string, folder: string): Promise<Bucket> {
  const client = new S3Client({ ...s3, forcePathStyle: true, credentials: s3 });
  const keys: string[] = [];
  let bytes = 0;
  for await (const page of paginateListObjectsV2({ client }, { Bucket: s3.bucket, Prefix: `${prefix}/` }))
    for (const { Key = '', Size = 0 } of page.Contents ?? []) {
      if (!Key.endsWith('.parquet')) continue;
      keys.push(Key);
      bytes += Size;
    }
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
  const sums =
    keys.length === 0 ? { rows: 0, volume: 0, symbolRows: [] } : await parquetSums(join(folder, prefix));
  return { ...sums, files: keys.length, bytes };
}

async function parquetSums(folder: string): Promise<Sums> {
  const instance = await DuckDBInstance.create(':memory:');
  const connection = await instance.connect();
  const answer = await connection.runAndReadAll(
    `SELECT count(*)::DOUBLE AS rows, sum(volume)::DOUBLE AS volume
     FROM read_parquet('${folder}/**/*.parquet', hive_partitioning = true) GROUP BY symbol ORDER BY rows`,
  );
  const bySymbol = answer.getRows() as [number, number][];
  connection.closeSync();
  instance.closeSync();
  return {
    rows: bySymbol.reduce((sum, [rows]) => sum + rows, 0),
    volume: bySymbol.reduce((sum, [, volume]) => sum + volume, 0),
    symbolRows: bySymbol.map(([rows]) => rows),
  };
}
