// What: a producer of ticks that know their own number, and the count of those numbers in what the members left.
// Why: the proof of exactly-once must come from outside: ids given at the source, files read by DuckDB.
// Invariant: only acknowledged records count as produced; a record that may have been written is written again never.

import { mkdir, readdir, readFile, writeFile } from 'node:fs/promises';
import { dirname, join } from 'node:path';
import { setTimeout as sleep } from 'node:timers/promises';
import { GetObjectCommand, ListObjectsV2Command, S3Client } from '@aws-sdk/client-s3';
import { DuckDBInstance } from '@duckdb/node-api';
import { Kafka, logLevel, Partitioners } from 'kafkajs';
import { uncompressSync } from 'lz4-napi';
import type { S3Connection } from '../../services/s3.ts';

export const ledgerTable = {
  columns: [
    { name: 'timestamp', type: 'TIMESTAMP_NS' },
    { name: 'symbol', type: 'SYMBOL' },
    { name: 'price', type: 'INT64', scale: 4 },
    { name: 'id', type: 'INT64' },
  ],
};

export interface LedgerOptions {
  readonly brokers: string;
  readonly topic: string;
  readonly partitions: number;
  /** Event times spread over this many hours before now, rising; some are late by up to two hours. */
  readonly hours: number;
}

/** Publishes ticks with ids 0, 1, 2 …; every 500th record is undecodable. */
export class Ledger {
  /** Ids of good ticks that the broker acknowledged. */
  produced = 0;
  undecodable = 0;
  private readonly options: LedgerOptions;
  private readonly kafka: Kafka;
  private isStopped = false;
  private isPaused = false;
  /** The send under way. */
  private sending: Promise<unknown> = Promise.resolve();
  private running: Promise<void> = Promise.resolve();

  constructor(options: LedgerOptions) {
    this.options = options;
    this.kafka = new Kafka({ brokers: [options.brokers], clientId: 'ledger', logLevel: logLevel.ERROR });
  }

  async createTopic(config: Readonly<Record<string, string>> = {}): Promise<void> {
    const admin = this.kafka.admin();
    await admin.connect();
    const { topic, partitions } = this.options;
    const configEntries = Object.entries(config).map(([name, value]) => ({ name, value }));
    await admin.createTopics({ topics: [{ topic, numPartitions: partitions, configEntries }] });
    await admin.disconnect();
  }

  /** Publishes `perSecond` records a second until `stop`, or `total` as fast as possible. */
  start(rate: { readonly perSecond: number } | { readonly total: number }): Promise<void> {
    this.running = this.run(rate);
    return this.running;
  }

  async stop(): Promise<void> {
    this.isStopped = true;
    await this.running;
  }

  /** Nothing is published until `resume`; resolves when nothing is on its way. */
  async pause(): Promise<void> {
    this.isPaused = true;
    await this.sending;
  }

  resume(): void {
    this.isPaused = false;
  }

  private async run(rate: { readonly perSecond: number } | { readonly total: number }): Promise<void> {
    // Idempotent: a retried send is not a second record.
    const producer = this.kafka.producer({
      idempotent: true,
      maxInFlightRequests: 1,
      createPartitioner: Partitioners.DefaultPartitioner,
      retry: { retries: 100, maxRetryTime: 5_000 },
    });
    await producer.connect();
    const startedAt = Date.now();
    const total = 'total' in rate ? rate.total : Number.POSITIVE_INFINITY;
    while (!this.isStopped && this.produced + this.undecodable < total) {
      const made = this.produced + this.undecodable;
      const due =
        'total' in rate ? 5_000 : Math.floor(((Date.now() - startedAt) / 1000) * rate.perSecond) - made;
      const count = Math.min(5_000, due, total - made);
      if (count <= 0 || this.isPaused) {
        await sleep(10);
        continue;
      }
      let good = 0;
      const messages = Array.from({ length: count }, (_, i) => {
        if ((made + i) % 500 === 499) return { key: 'S0', value: `{"symbol":"S0","id":` };
        return this.message(this.produced + good++);
      });
      const sent = producer.send({ topic: this.options.topic, messages });
      this.sending = sent.catch(() => {});
      await sent;
      this.produced += good;
      this.undecodable += count - good;
    }
    await producer.disconnect();
  }

  private message(id: number): { key: string; value: string } {
    const symbol = `S${id % LEDGER_SYMBOLS}`;
    const nowMs = Date.now();
    const step = (this.options.hours * 3_600_000) / 200_000;
    const lateMs = id % 97 === 0 ? (id % 7) * 1_100_000 : 0;
    const ms = Math.floor(nowMs - this.options.hours * 3_600_000 + (id % 200_000) * step - lateMs);
    const ns = `${ms}${String(id % 1_000_000).padStart(6, '0')}`;
    const value = `{"timestamp":${ns},"symbol":"${symbol}","price":${(100 + (id % 1000) / 100).toFixed(2)},"id":${id}}`;
    return { key: symbol, value };
  }
}

