// What: the data set of the end-to-end benchmarks: one hour of trades of 50 symbols, in each format of one tick a record.
// Why: the same ticks in every format and for every peer make their figures comparable.
// Invariant: tick i is the same in every run and format; `checkSums` knows what a reader must find.

import { once } from 'node:events';
import { createServer } from 'node:http';
import type { AddressInfo } from 'node:net';
import { assert } from '../../src/kernel/assert.ts';

/** One tick a record. */
export type RecordFormat = 'json' | 'binary' | 'avro';
/** `arrow`: thousands of ticks a record, see arrow-ticks.ts. */
export type TickFormat = RecordFormat | 'arrow';

export const SYMBOLS = 50;
/** 2024-03-21 12:00 UTC. A record every 600 µs on average: six million fit the hour. */
export const START_NS = 1_711_022_400_000_000_000n;
const STEP_NS = 600_000;
export const RECORDS_MAX = 5_900_000;

/** Nanoseconds from tick to tick: the usual ones, or as few as keep `records` ticks within the hour. */
export function stepWithinHourNs(records: number): number {
  return Math.min(STEP_NS, Math.floor(3_599e9 / (records + 1)));
}

export const symbolNames: readonly string[] = Array.from(
  { length: SYMBOLS },
  (_, i) => `S${String(i).padStart(2, '0')}`,
);

export interface TickWriter {
  /** The next tick's symbol, which is also its record's key. */
  readonly symbol: () => number;
  /** Writes the next tick at `at` and returns where it ends. At most 96 bytes. */
  readonly write: (to: Buffer, at: number) => number;
}

export interface Sums {
  readonly rows: number;
  readonly volume: number;
  /** Rows of each symbol, fewest first: ids differ from run to run. */
  readonly symbolRows: readonly number[];
}

/** What the topic holds, and so must the reader. @throws when it does not. */
export function checkSums(who: string, found: Sums, records: number): void {
  const text = ({ rows, volume, symbolRows }: Sums): string => JSON.stringify({ rows, volume, symbolRows });
  const expected = text(sums(records));
  assert(text(found) === expected, `${who} holds ${text(found)} instead of ${expected}`);
}

/** Of the first `records` ticks, exact. */
function sums(records: number): Sums {
  let volume = 0;
  const symbolRows = new Int32Array(SYMBOLS);
  for (let i = 0; i < records; i++) {
    const hash = mixed(i);
    volume += volumeOf(hash);
    symbolRows[hash % SYMBOLS]!++;
  }
  return { rows: records, volume, symbolRows: [...symbolRows.filter((rows) => rows > 0).sort()] };
}

/** The tick that `next()` has made; fields are functions, so that a format pays for what it writes only. */
export interface Tick {
  /** Steps to the next tick, the first at the start; its symbol. */
  readonly next: () => number;
  readonly symbol: () => number;
  /** In hundredths. */
  readonly price: () => number;
  readonly volume: () => number;
  /** Since START_NS. */
  readonly elapsedNs: () => number;
}

export function ticksFromStart(stepNs = STEP_NS): Tick {
  const prices = Float64Array.from(symbolNames, (_, i) => 2_000 + i * 500);
  let index = -1;
  let hash = 0;
  let symbol = 0;
  return {
    next: () => {
      hash = mixed(++index);
      symbol = hash % SYMBOLS;
      // Within 2 to 999.99 units.
      prices[symbol] = Math.min(99_999, Math.max(200, prices[symbol]! + ((hash >>> 8) % 5) - 2));
      return symbol;
    },
    symbol: () => symbol,
    price: () => prices[symbol]!,
    volume: () => volumeOf(hash),
    elapsedNs: () => index * stepNs + ((hash >>> 4) % stepNs),
  };
}

/** Ticks 0, 1, 2 …; `symbol()` before each `write()`. */
export function tickWriter(format: RecordFormat, stepNs?: number): TickWriter {
  const tick = ticksFromStart(stepNs);
  return { symbol: tick.next, write: writers[format](tick) };
}

type Write = TickWriter['write'];

const START_SECONDS = Number(START_NS / 1_000_000_000n);

const writers: Readonly<Record<RecordFormat, (tick: Tick) => Write>> = {
  json: (tick) => (to, at) => {
    const price = tick.price();
    const elapsed = tick.elapsedNs();
    const seconds = START_SECONDS + Math.floor(elapsed / 1e9);
    const nanos = String(elapsed % 1e9).padStart(9, '0');
    const decimals = String(price % 100).padStart(2, '0');
    const text = `{"symbol":"${symbolNames[tick.symbol()]}","price":${Math.floor(price / 100)}.${decimals},"volume":${tick.volume()},"timestamp":${seconds}${nanos}}`;
    return at + to.write(text, at, 'latin1');
  },
  binary: (tick) => (to, at) => {
    to.writeUInt32LE(tick.symbol(), at);
    to.writeBigInt64LE(BigInt(tick.price() * 100), at + 4);
    to.writeBigInt64LE(BigInt(tick.volume()), at + 12);
    return to.writeBigInt64LE(START_NS + BigInt(tick.elapsedNs()), at + 20);
  },
  avro: (tick) => (to, start) => {
    let at = to.writeInt32BE(SCHEMA_ID, to.writeUInt8(0, start));
    const name = symbolNames[tick.symbol()]!;
    at = avroLong(to, at, BigInt(name.length));
    at += to.write(name, at, 'latin1');
    at = avroLong(to, at, BigInt(tick.price() * 100));
    at = avroLong(to, at, BigInt(tick.volume()));
    return avroLong(to, at, START_NS + BigInt(tick.elapsedNs()));
  },
};

const SCHEMA_ID = 1;
export const AVRO_SCHEMA = {
  type: 'record',
  name: 'Trade',
  fields: [
    { name: 'symbol', type: 'string' },
    { name: 'price', type: 'long' },
    { name: 'volume', type: 'long' },
    { name: 'timestamp', type: 'long' },
  ],
};

/** Zigzag varint of a non-negative number. */
function avroLong(to: Buffer, start: number, value: bigint): number {
  let rest = value << 1n;
  let at = start;
  while (rest > 0x7fn) {
    to[at++] = Number(rest & 0x7fn) | 0x80;
    rest >>= 7n;
  }
  to[at++] = Number(rest);
  return at;
}

/** The one answer of a schema registry that the Avro ticks need. */
export async function startSchemaRegistry(): Promise<{ readonly url: string; close(): void }> {
  const server = createServer((_, answer) => {
    answer.setHeader('content-type', 'application/vnd.schemaregistry.v1+json');
    answer.end(JSON.stringify({ schema: JSON.stringify(AVRO_SCHEMA) }));
  });
  server.listen(0, '127.0.0.1');
  await once(server, 'listening');
  return {
    url: `http://127.0.0.1:${(server.address() as AddressInfo).port}`,
    close: () => {
      server.closeAllConnections();
      server.close();
    },
  };
}

/** A 31-bit hash of a number (the finalizer of MurmurHash3). */
function mixed(index: number): number {
  let hash = index + 1;
  hash = Math.imul(hash ^ (hash >>> 16), 0x85ebca6b);
  hash = Math.imul(hash ^ (hash >>> 13), 0xc2b2ae35);
  return (hash ^ (hash >>> 16)) & 0x7fffffff;
}

function volumeOf(hash: number): number {
  return 100 * (1 + ((hash >>> 12) % 20));
}
