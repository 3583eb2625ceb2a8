// What: the loops over columns, in WebAssembly and in TypeScript, against each other and against plain words.
// Why: the ones in WebAssembly check nothing; a row number that is off by one is another tick's price.
// Invariant: both give the same, whatever they are given, and write nothing beyond it.

import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import {
  type ColumnLoops,
  gather,
  plainLoops,
  SYMBOLS_GROUPED,
  UNTOUCHED,
} from '../../src/columns/column-loops.ts';
import { ColumnMemory } from '../../src/columns/column-memory.ts';
import { type BitsArray, NANOS_PER_HOUR } from '../../src/columns/types.ts';

const memory = ColumnMemory.reserve(2 ** 26)!;
const ROOM_BYTES = 2 ** 20;
const places = Array.from({ length: 8 }, () => memory.allocate(ROOM_BYTES)!.byteOffset);

const INT64_MIN = -(2n ** 63n);
const FILLER = 0x7e;

/** The loops, and arrays that they work on: of the same content wherever they lie. */
interface Ground {
  readonly loops: ColumnLoops;
  words(place: number, content: readonly number[], room?: number): Int32Array;
  longs(place: number, content: readonly bigint[], room?: number): BigInt64Array;
  bytes(place: number, content: readonly number[], room?: number): Uint8Array;
}

/** `buffer`, and where the place begins in it, with filler around what is asked for. */
function groundOf(loops: ColumnLoops, at: (place: number) => readonly [ArrayBufferLike, number]): Ground {
  const filled = (place: number, bytes: number): readonly [ArrayBufferLike, number] => {
    const [buffer, byteOffset] = at(place);
    new Uint8Array(buffer, byteOffset, bytes + 64).fill(FILLER);
    return [buffer, byteOffset];
  };
  return {
    loops,
    words(place, content, room = content.length) {
      const array = new Int32Array(...filled(place, 4 * room), room + 2);
      array.set(content);
      return array;
    },
    longs(place, content, room = content.length) {
      const array = new BigInt64Array(...filled(place, 8 * room), room + 2);
      array.set(content);
      return array;
    },
    bytes(place, content, room = content.length) {
      const array = new Uint8Array(...filled(place, room), room + 2);
      array.set(content);
      return array;
    },
  };
}

const plain = groundOf(plainLoops, () => [new ArrayBuffer(ROOM_BYTES), 0]);
const fast = groundOf(memory.loops, (place) => [memory.buffer, places[place]!]);

/** What `work` finds on both grounds, which is the same. */
function onBoth<T>(work: (ground: Ground) => T): T {
  const found = work(plain);
  expect(work(fast)).toEqual(found);
  return found;
}

/** The array with the filler behind it. */
const content = (array: BitsArray): (number | bigint)[] => Array.from(array as Iterable<number | bigint>);

const anyTime = fc.bigInt({ min: INT64_MIN, max: -INT64_MIN - 1n });
/** Of some hour and the edges of its neighbours; the first and the last hour of int64 among them. */
const hour = fc.oneof(
  fc.bigInt({ min: -3n, max: 3n }),
  fc.constantFrom(INT64_MIN / NANOS_PER_HOUR, 482_136n),
);
const nearTime = fc
  .tuple(hour, fc.oneof(fc.constantFrom(0n, 1n, -1n, NANOS_PER_HOUR - 1n), fc.bigInt({ min: 0n, max: 99n })))
  .map(([of, ns]) => BigInt.asIntN(64, of * NANOS_PER_HOUR + ns));
const steadyTimes = fc
  .tuple(hour, fc.integer({ min: 1, max: 70 }))
  .map(([of, count]) => Array.from({ length: count }, (_, i) => of * NANOS_PER_HOUR + BigInt(i)));
const times = fc
  .array(fc.oneof(steadyTimes, fc.array(nearTime, { maxLength: 6 }), fc.array(anyTime, { maxLength: 6 })), {
    maxLength: 5,
  })
  .map((stretches) => stretches.flat().map((time) => BigInt.asIntN(64, time)));