export interface Found {
  readonly rows: number;
  readonly distinct: number;
  /** Different pairs of (symbol of the file, symbol that the id was given): as many as there are symbols. */
  readonly pairs: number;
}

export const LEDGER_SYMBOLS = 11;

/** Counts ids in the Parquet objects below the prefix, wherever they come from. */
export async function countParquet(s3: S3Connection, prefix: string, folder: string): Promise<Found> {
  const client = s3Client(s3);
  const keys: string[] = [];
  let token: string | undefined;
  do {
    const page = await client.send(
      new ListObjectsV2Command({
        Bucket: s3.bucket,
        Prefix: `${prefix}/year=`,
        ...(token === undefined ? {} : { ContinuationToken: token }),
      }),
    );
    keys.push(...(page.Contents ?? []).map(({ Key }) => Key!));
    token = page.NextContinuationToken;
  } while (token !== undefined);
  const waiting = keys.values();
  const lane = async (): Promise<void> => {
    for (const key of waiting) {
      const path = join(folder, key);
      await mkdir(dirname(path), { recursive: true });
      const object = await client.send(new GetObjectCommand({ Bucket: s3.bucket, Key: key }));
      await writeFile(path, await object.Body!.transformToByteArray());
    }
  };
  await Promise.all(Array.from({ length: 16 }, lane));
  client.destroy();
  if (keys.length === 0) return { rows: 0, distinct: 0, pairs: 0 };
  return countIds(`read_parquet('${join(folder, prefix)}/**/*.parquet', hive_partitioning = true)`);
}

/** Counts ids in all `.bin` segment folders below the base. */
export async function countBin(base: string): Promise<Found> {
  const seen = new Set<bigint>();
  const pairs = new Set<string>();
  let rows = 0;
  for (const symbol of await readdir(base)) {
    if (!/^\d+$/.test(symbol)) continue;
    for (const hour of await readdir(join(base, symbol))) {
      for (const id of idsOf(await readFile(join(base, symbol, hour, 'id.bin')))) {
        rows++;
        seen.add(id);
        pairs.add(`${symbol} ${id % BigInt(LEDGER_SYMBOLS)}`);
      }
    }
  }
  return { rows, distinct: seen.size, pairs: pairs.size };
}

/** The int64 column of a `.bin` file, by the documented layout and not by the code under test. */
function idsOf(file: Buffer): BigInt64Array {
  const rows = Number(file.readBigUInt64LE(8));
  const payload = file.subarray(32);
  const size = Buffer.alloc(4);
  size.writeUInt32LE(rows * 8);
  const raw = file[7] === 1 ? uncompressSync(Buffer.concat([size, payload])) : payload;
  return new BigInt64Array(new Uint8Array(raw).buffer, 0, rows);
}

async function countIds(from: string): Promise<Found> {
  const instance = await DuckDBInstance.create(':memory:');
  const connection = await instance.connect();
  const answer = await connection.runAndReadAll(
    `SELECT count(*)::DOUBLE, count(DISTINCT id)::DOUBLE, count(DISTINCT (symbol, id % ${LEDGER_SYMBOLS}))::DOUBLE FROM ${from}`,
  );
  const [rows, distinct, pairs] = answer.getRows()[0] as [number, number, number];
  connection.closeSync();
  instance.closeSync();
  return { rows, distinct, pairs };
}

/** Dead letters in `{topic}.dlq`, as a read-committed consumer sees them. */
export async function countDeadLetters(brokers: string, topic: string, expected: number): Promise<number> {
  const kafka = new Kafka({ brokers: [brokers], clientId: 'ledger', logLevel: logLevel.ERROR });
  const consumer = kafka.consumer({ groupId: `count-${topic}-${Date.now()}`, readUncommitted: false });
  await consumer.connect();
  await consumer.subscribe({ topic: `${topic}.dlq`, fromBeginning: true });
  let count = 0;
  let lastAt = Date.now();
  await consumer.run({
    autoCommit: false,
    eachMessage: async () => {
      count++;
      lastAt = Date.now();
    },
  });
  const giveUpAt = Date.now() + 30_000;
  // Beyond the expected count it goes on listening for a while: one too many would be a doubled one.
  while (Date.now() < giveUpAt && (count < expected || Date.now() - lastAt < 1_500)) await sleep(50);
  await consumer.disconnect();
  return count;
}

export function s3Client(s3: S3Connection): S3Client {
  return new S3Client({
    endpoint: s3.endpoint,
    region: s3.region,
    forcePathStyle: true,
    credentials: { accessKeyId: s3.accessKeyId, secretAccessKey: s3.secretAccessKey },
  });
}
