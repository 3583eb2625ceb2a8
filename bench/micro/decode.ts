// What: record batches in memory → rows in the store, by format, on one thread; beside the usual libraries on the same bytes.
// Why: this is what a tick costs a shard once its bytes are there; the rest of `ingest` is the network and the broker.
// Invariant: rows, sums and rows of each symbol are checked after every run; medians of runs that take turns.

import { tableFromIPC } from 'apache-arrow';
import avsc from 'avsc';
import { createDecoder } from '../../connectors/decode/decoder.ts';
import { RecordBatchReader } from '../../connectors/kafka/record-batch.ts';
import { pieceEnd, RowBuffer } from '../../src/columns/batch.ts';
import { ColumnMemory } from '../../src/columns/column-memory.ts';
import { SymbolTable } from '../../src/columns/symbols.ts';
import { tradesTable } from '../../src/config/tables.ts';
import { systemClock } from '../../src/kernel/clock.ts';
import type { FieldMap, RecordFormat, RowDecoder } from '../../src/ports.ts';
import { SlabPool } from '../../src/store/arena.ts';
import { freeRows, HotPartition, type HourRows } from '../../src/store/hot.ts';
import { collectorsOf } from '../end-to-end/publish.ts';
import {
  AVRO_SCHEMA,
  checkSums,
  SYMBOLS,
  stepWithinHourNs,
  symbolNames,
  type TickFormat,
} from '../end-to-end/ticks.ts';
import { type BenchOptions, median } from '../report.ts';

const RECORDS = 1_000_000;
/** One partition's share of a response, as the source asks for it. */
const FETCH_BYTES = 4 * 2 ** 20;

/** One format's ticks as the broker sends them: shares of whole record batches. */
interface Prepared {
  readonly shares: readonly Buffer[];
  readonly records: number;
}

interface Found {
  rows: number;
  volume: number;
  readonly symbolRows: Int32Array;
}

interface Took {
  readonly positionsMs: number;
  readonly decodeMs: number;
  readonly appendMs: number;
}

export async function run(options: BenchOptions): Promise<void> {
  const { print, runs = 11, records = RECORDS } = options;
  print({ bench: 'decode', records, runs });
  for (const format of ['json', 'avro', 'binary', 'arrow'] as const) {
    if (options.only !== undefined && !options.only.includes(format)) continue;
    const prepared = prepare(format, records);
    const ours = toStore(format);
    const tookMs: Took[] = [];
    const baselineMs: number[] = [];
    for (let round = -3; round < runs; round++) {
      const took = await ours(prepared);
      const startMs = systemClock.monotonicMs();
      const found = baselines[format](prepared);
      const baseline = systemClock.monotonicMs() - startMs;
      check(`${format} by its library`, found, records);
      if (round < 0) continue;
      tookMs.push(took);
      baselineMs.push(baseline);
    }
    const nanos = (ms: readonly number[]): number => Math.round((median(ms) * 1e7) / records) / 10;
    const sum = tookMs.map(({ positionsMs, decodeMs, appendMs }) => positionsMs + decodeMs + appendMs);
    print({
      case: format,
      nanosPerRow: nanos(sum),
      positionsNanos: nanos(tookMs.map(({ positionsMs }) => positionsMs)),
      decodeNanos: nanos(tookMs.map(({ decodeMs }) => decodeMs)),
      appendNanos: nanos(tookMs.map(({ appendMs }) => appendMs)),
      rowsPerSecond: Math.round((records / median(sum)) * 1e3),
      libraryNanos: nanos(baselineMs),
      timesFaster: Math.round((median(baselineMs) / median(sum)) * 10) / 10,
    });
  }
}

function prepare(format: TickFormat, records: number): Prepared {
  const { next, collector } = collectorsOf(format, stepWithinHourNs(records));
  const batches = collector(systemClock.nowMs());
  const shares: Buffer[] = [];
  let share: Buffer[] = [];
  let offset = 0;
  const take = (): void => {
    const batch = batches.finish();
    if (batch === null) return;
    batch.writeBigInt64BE(BigInt(offset), 0);
    offset += batch.readInt32BE(57);
    share.push(batch);
  };
  for (let i = 0; i < records; i++) {
    next();
    batches.add();
    if (batches.isFull()) take();
    if (share.reduce((sum, { length }) => sum + length, 0) < FETCH_BYTES) continue;
    shares.push(Buffer.concat(share));
    share = [];
  }
  take();
  if (share.length > 0) shares.push(Buffer.concat(share));
  return { shares, records };
}

const check = (who: string, { rows, volume, symbolRows }: Found, records: number): void =>
  checkSums(who, { rows, volume, symbolRows: [...symbolRows].filter((count) => count > 0).sort() }, records);

// ---------------------------------------------------------------------------------------------------------
// Ours: what a shard does with a response

/** Of the rows of one format, and of those on their way. */
const MEMORY_BYTES = 2 ** 31;

const fields: FieldMap = { names: {}, timeUnit: 'ns', scaledNumbers: 'scaled' };
const formats: Readonly<Record<TickFormat, RecordFormat>> = {
  json: { kind: 'json', fields: { ...fields, scaledNumbers: 'value' } },
  avro: { kind: 'avro', fields },
  binary: { kind: 'binary' },
  arrow: { kind: 'arrow', fields },
};

