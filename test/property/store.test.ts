// What: the hot store against a plain list of rows: appending, freezing by hour, sealing order.
// Why: rows are scattered to symbol-hours by counting sort over typed arrays; a wrong index is a wrong price.
// Invariant: every appended row is in exactly one segment, in offset order, with its own values.

import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { RowBuffer } from '../../src/columns/batch.ts';
import { ColumnType, type TableSchema } from '../../src/columns/types.ts';
import { factsOf } from '../../src/format/segment-columns.ts';
import { type Allocation, Arena, QUAD_BYTES, SLAB_BYTES, SlabPool } from '../../src/store/arena.ts';
import { freeRows, HotPartition, segmentsOf } from '../../src/store/hot.ts';
import { hoursOf } from '../../src/store/hours.ts';

const table: TableSchema = {
  name: 'trades',
  columns: [
    { name: 'timestamp', type: ColumnType.TIMESTAMP_NS },
    { name: 'symbol', type: ColumnType.SYMBOL },
    { name: 'id', type: ColumnType.INT64 },
    { name: 'size', type: ColumnType.FLOAT32 },
    { name: 'flag', type: ColumnType.BOOL },
  ],
  timestampColumn: 0,
  symbolColumn: 1,
};
const HOUR_NS = 3_600_000_000_000n;

interface Row {
  readonly symbol: number;
  readonly hour: number;
  readonly id: number;
}

function fill(buffer: RowBuffer, rows: readonly Row[]): Int32Array {
  buffer.clear();
  buffer.reserve(rows.length);
  rows.forEach((row, i) => {
    (buffer.columns[0]!.values as BigInt64Array)[i] = BigInt(row.hour) * HOUR_NS + BigInt(row.id);
    (buffer.columns[1]!.values as Uint32Array)[i] = row.symbol;
    (buffer.columns[2]!.values as BigInt64Array)[i] = BigInt(row.id) - 5n;
    (buffer.columns[3]!.values as Float32Array)[i] = row.id / 4;
    (buffer.columns[4]!.values as Uint8Array)[i] = row.id % 2;
    buffer.offset[i] = row.id;
  });
  buffer.rows = rows.length;
  const hours = new Int32Array(rows.length);
  hoursOf(buffer.columns[0]!.i32, 0, rows.length, hours);
  return hours;
}

const symbol = fc.oneof(fc.nat(5), fc.nat(70_000), fc.constant(2 ** 31 - 1));
const anyRow = fc.record({ symbol, hour: fc.integer({ min: -3, max: 3 }) });
/** Ticks as they mostly come: of a few symbols and one hour, with another now and then. */
const likelyRow = fc.oneof(
  { weight: 30, arbitrary: fc.record({ symbol: fc.nat(5), hour: fc.constant(1) }) },
  { weight: 1, arbitrary: anyRow },
);
const batches = fc.array(
  fc.oneof(fc.array(anyRow, { maxLength: 300 }), fc.array(likelyRow, { minLength: 20, maxLength: 300 })),
  { maxLength: 8 },
);

describe('hot store', () => {
  it('holds each appended row once, in offset order within its symbol-hour', () => {
    fc.assert(
      fc.property(batches, fc.integer({ min: -3, max: 3 }), fc.boolean(), (input, hourLast, sealsRaw) => {
        const pool = new SlabPool();
        const hot = new HotPartition(table, pool, () => {}, sealsRaw);
        const buffer = new RowBuffer(table, 8);
        const rows: Row[] = [];
        for (const batch of input) {
          const numbered = batch.map((row, i) => ({ ...row, id: rows.length + i }));
          rows.push(...numbered);
          hot.append(buffer, fill(buffer, numbered), null);
        }
        const first = rows.findIndex((row) => row.hour > hourLast);
        const early = hot.freeze(hourLast);
        expect(hot.offsetFirst).toBe(first < 0 ? null : first);
        const late = hot.freeze(Number.POSITIVE_INFINITY);
        const segments = [...segmentsOf(early), ...segmentsOf(late)];
        const found = segments.flatMap((segment) => {
          const ids = segment.chunks.flatMap((chunk, k) => {
            const isKnown = sealsRaw && (k < segment.chunks.length - 1 || chunk.facts !== undefined);
            expect(chunk.facts).toEqual(isKnown ? factsOf(chunk.columns, 0) : undefined);
            const [, id, size, flag] = chunk.columns;
            return Array.from({ length: chunk.rows }, (_, i) => {
              const value = Number((id as BigInt64Array)[i]!) + 5;
              expect((size as Float32Array)[i]).toBe(Math.fround(value / 4));
              expect((flag as Uint8Array)[i]).toBe(value % 2);
              return value;
            });
          });
          expect(ids).toEqual([...ids].sort((a, b) => a - b));
          return ids.map((id) => ({ symbol: segment.symbol, hour: segment.hour, id }));
        });
        expect(found.sort((a, b) => a.id - b.id)).toEqual(rows);
        freeRows([...early, ...late]);
        expect(pool.usedBytes).toBe(0);
      }),
      { numRuns: 60 },
    );
  });

  it('has a third of its memory empty at most once a symbol fills quads, and each row once', () => {
    const pool = new SlabPool();
    const hot = new HotPartition(table, pool);
    const buffer = new RowBuffer(table);
    let id = 0;
    for (let batch = 0; batch < 40; batch++) {
      const rows = Array.from({ length: 4_000 }, () => ({ symbol: 3, hour: 1, id: id++ }));
      hot.append(buffer, fill(buffer, rows), null);
    }
    const frozen = hot.freeze(1);
    const { chunks } = segmentsOf(frozen)[0]!;
    const ids = chunks.flatMap(({ columns }) =>
      [...(columns[1] as BigInt64Array)].map((value) => Number(value) + 5),
    );
    expect(ids).toEqual(Array.from({ length: id }, (_, i) => i));
    const capacities = frozen[0]!.symbols[0]!.chunks.map(({ capacity }) => capacity);
    const rowBytes = 8 + 8 + 4 + 1;
    expect(capacities.at(-1)! * rowBytes).toBeGreaterThan(3 * SLAB_BYTES);
    for (let k = 1, rows = capacities[0]!; k < capacities.length; rows += capacities[k++]!)
      expect(capacities[k]! <= Math.max(rows, 64)).toBe(true);
    expect(rowBytes * id).toBeGreaterThan((pool.usedBytes * 2) / 3);
  });

  it('has columns lie in lines of the cache as they do in files, behind a header of 32 bytes', () => {
    const hot = new HotPartition(table, new SlabPool());
    const buffer = new RowBuffer(table);
    for (let from = 0; from < 80_000; from += 4_000) {
      const rows = Array.from({ length: 4_000 }, (_, i) => ({ symbol: i % 3, hour: 1, id: from + i }));
      hot.append(buffer, fill(buffer, rows), null);
    }
    const chunks = hot.freeze(1)[0]!.symbols.flatMap((part) => part.chunks);
    expect(new Set(chunks.map(({ capacity }) => capacity)).size).toBeGreaterThan(5);
    for (const { columns } of chunks)
      for (const { values } of columns) expect(values.byteOffset % 64).toBe(32);
  });

  it('skips exactly the covered rows', () => {
    const hot = new HotPartition(table, new SlabPool());
    const buffer = new RowBuffer(table);
    const rows = Array.from({ length: 100 }, (_, id) => ({ symbol: id % 3, hour: id % 4, id }));
    const hours = fill(buffer, rows);
    const taken = hot.append(buffer, hours, (offset) => (offset < 50 ? 1 : Number.NEGATIVE_INFINITY));
    expect(taken).toBe(rows.filter((row) => row.id >= 50 || row.hour > 1).length);
    expect(hot.rows).toBe(taken);
  });
});

