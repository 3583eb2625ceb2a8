// What: memory for columns: who holds which bytes, and what is copied to it to be read.
// Why: bytes that two hold at once are one symbol's prices in another's column.
// Invariant: nothing is handed out twice before it was given back; where there is no room, that is said.

import { MessageChannel, receiveMessageOnPort } from 'node:worker_threads';
import { describe, expect, it } from 'vitest';
import { RowBuffer } from '../../src/columns/batch.ts';
import { ColumnMemory, LoopNumbers } from '../../src/columns/column-memory.ts';
import { everyType } from '../support/decode-records.ts';

const MIB = 2 ** 20;
/** The loops' own. */
const START_BYTES = 4 * MIB;
const reserved = (mib: number): ColumnMemory => ColumnMemory.reserve(START_BYTES + mib * MIB)!;

describe('column memory', () => {
  it('hands no byte out twice, and what was given back again', () => {
    const memory = reserved(3);
    const given = [MIB, 5_000, 5_000, 1].map((bytes) => memory.allocate(bytes)!.byteOffset);
    expect(given).toEqual([
      START_BYTES,
      START_BYTES + MIB,
      START_BYTES + MIB + 8_192,
      START_BYTES + MIB + 16_384,
    ]);
    memory.release({ buffer: memory.buffer, byteOffset: given[1]! }, 5_000);
    expect(memory.allocate(4_097)!.byteOffset).toBe(given[1]);
    expect(memory.allocate(4_097)!.byteOffset).toBe(START_BYTES + MIB + 20_480);
  });

  it('says when there is no room', () => {
    const memory = reserved(2);
    expect(memory.allocate(2 * MIB + 1)).toBeNull();
    expect(memory.allocate(2 * MIB)).not.toBeNull();
    expect(memory.allocate(1)).toBeNull();
    expect(memory.stage(new Uint8Array(1))).toBeNull();
  });

  it('has addresses for 4 GiB at most, and takes no memory for them', () => {
    const before = process.memoryUsage.rss();
    const memory = ColumnMemory.reserve(2 ** 40)!;
    expect(memory.buffer.byteLength).toBe(2 ** 32 - 65_536);
    expect(process.memoryUsage.rss() - before).toBeLessThan(64 * MIB);
  });

  it('is read by other threads, to its end', () => {
    const memory = ColumnMemory.reserve(2 ** 40)!;
    const last = new BigInt64Array(memory.buffer, memory.buffer.byteLength - 16, 2);
    last[1] = 77n;
    const { port1, port2 } = new MessageChannel();
    port1.postMessage(last);
    const received = receiveMessageOnPort(port2)?.message as BigInt64Array;
    port1.close();
    last[0] = 78n;
    expect([...received]).toEqual([78n, 77n]);
    expect([...new BigInt64Array(received.buffer, last.byteOffset, 2)]).toEqual([78n, 77n]);
  });

  it('has a copy of what is to be read, whatever its place and length', () => {
    const memory = reserved(40);
    const bytes = Uint8Array.from({ length: 70_000 }, (_, i) => i * 31);
    for (let start = 0; start < 20; start++)
      for (const length of [0, 1, 7, 8, 9, 5_000, 60_000]) {
        const source = bytes.subarray(start, start + length);
        const view = memory.stage(source)!;
        expect(view.buffer).toBe(memory.buffer);
        expect(Buffer.compare(Buffer.from(view.buffer, view.byteOffset, view.byteLength), source)).toBe(0);
      }
    // One that is extraordinary must not keep so much.
    expect(memory.stage(new Uint8Array(2 ** 24 + 1))).toBeNull();
    expect(memory.stage(bytes)).not.toBeNull();
  });

  it('has numbers in one place, a larger one when they are more, and anywhere when there is no room', () => {
    const memory = reserved(1);
    const numbers = new LoopNumbers();
    const first = numbers.take(memory, 10);
    expect([first.length, first.buffer]).toEqual([10, memory.buffer]);
    expect(numbers.take(memory, 1_024).byteOffset).toBe(first.byteOffset);
    const larger = numbers.take(memory, 2_000);
    expect(larger.byteOffset).not.toBe(first.byteOffset);
    // What it had is free again.
    expect(memory.allocate(4_096)!.byteOffset).toBe(first.byteOffset);
    expect(numbers.take(memory, MIB).buffer).not.toBe(memory.buffer);
    expect(numbers.take(null, 5).buffer).not.toBe(memory.buffer);
    const other = reserved(1);
    expect(numbers.take(other, 5).buffer).toBe(other.buffer);
  });
});

describe('rows in column memory', () => {
  it('move when they grow, keep what they were, and give back where they were', () => {
    const memory = reserved(1);
    const rows = new RowBuffer(everyType, 16, undefined, memory);
    const before = rows.columns.map(({ values }) => values);
    for (const { values } of rows.columns) values[3] = values instanceof BigInt64Array ? 77n : 77;
    rows.reserve(100);
    expect(rows.places?.memory).toBe(memory);
    expect(rows.numbers.all[99]).toBe(99);
    for (const [i, { values, i32, bits }] of rows.columns.entries()) {
      expect(Number(values[3])).toBe(77);
      expect([values.byteOffset, i32.byteOffset]).toEqual([bits.byteOffset, bits.byteOffset]);
      expect(values.byteOffset).not.toBe(before[i]!.byteOffset);
    }
    const places = [...rows.columns.map(({ values }) => values), ...Object.values(rows.numbers)];
    const ends = places.map(({ byteOffset, byteLength }) => [byteOffset, byteOffset + byteLength] as const);
    ends.sort(([a], [b]) => a - b);
    for (let i = 1; i < ends.length; i++) expect(ends[i]![0]).toBeGreaterThanOrEqual(ends[i - 1]![1]);
    expect(memory.allocate(4_096)!.byteOffset).toBe(before[0]!.byteOffset);
  });

  it('are anywhere when there is no room for them', () => {
    const memory = reserved(1);
    const rows = new RowBuffer(everyType, 16, undefined, memory);
    for (const { values } of rows.columns) values[3] = values instanceof BigInt64Array ? 77n : 77;
    rows.reserve(100_000);
    expect(rows.places).toBeNull();
    for (const { values } of rows.columns) expect(Number(values[3])).toBe(77);
    expect(rows.loops.greatest(rows.numbers.all, 100_000)).toBe(99_999);
  });
});
