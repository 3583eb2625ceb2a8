// What: the hot store against a plain list of rows: appending, freezing by hour, sealing order.
// Why: rows are scattered to symbol-hours by counting sort over typed arrays; a wrong index is a wrong price.
// Invariant: every appended row is in exactly one segment, in offset order, with its own values.

import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { RowBuffer } from '../../src/columns/batch.ts';
import { type Allocation, ColumnMemory } from '../../src/columns/column-memory.ts';
import { ColumnType, type TableSchema } from '../../src/columns/types.ts';
import { factsOf } from '../../src/format/segment-columns.ts';
import { Arena, QUAD_BYTES, SLAB_BYTES, SlabPool, touchPages } from '../../src/store/arena.ts';
import { freeRows, HotPartition, segmentsOf } from '../../src/store/hot.ts';

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

function fill(buffer: RowBuffer, rows: readonly Row[]): RowBuffer {
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
  return buffer;
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

const hourLasts = fc.integer({ min: -3, max: 3 });
/** MiB where rows and slabs lie; none, room for all, for one block of slabs, or for rows only. */
const memories = fc.constantFrom(0, 64, 9, 5);

/** Of a plan that has rows of hours up to `hour` below an offset. */
const coverage = fc.option(fc.record({ below: fc.nat(400), hour: fc.integer({ min: -3, max: 3 }) }));

describe('hot store', () => {
  it('holds each appended row once, in offset order within its symbol-hour', () => {
    fc.assert(
      fc.property(
        batches,
        hourLasts,
        fc.boolean(),
        memories,
        coverage,
        (input, hourLast, sealsRaw, mib, planned) => {
          const memory = mib === 0 ? null : ColumnMemory.reserve(mib * 2 ** 20);
          const pool = new SlabPool(memory);
          const hot = new HotPartition(table, pool, () => {}, sealsRaw);
          const buffer = new RowBuffer(table, 8, undefined, memory);
          const rows: Row[] = [];
          let given = 0;
          for (const batch of input) {
            const numbered = batch.map((row, i) => ({ ...row, id: given + i }));
            const covered =
              planned && ((id: number) => (id < planned.below ? planned.hour : Number.NEGATIVE_INFINITY));
            const left = numbered.filter(({ id, hour }) => covered === null || hour > covered(id));
            given += batch.length;
            rows.push(...left);
            expect(hot.append(fill(buffer, numbered), covered).rows).toBe(left.length);
          }
          const first = rows.find((row) => row.hour > hourLast)?.id ?? null;
          const early = hot.freeze(hourLast);
          expect(hot.offsetFirst).toBe(first);
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
        },
      ),
      { numRuns: 100 },
    );
  });

  it('has a third of its memory empty at most once a symbol fills quads, and each row once', () => {
    const pool = new SlabPool();
    const hot = new HotPartition(table, pool);
    const buffer = new RowBuffer(table);
    let id = 0;
    for (let batch = 0; batch < 40; batch++) {
      const rows = Array.from({ length: 4_000 }, () => ({ symbol: 3, hour: 1, id: id++ }));
      hot.append(fill(buffer, rows), null);
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
      hot.append(fill(buffer, rows), null);
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
    const covered = (offset: number): number => (offset < 50 ? 1 : Number.NEGATIVE_INFINITY);
    const taken = hot.append(fill(buffer, rows), covered).rows;
    expect(taken).toBe(rows.filter((row) => row.id >= 50 || row.hour > 1).length);
    expect(hot.rows).toBe(taken);
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

  it('leaves what pages hold when they are touched', () => {
    const buffer = new SharedArrayBuffer(10 * 4_096);
    const words = new Int32Array(buffer).map((_, i) => (i % 3) - 1);
    new Int32Array(buffer).set(words);
    touchPages({ buffer, byteOffset: 4_096 }, 8 * 4_096);
    expect(new Int32Array(buffer)).toEqual(words);
  });

  it('has memory touched ahead of its use, more of it the more is used, three blocks at most', () => {
    const touched: string[] = [];
    const pool = new SlabPool(ColumnMemory.reserve(2 ** 26), ({ buffer, byteOffset }, bytes) => {
      expect(bytes).toBe(BLOCK_BYTES);
      expect(buffer.byteLength).toBe(2 ** 26);
      touched.push(`${byteOffset}`);
    });
    const arena = new Arena(pool);
    const used: string[] = [];
    const ahead: number[] = [];
    for (let block = 0; block < 6; block++) {
      used.push(`${arena.allocateQuad()!.byteOffset}`);
      for (let quad = 1; quad < BLOCK_BYTES / QUAD_BYTES; quad++) arena.allocateQuad();
      ahead.push(touched.filter((one) => !used.includes(one)).length);
    }
    expect(ahead).toEqual([0, 1, 2, 3, 3, 3]);
    // All but the first two, which were needed at once.
    expect(touched.slice(0, 4)).toEqual(used.slice(2));
    expect(new Set([...touched, ...used]).size).toBe(9);
    // What is used again was touched when it was used first.
    arena.reset();
    for (let quad = 0; quad < (6 * BLOCK_BYTES) / QUAD_BYTES; quad++) arena.allocateQuad();
    expect(touched.length).toBe(7);
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