describe('hoursOf', () => {
  it('floors every int64 time to its hour', () => {
    fc.assert(
      fc.property(
        fc.array(fc.bigInt({ min: -(2n ** 63n), max: 2n ** 63n - 1n }), { maxLength: 50 }),
        (times) => {
          const values = BigInt64Array.from(times);
          const hours = new Int32Array(times.length);
          hoursOf(new Int32Array(values.buffer), 0, times.length, hours);
          times.forEach((time, i) => {
            const start = BigInt(hours[i]!) * HOUR_NS;
            expect(start <= time && time < start + HOUR_NS).toBe(true);
          });
        },
      ),
    );
  });

  it('is exact at both edges of an hour', () => {
    const start = 482_136n * HOUR_NS;
    const values = BigInt64Array.from([start - 1n, start, start + HOUR_NS - 1n, start + HOUR_NS]);
    const hours = new Int32Array(4);
    hoursOf(new Int32Array(values.buffer), 0, 4, hours);
    expect([...hours]).toEqual([482_135, 482_136, 482_136, 482_137]);
  });
});

const BLOCK_BYTES = 64 * SLAB_BYTES;
const blocks = new Map<SharedArrayBuffer, number>();

/** Each slab by its block and place. */
function slabsOf({ buffer, byteOffset }: Allocation, bytes: number): string[] {
  if (!blocks.has(buffer)) blocks.set(buffer, blocks.size);
  const slabs: string[] = [];
  for (let at = byteOffset; at < byteOffset + bytes; at += SLAB_BYTES)
    slabs.push(`${blocks.get(buffer)}:${at}`);
  return slabs;
}

describe('arena', () => {
  it('gives back exactly what it took', () => {
    const pool = new SlabPool();
    const arena = new Arena(pool);
    for (let i = 0; i < 100; i++) arena.allocate(10_000);
    expect(pool.usedBytes).toBe(arena.bytes);
    expect(arena.bytes).toBe(17 * SLAB_BYTES);
    arena.reset();
    expect(pool.usedBytes).toBe(0);
  });

  it('gives no byte to two, and joins again what is free side by side', () => {
    const steps = fc.array(fc.record({ arena: fc.nat(2), kind: fc.constantFrom('slab', 'quad', 'reset') }), {
      maxLength: 400,
    });
    fc.assert(
      fc.property(steps, (input) => {
        const pool = new SlabPool();
        const arenas = [0, 1, 2].map(() => ({ arena: new Arena(pool), held: [] as string[] }));
        for (const { arena: at, kind } of input) {
          const one = arenas[at]!;
          if (kind === 'reset') {
            one.arena.reset();
            one.held = [];
          } else if (kind === 'slab') one.held.push(...slabsOf(one.arena.allocate(SLAB_BYTES), SLAB_BYTES));
          else {
            const quad = one.arena.allocateQuad();
            if (quad !== null) one.held.push(...slabsOf(quad, QUAD_BYTES));
          }
          const held = arenas.flatMap((each) => each.held);
          expect(new Set(held).size).toBe(held.length);
          expect(pool.usedBytes).toBe(held.length * SLAB_BYTES);
        }
        for (const { arena } of arenas) arena.reset();
        const [before, after] = [blocks.size, new Arena(pool)];
        const madeQuads = (before * BLOCK_BYTES) / QUAD_BYTES;
        for (let i = 0; i < madeQuads; i++) slabsOf(after.allocateQuad()!, QUAD_BYTES);
        expect(blocks.size).toBe(before);
        blocks.clear();
      }),
    );
  });
});
