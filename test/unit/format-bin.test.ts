// What: `.bin` bytes against the layout table, the golden files of the original, and damaged files.
// Why: the format is shared with files that exist; a byte off makes them unreadable.
// Invariant: each expected byte is spelled here by hand or was written by the original system.

import { readdirSync, readFileSync } from 'node:fs';
import { describe, expect, test } from 'vitest';
import { bytesOf, type ColumnArray, ColumnType } from '../../src/columns/types.ts';
import { decodeBinColumn, decodeBinHeader, encodeBinColumn, encodeBinHeader } from '../../src/format/bin.ts';

const fixtures = new URL('../fixtures/hdb/', import.meta.url);
const HOUR_NS = 1711000800000000000n;

const hex = (bytes: Uint8Array): string => Buffer.from(bytes).toString('hex');
const joined = (parts: readonly NodeJS.ArrayBufferView[]): Buffer => Buffer.concat(parts.map(bytesOf));
const fileOf = (type: ColumnType, values: ColumnArray, compression: 'none' | 'lz4' = 'none'): Buffer =>
  joined(encodeBinColumn(type, [values], compression).parts);

/** The layout table in the head of bin.ts: offset → bytes of each field. */
function layoutTable(): Map<string, { offset: number; size: number }> {
  const source = readFileSync(new URL('../../src/format/bin.ts', import.meta.url), 'utf8');
  const rows = [...source.matchAll(/^\/\/ \| (\d+)\s+\| (\d+)\s+\| ([a-z ]+?)\s+\|/gm)];
  return new Map(rows.map((row) => [row[3]!, { offset: Number(row[1]), size: Number(row[2]) }]));
}

describe('the header', () => {
  test('is these 32 bytes', () => {
    const header = {
      type: ColumnType.INT64,
      compression: 0,
      rows: 10,
      payloadBytes: 80,
      uncompressedBytes: 80,
    };
    expect(hex(encodeBinHeader({ ...header, compression: 0 }))).toBe(
      '4150455848' + '01' + '01' + '00' + '0a00000000000000' + '5000000000000000' + '5000000000000000',
    );
  });

  test('lies where the layout table says', () => {
    const table = layoutTable();
    const bytes = encodeBinHeader({
      type: ColumnType.BOOL,
      compression: 1,
      rows: 0x0102030405,
      payloadBytes: 0x1112131415,
      uncompressedBytes: 0x2122232425,
    });
    const field = (name: string): string => {
      const { offset, size } = table.get(name)!;
      return hex(bytes.subarray(offset, offset + size));
    };
    expect([...table.keys()]).toHaveLength(9);
    expect(field('magic')).toBe('4150455848');
    expect(field('version')).toBe('01');
    expect(field('column type')).toBe('06');
    expect(field('compression')).toBe('01');
    expect(field('row count')).toBe('0504030201000000');
    expect(field('payload bytes')).toBe('1514131211000000');
    expect(field('uncompressed bytes')).toBe('2524232221000000');
    expect(table.get('table id')).toEqual({ offset: 32, size: 2 });
  });
});

describe('a written column', () => {
  test('is the header and the values as they lie in memory', () => {
    const values = new BigInt64Array([15000n, -1n]);
    expect(hex(fileOf(ColumnType.INT64, values))).toBe(
      '4150455848010100' +
        '0200000000000000' +
        '1000000000000000' +
        '1000000000000000' +
        '983a000000000000' +
        'ffffffffffffffff',
    );
  });

  test('joins its parts, shared memory or not, into the same bytes', () => {
    const shared = new Int32Array(new SharedArrayBuffer(12));
    shared.set([1, 2, 3]);
    const whole = new Int32Array([1, 2, 3, 4, 5]);
    for (const compression of ['none', 'lz4'] as const) {
      const parted = encodeBinColumn(ColumnType.INT32, [shared, whole.subarray(3)], compression);
      expect(hex(joined(parted.parts))).toBe(hex(fileOf(ColumnType.INT32, whole, compression)));
      expect(parted.bytes).toBe(joined(parted.parts).length);
    }
  });

  test('is compressed when that is strictly smaller, else raw', () => {
    const zeros = fileOf(ColumnType.INT64, new BigInt64Array(100), 'lz4');
    expect(decodeBinHeader(zeros, zeros.length)).toMatchObject({
      compression: 1,
      rows: 100,
      uncompressedBytes: 800,
      payloadBytes: zeros.length - 32,
    });
    expect(zeros.length).toBeLessThan(60);
    const tiny = fileOf(ColumnType.BOOL, new Uint8Array(10), 'lz4');
    expect(decodeBinHeader(tiny, tiny.length)).toMatchObject({ compression: 0, payloadBytes: 10 });
  });

  test('is read back without a copy when raw', () => {
    const file = new Uint8Array(fileOf(ColumnType.FLOAT64, new Float64Array([1.5, Number.NaN])));
    const { values } = decodeBinColumn(file);
    expect(values.buffer).toBe(file.buffer);
    expect([...values]).toEqual([1.5, Number.NaN]);
  });

  test('is read back from any byte position', () => {
    const file = fileOf(ColumnType.FLOAT64, new Float64Array([1.5, -2.5]));
    const shifted = new Uint8Array(file.length + 3);
    shifted.set(file, 3);
    expect([...decodeBinColumn(shifted.subarray(3)).values]).toEqual([1.5, -2.5]);
  });
});