function toStore(format: TickFormat): (prepared: Prepared) => Promise<Took> {
  const symbols = new SymbolTable();
  for (const [id, name] of symbolNames.entries()) symbols.learn(name, id);
  const schemas = { avroSchema: async () => ({ schema: JSON.stringify(AVRO_SCHEMA), references: [] }) };
  const decoder = createDecoder(
    { topic: 'ticks', table: tradesTable, format: formats[format] },
    symbols,
    schemas,
  );
  const memory = ColumnMemory.reserve(MEMORY_BYTES);
  const rows = new RowBuffer(tradesTable, undefined, undefined, memory);
  const pool = new SlabPool(memory);
  const reader = new RecordBatchReader();
  return async (prepared) => {
    const hot = new HotPartition(tradesTable, pool);
    const took = await takeAll(prepared, reader, decoder, rows, hot);
    const hours = hot.clear();
    check(format, sumsOf(hours), prepared.records);
    freeRows(hours);
    return took;
  };
}

async function takeAll(
  { shares }: Prepared,
  reader: RecordBatchReader,
  decoder: RowDecoder,
  rows: RowBuffer,
  hot: HotPartition,
): Promise<Took> {
  const took = { positionsMs: 0, decodeMs: 0, appendMs: 0 };
  let fetchOffset = 0;
  let beforeMs = systemClock.monotonicMs();
  const since = (): number => {
    const nowMs = systemClock.monotonicMs();
    const passed = nowMs - beforeMs;
    beforeMs = nowMs;
    return passed;
  };
  for (const bytes of shares) {
    reader.open({ topic: 'ticks', partition: 0, fetchOffset, bytes, aborted: [], endOffset: -1 });
    for (let batch = reader.next(); batch !== null; batch = reader.next()) {
      took.positionsMs += since();
      for (let from = 0; from < batch.count; ) {
        const to = pieceEnd(batch, from, batch.count);
        rows.clear();
        await decoder.decode(batch, from, to, rows);
        took.decodeMs += since();
        hot.append(rows, null);
        took.appendMs += since();
        from = to;
      }
      fetchOffset = batch.offsetNext;
    }
    took.positionsMs += since();
  }
  return took;
}

function sumsOf(hours: readonly HourRows[]): Found {
  const found: Found = { rows: 0, volume: 0, symbolRows: new Int32Array(SYMBOLS) };
  // Of the stored columns: timestamp, price, volume, msg_type.
  for (const hour of hours)
    for (const part of hour.symbols) {
      found.rows += part.rows;
      found.symbolRows[part.symbol]! += part.rows;
      for (const { columns, rows } of part.chunks)
        for (let row = 0; row < rows; row++) found.volume += Number(columns[2]!.values[row]!);
    }
  return found;
}

// ---------------------------------------------------------------------------------------------------------
// Baselines: an object per tick, as the library gives it

/** A tick's nanoseconds do not fit avsc's own longs, which are numbers. */
const longs = avsc.types.LongType.__with({
  fromBuffer: (bytes: Buffer) => bytes.readBigInt64LE(),
  toBuffer: (value: bigint) => {
    const bytes = Buffer.alloc(8);
    bytes.writeBigInt64LE(value);
    return bytes;
  },
  fromJSON: BigInt,
  toJSON: Number,
  isValid: (value: unknown) => typeof value === 'bigint',
  compare: (a: bigint, b: bigint) => (a < b ? -1 : a > b ? 1 : 0),
});
const avroType = avsc.Type.forSchema(AVRO_SCHEMA as avsc.Schema, { registry: { long: longs } });
const CONFLUENT_HEADER_BYTES = 5;

const baselines: Readonly<Record<TickFormat, (prepared: Prepared) => Found>> = {
  json: (prepared) =>
    ofValues(prepared, (value, found) => {
      const tick = JSON.parse(value.toString()) as { symbol: string; volume: number };
      found.rows++;
      found.volume += tick.volume;
      found.symbolRows[idOf.get(tick.symbol)!]!++;
    }),
  avro: (prepared) =>
    ofValues(prepared, (value, found) => {
      const tick = avroType.fromBuffer(value.subarray(CONFLUENT_HEADER_BYTES)) as AvroTick;
      found.rows++;
      found.volume += Number(tick.volume);
      found.symbolRows[idOf.get(tick.symbol)!]!++;
    }),
  binary: (prepared) =>
    ofValues(prepared, (value, found) => {
      const tick = {
        symbol: value.readUInt32LE(0),
        price: value.readBigInt64LE(4),
        volume: value.readBigInt64LE(12),
        timestamp: value.readBigInt64LE(20),
      };
      found.rows++;
      found.volume += Number(tick.volume);
      found.symbolRows[tick.symbol]!++;
    }),
  arrow: (prepared) =>
    ofValues(prepared, (value, found) => {
      for (const tick of tableFromIPC(value)) {
        const { symbol, volume } = tick!.toJSON() as { symbol: string; volume: bigint };
        found.rows++;
        found.volume += Number(volume);
        found.symbolRows[idOf.get(symbol)!]!++;
      }
    }),
};

interface AvroTick {
  readonly symbol: string;
  readonly volume: bigint;
}

const idOf = new Map(symbolNames.map((name, id) => [name, id]));

function ofValues({ shares }: Prepared, take: (value: Buffer, found: Found) => void): Found {
  const found: Found = { rows: 0, volume: 0, symbolRows: new Int32Array(SYMBOLS) };
  const reader = new RecordBatchReader();
  let fetchOffset = 0;
  for (const bytes of shares) {
    reader.open({ topic: 'ticks', partition: 0, fetchOffset, bytes, aborted: [], endOffset: -1 });
    for (let batch = reader.next(); batch !== null; batch = reader.next()) {
      const { buffer, count, valueStart, valueLength } = batch;
      const values = Buffer.from(buffer.buffer, buffer.byteOffset, buffer.byteLength);
      for (let i = 0; i < count; i++)
        take(values.subarray(valueStart[i]!, valueStart[i]! + valueLength[i]!), found);
      fetchOffset = batch.offsetNext;
    }
  }
  return found;
}
