// What: counts what stands in the bucket, with DuckDB, from the Parquet objects alone.
// Why: the demo's verdict must come from the files that users read, not from the engine's own counters.
// Invariant: reads every object of a table's prefix, whichever plan wrote it.

import { mkdir, writeFile } from 'node:fs/promises';
import { dirname, join } from 'node:path';
import { DuckDBInstance } from '@duckdb/node-api';
import type { ObjectStore } from '../src/ports.ts';

export interface TableAudit {
  readonly rows: number;
  /** Different values of `seq`. */
  readonly distinct: number;
  readonly objects: number;
  readonly bytes: number;
}

/** Copies the objects below `prefix` to `folder` and counts their rows. */
export async function auditTable(store: ObjectStore, prefix: string, folder: string): Promise<TableAudit> {
  let objects = 0;
  let bytes = 0;
  const waiting: Promise<void>[] = [];
  for await (const { key, size } of store.list(`${prefix}/year=`)) {
    objects++;
    bytes += size;
    waiting.push(copy(store, key, join(folder, key)));
    if (waiting.length >= 16) await Promise.all(waiting.splice(0));
  }
  await Promise.all(waiting);
  if (objects === 0) return { rows: 0, distinct: 0, objects, bytes };
  const instance = await DuckDBInstance.create(':memory:');
  const connection = await instance.connect();
  const files = `'${join(folder, prefix)}/**/*.parquet'`;
  const result = await connection.runAndReadAll(
    `SELECT count(*)::DOUBLE, count(DISTINCT seq)::DOUBLE FROM read_parquet(${files}, hive_partitioning = true)`,
  );
  const [rows, distinct] = result.getRows()[0] as [number, number];
  connection.closeSync();
  instance.closeSync();
  return { rows, distinct, objects, bytes };
}

async function copy(store: ObjectStore, key: string, path: string): Promise<void> {
  await mkdir(dirname(path), { recursive: true });
  await writeFile(path, await store.get(key));
}