const word = fc.oneof(fc.integer(), fc.constantFrom(-2147483648, 2147483647, 0, -1));
const symbol = fc.oneof(
  { weight: 9, arbitrary: fc.nat(6) },
  { weight: 1, arbitrary: fc.nat(SYMBOLS_GROUPED + 2) },
  { weight: 1, arbitrary: fc.constantFrom(SYMBOLS_GROUPED - 1, SYMBOLS_GROUPED, 2 ** 31 - 1) },
);

describe('the loops', () => {
  it('find the hour of every int64 time, floored, and the greatest time', () => {
    fc.assert(
      fc.property(times, (values) => {
        const found = onBoth(({ loops, longs, words }) => {
          const hours = words(1, [], values.length);
          return { greatest: loops.hoursOf(longs(0, values), values.length, hours), hours: content(hours) };
        });
        const floor = (time: bigint): number =>
          Number((time - (((time % NANOS_PER_HOUR) + NANOS_PER_HOUR) % NANOS_PER_HOUR)) / NANOS_PER_HOUR);
        expect(found.hours.slice(0, values.length)).toEqual(values.map(floor));
        const greatest = values.reduce((most, time) => [time, most][Number(most > time)]!, INT64_MIN);
        expect(found.greatest).toBe(values.length === 0 ? Number.NEGATIVE_INFINITY : Number(greatest));
      }),
      {
        numRuns: 500,
        // The first and the last hour are cut short: what is near one of them is far from the other.
        examples: [
          [[INT64_MIN + NANOS_PER_HOUR, -INT64_MIN - 1n]],
          [[-INT64_MIN - 1n, INT64_MIN + NANOS_PER_HOUR]],
          [[-9223369200000000001n, 9223371273709551615n, -9223369200000000001n]],
        ],
      },
    );
  });

  it('know whether words are all alike, and the greatest without its sign', () => {
    const alike = fc.tuple(word, fc.nat(40)).map(([one, count]) => new Array<number>(count).fill(one));
    fc.assert(
      fc.property(alike, fc.array(word, { maxLength: 3 }), alike, (a, b, c) => {
        const values = [...a, ...b, ...c];
        const first = values[0] ?? 0;
        const found = onBoth(({ loops, words }) => ({
          isAlike: loops.areAll(words(0, values), values.length, first),
          greatest: loops.greatest(words(1, values), values.length),
        }));
        expect(found.isAlike).toBe(values.every((value) => value === first));
        expect(found.greatest).toBe(Math.max(0, ...values.map((value) => value >>> 0)));
      }),
      { numRuns: 300 },
    );
  });

  it('group rows by symbol, in the order of the rows, and leave no count behind', () => {
    fc.assert(
      fc.property(fc.array(symbol, { maxLength: 200 }), fc.integer({ min: 1, max: 3 }), (symbols, step) => {
        const rows = symbols.flatMap((_, row) => (row % step === 0 ? row : []));
        const found = onBoth(({ loops, words }) => {
          const order = words(2, [], rows.length);
          const touched = words(3, [], rows.length);
          const lengths = words(4, [], rows.length);
          const ids = words(0, symbols);
          const asIds = new Uint32Array(ids.buffer, ids.byteOffset, ids.length);
          const groups = loops.groupBySymbol(asIds, words(1, rows), rows.length, order, touched, lengths);
          return { groups, order: content(order), touched: content(touched), lengths: content(lengths) };
        });
        const grouped = rows.filter((row) => symbols[row]! < SYMBOLS_GROUPED);
        const known = [...new Set(grouped.map((row) => symbols[row]!))];
        const lists = known.map((id) => grouped.filter((row) => symbols[row] === id));
        const others = rows.filter((row) => symbols[row]! >= SYMBOLS_GROUPED);
        expect(found.groups).toBe(known.length);
        expect(found.touched.slice(0, known.length)).toEqual(known);
        expect(found.lengths.slice(0, known.length)).toEqual(lists.map(({ length }) => length));
        expect(found.order.slice(0, rows.length)).toEqual([...lists.flat(), ...others]);
      }),
      { numRuns: 400 },
    );
  });

  it('map indices to codes up to the first that has none', () => {
    const index = fc.integer({ min: -1, max: 9 });
    const codes = fc.array(fc.constantFrom(UNTOUCHED, -1, 0, 7, -2147483648, 2147483647), {
      minLength: 10,
      maxLength: 10,
    });
    fc.assert(
      fc.property(
        fc.array(index, { maxLength: 40 }),
        codes,
        fc.nat(3),
        fc.nat(5),
        (indices, table, at, skip) => {
          const from = Math.min(skip, indices.length);
          const found = onBoth(({ loops, words }) => {
            const target = words(2, [], at + indices.length);
            const to = loops.mapKnown(words(0, indices), words(1, table), target, at, from, indices.length);
            return { to, target: content(target) };
          });
          const stop = indices.findIndex((one, i) => i >= from && (one < 0 || table[one] === UNTOUCHED));
          const to = stop < 0 ? indices.length : stop;
          expect(found.to).toBe(to);
          const mapped = indices.slice(from, to).map((one) => table[one]!);
          expect(found.target.slice(at + from, at + to)).toEqual(mapped);
          expect(new Set([...found.target.slice(0, at + from), ...found.target.slice(at + to)]).size).toBe(1);
        },
      ),
      { numRuns: 300 },
    );
  });

  it('copy values from any byte on, and see the least among them', () => {
    const long = fc.oneof(anyTime, fc.constantFrom(INT64_MIN, INT64_MIN + 1n, 2n ** 31n, 0n));
    const kind = fc.constantFrom('longs', 'words', 'bytes');
    fc.assert(
      fc.property(kind, fc.array(long, { maxLength: 40 }), fc.nat(9), fc.nat(3), (of, values, start, at) => {
        const width = of === 'longs' ? 8 : of === 'words' ? 4 : 1;
        const narrow = values.map((value) => BigInt.asIntN(8 * width, value));
        const source = Buffer.alloc(start + width * values.length);
        for (const [i, value] of narrow.entries())
          for (let byte = 0; byte < width; byte++)
            source[start + i * width + byte] = Number((value >> BigInt(8 * byte)) & 0xffn);
        const found = onBoth((ground) => {
          const { buffer, byteOffset, length } = ground.bytes(0, [...source]);
          const view = new DataView(buffer, byteOffset, length);
          const room = at + values.length;
          const target =
            of === 'longs'
              ? ground.longs(1, [], room)
              : of === 'words'
                ? ground.words(1, [], room)
                : ground.bytes(1, [], room);
          const holdsLeast = ground.loops.copyValues(view, start, values.length, target, at);
          return { holdsLeast, target: content(target) };
        });
        const least = -(2n ** BigInt(8 * width - 1));
        expect(found.holdsLeast).toBe(width > 1 && narrow.includes(least));
        const copied = found.target
          .slice(at, at + values.length)
          .map((value) => BigInt.asIntN(8 * width, BigInt(value)));
        expect(copied).toEqual(narrow);
      }),
      { numRuns: 400 },
    );
  });

  it('gather columns of every width', () => {
    const rows = fc.array(fc.record({ long: anyTime, word, byte: fc.nat(255) }), {
      minLength: 1,
      maxLength: 50,
    });
    const numbers = fc.array(fc.nat(49), { maxLength: 40 });
    fc.assert(
      fc.property(rows, numbers, fc.nat(5), fc.nat(9), fc.nat(3), (values, picks, from, at, spare) => {
        const order = [...new Array<number>(from).fill(0), ...picks.map((pick) => pick % values.length)];
        const capacity = at + picks.length + spare;
        const padded = (bytes: number): number => (bytes + 7) & ~7;
        const columnsOf = (ground: Ground): readonly BitsArray[] => [
          ground.bytes(
            0,
            values.map(({ byte }) => byte),
          ),
          ground.longs(
            1,
            values.map(({ long }) => long),
          ),
          ground.words(
            2,
            values.map(({ word: one }) => one),
          ),
        ];
        const target = places[5]!;
        const sources = columnsOf(fast);
        fast.words(
          3,
          sources.flatMap((one) => [one.byteOffset, one.BYTES_PER_ELEMENT]),
        );
        fast.words(4, order);
        new Uint8Array(memory.buffer, target, 16 * capacity + 64).fill(FILLER);
        memory.gatherColumns(places[3]!, 3, places[4]! + 4 * from, picks.length, target, capacity, at);
        let next = target;
        for (const source of columnsOf(plain)) {
          const kind = source.constructor as new (...of: [ArrayBufferLike, number, number]) => BitsArray;
          const expected = new kind(new ArrayBuffer(padded(8 * capacity)), 0, capacity);
          new Uint8Array(expected.buffer).fill(FILLER);
          gather(source, Int32Array.from(order), from, picks.length, expected, at);
          expect(content(new kind(memory.buffer, next, capacity))).toEqual(content(expected));
          expect(content(expected).slice(at, at + picks.length)).toEqual(
            order.slice(from).map((row) => source[row]),
          );
          next += padded(capacity * source.BYTES_PER_ELEMENT);
        }
        expect(new Uint8Array(memory.buffer, next, 1)[0]).toBe(FILLER);
      }),
      { numRuns: 300 },
    );
  });

  it('refuse to go beyond what they are given', () => {
    const { loops } = memory;
    const [words, longs] = [fast.words(0, [1, 2]), fast.longs(1, [1n])];
    const view = new DataView(memory.buffer, places[2]!, 16);
    expect(() => loops.hoursOf(longs, 4, words)).toThrow('stays within');
    expect(() => loops.areAll(words, 5, 1)).toThrow('stays within');
    expect(() => loops.greatest(words, 5)).toThrow('stays within');
    const ids = new Uint32Array(memory.buffer, places[3]!, 9);
    expect(() => loops.groupBySymbol(ids, words, 5, words, words, words)).toThrow('stays within');
    expect(() => loops.mapKnown(words, words, words, 1, 0, 4)).toThrow('stays within');
    expect(() => loops.copyValues(view, 0, 2, longs, 2)).toThrow('stays within');
    expect(() => loops.copyValues(view, 4, 2, longs, 0)).toThrow('from where they are');
  });

  it('do with arrays of other memory what the plain ones do', () => {
    const { loops } = memory;
    const hours = new Int32Array(2);
    expect(loops.hoursOf(BigInt64Array.of(-1n, NANOS_PER_HOUR), 2, hours)).toBe(Number(NANOS_PER_HOUR));
    expect([...hours]).toEqual([-1, 1]);
    expect(loops.greatest(Int32Array.of(3, 9), 2)).toBe(9);
    expect(loops.areAll(Int32Array.of(3, 9), 2, 3)).toBe(false);
    const [order, touched, lengths] = [new Int32Array(3), new Int32Array(3), new Int32Array(3)];
    const groups = loops.groupBySymbol(
      Uint32Array.of(5, 6, 5),
      Int32Array.of(0, 1, 2),
      3,
      order,
      touched,
      lengths,
    );
    expect([groups, ...order]).toEqual([2, 0, 2, 1]);
    const target = new Int32Array(1);
    expect(loops.mapKnown(Int32Array.of(0), Int32Array.of(4), target, 0, 0, 1)).toBe(1);
    expect(target[0]).toBe(4);
    expect(loops.copyValues(new DataView(Int32Array.of(8).buffer), 0, 1, target, 0)).toBe(false);
    expect(target[0]).toBe(8);
  });
});