describe('the files of the original system', () => {
  const expected: Record<string, (i: number) => number | bigint> = {
    timestamp: (i) => HOUR_NS + BigInt(i) * 1_000_000_000n,
    price: (i) => BigInt(15000 + 10 * i),
    volume: (i) => BigInt(100 + i),
    msg_type: (i) => i % 3,
    f32: (i) => 0.5 * i,
    f64: (i) => 1.25 * i,
    sym: (i) => i % 2,
    flag: (i) => i % 2,
    str: (i) => i,
  };
  const types: Record<string, ColumnType> = {
    timestamp: ColumnType.TIMESTAMP_NS,
    price: ColumnType.INT64,
    volume: ColumnType.INT64,
    msg_type: ColumnType.INT32,
    f32: ColumnType.FLOAT32,
    f64: ColumnType.FLOAT64,
    sym: ColumnType.SYMBOL,
    flag: ColumnType.BOOL,
    str: ColumnType.STRING,
  };
  for (const variant of ['raw-42', 'lz4-42']) {
    const folder = new URL(`${variant}/${HOUR_NS}/`, fixtures);
    test(`${variant}: every column has the recorded values`, () => {
      const names = readdirSync(folder);
      expect(names.sort()).toEqual(
        Object.keys(expected)
          .map((name) => `${name}.bin`)
          .sort(),
      );
      for (const [name, expectedAt] of Object.entries(expected)) {
        const { header, values } = decodeBinColumn(readFileSync(new URL(`${name}.bin`, folder)));
        expect(header.version).toBe(2);
        expect(header.type).toBe(types[name]);
        expect([...values], name).toEqual(Array.from({ length: 10 }, (_, i) => expectedAt(i)));
      }
    });
  }

  test('a payload written here is the same as theirs, and holds the same values where it is compressed', () => {
    for (const name of Object.keys(expected)) {
      const theirs = readFileSync(new URL(`raw-42/${HOUR_NS}/${name}.bin`, fixtures));
      const { values } = decodeBinColumn(theirs);
      expect(hex(fileOf(types[name]!, values).subarray(32))).toBe(hex(theirs.subarray(40)));
      const squeezed = readFileSync(new URL(`lz4-42/${HOUR_NS}/${name}.bin`, fixtures));
      const ours = fileOf(types[name]!, values, 'lz4');
      expect([...decodeBinColumn(ours).values], name).toEqual([...decodeBinColumn(squeezed).values]);
    }
  });
});

describe('a file is refused', () => {
  const good = fileOf(ColumnType.INT32, new Int32Array([1, 2, 3]));
  const squeezed = fileOf(ColumnType.INT32, new Int32Array(1000), 'lz4');
  const golden = readFileSync(new URL(`raw-42/${HOUR_NS}/price.bin`, fixtures));
  const changed = (file: Uint8Array, at: number, value: number): Uint8Array => {
    const copy = new Uint8Array(file);
    copy[at] = value;
    return copy;
  };
  const cases: [string, Uint8Array, RegExp][] = [
    ['when empty', new Uint8Array(0), /too short/],
    ['when shorter than a header', good.subarray(0, 31), /too short/],
    ['when shorter than a version 2 header', changed(good.subarray(0, 36), 5, 2), /too short/],
    ['with another magic', changed(good, 0, 0x5a), /APEXH/],
    ['of version 0', changed(good, 5, 0), /version 0/],
    ['of version 3', changed(good, 5, 3), /version 3/],
    ['of an unknown type', changed(good, 6, 8), /column type 8/],
    ['of an unknown compression', changed(good, 7, 2), /compression 2/],
    ['without rows', changed(good, 8, 0), /no rows/],
    ['with more rows than values', changed(good, 8, 4), /not 4 values/],
    ['with a row count beyond 2^53', changed(good, 15, 1), /row count/],
    ['cut short', good.subarray(0, good.length - 1), /43 bytes/],
    ['with a byte too many', Buffer.concat([good, Buffer.alloc(1)]), /45 bytes/],
    ['raw with other sizes', changed(changed(good, 24, 16), 8, 4), /raw payload/],
    ['with a damaged block', changed(squeezed, 32, 0xff), /LZ4 block/],
    ['with a block that holds less', changed(changed(squeezed, 24, 0xa4), 8, 0xe9), /LZ4/],
    ['with a block that claims gigabytes', hugeClaim(squeezed), /cannot expand/],
    ['of another table', changed(golden, 32, 7), /table id 7/],
  ];
  for (const [name, file, problem] of cases)
    test(name, () => {
      expect(() => decodeBinColumn(file)).toThrow(problem);
      expect(() => decodeBinColumn(file)).toThrow(expect.objectContaining({ code: 'FORMAT_INVALID' }));
    });

  test('unless its folder is that of its table', () => {
    expect(decodeBinColumn(changed(golden, 32, 7), 7).values).toHaveLength(10);
  });

  function hugeClaim(file: Uint8Array): Uint8Array {
    const copy = Buffer.from(file);
    copy.writeBigUInt64LE(500_000_000n, 8);
    copy.writeBigUInt64LE(2_000_000_000n, 24);
    return copy;
  }
});
