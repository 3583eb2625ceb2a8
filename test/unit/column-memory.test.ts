// What: memory for columns: who holds which bytes, and what is copied to it to be read.
// Why: bytes that two hold at once are one symbol's prices in another's column.
// Invariant: nothing is handed out twice before it was given back; where there is no room, that is said.

import { MessageChannel, receiveMessageOnPort } from 'node:worker_threads';
import { describe, expect, it, vi } from 'vitest';
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
    const before = memory.stage(bytes)!.byteOffset;
    expect(memory.stage(new Uint8Array(MIB))!.byteOffset).not.toBe(before);
    // Where the copy was is free again.
    expect(memory.allocate(bytes.length)!.byteOffset).toBe(before - (bytes.byteOffset % 8));
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
    const other = reserved(1);
    expect(numbers.take(other, 5).buffer).toBe(other.buffer);
    expect(memory.allocate(8_000)!.byteOffset).toBe(larger.byteOffset);
    expect(numbers.take(memory, MIB).buffer).not.toBe(memory.buffer);
    expect(numbers.take(null, 5).buffer).not.toBe(memory.buffer);
  });

  it('keeps no place for extraordinarily many numbers', () => {
    const memory = reserved(80);
    const numbers = new LoopNumbers();
    const many = numbers.take(memory, 2 ** 24);
    expect(many.buffer).toBe(memory.buffer);
    expect(numbers.take(memory, 10).byteOffset).not.toBe(many.byteOffset);
    expect(memory.allocate(2 ** 26)!.byteOffset).toBe(many.byteOffset);
  });
});

describe('rows in column memory', () => {
  it('move when they grow, keep what they were, and give back where they were', () => {
    const memory = reserved(1);
    const rows = new RowBuffer(everyType, 16, undefined, memory);
    const before = rows.columns.map(({ values }) => values);
    for (const { values } of rows.columns) values[3] = values instanceof BigInt64Array ? 77n : 77;
    rows.reserve(100);
    rows.rows = 100;
    const { places: stored, ...numbers } = rows.numbers();
    expect(stored?.memory).toBe(memory);
    expect(numbers.all[99]).toBe(99);
    for (const [i, { values, i32, bits }] of rows.columns.entries()) {
      expect(Number(values[3])).toBe(77);
      expect([values.byteOffset, i32.byteOffset]).toEqual([bits.byteOffset, bits.byteOffset]);
      expect(values.byteOffset).not.toBe(before[i]!.byteOffset);
    }
    const places = [...rows.columns.map(({ values }) => values), ...Object.values(numbers)];
    const ends = places.map(({ byteOffset, byteLength }) => [byteOffset, byteOffset + byteLength] as const);
    ends.sort(([a], [b]) => a - b);
    for (let i = 1; i < ends.length; i++) expect(ends[i]![0]).toBeGreaterThanOrEqual(ends[i - 1]![1]);
    expect(memory.allocate(4_096)!.byteOffset).toBe(before[0]!.byteOffset);
  });

  it('stay what they are when there is no memory for more', () => {
    for (const memory of [null, reserved(1)]) {
      const rows = new RowBuffer(everyType, 16, undefined, memory);
      rows.rows = 3;
      for (const { values } of rows.columns) values[2] = values instanceof BigInt64Array ? 77n : 77;
      const before = { ...rows, columns: rows.columns.map((column) => ({ ...column })) };
      vi.stubGlobal('ArrayBuffer', function none() {
        throw new RangeError('Array buffer allocation failed');
      });
      try {
        expect(() => rows.reserve(2 ** 20)).toThrow('allocation failed');
      } finally {
        vi.unstubAllGlobals();
      }
      expect({ ...rows, columns: rows.columns.map((column) => ({ ...column })) }).toEqual(before);
      rows.reserve(20);
      expect(rows.capacity).toBe(32);
      for (const { values } of rows.columns) expect([values.length, Number(values[2])]).toEqual([32, 77]);
    }
  });

  it('give back the memory of an extraordinary message with the next one', () => {
    const memory = reserved(250);
    const rows = new RowBuffer(everyType, 16, undefined, memory);
    rows.reserve(2 ** 20);
    rows.clear();
    expect(rows.capacity).toBe(2 ** 20);
    rows.reserve(2 ** 20 + 1);
    const [large] = rows.columns.map(({ values }) => values.byteOffset);
    rows.clear();
    expect(rows.capacity).toBe(16);
    rows.reserve(2 ** 20 + 1);
    expect(rows.columns[0]!.values.byteOffset).toBe(large);
  });

  it('are anywhere when there is no room for them', () => {
    const memory = reserved(1);
    const rows = new RowBuffer(everyType, 16, undefined, memory);
    for (const { values } of rows.columns) values[3] = values instanceof BigInt64Array ? 77n : 77;
    rows.reserve(100_000);
    rows.rows = 100_000;
    expect(rows.numbers().places).toBeNull();
    for (const { values } of rows.columns) expect(Number(values[3])).toBe(77);
    expect(rows.loops.greatest(rows.numbers().all, 100_000)).toBe(99_999);
  });
});
