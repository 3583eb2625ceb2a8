// What: names of objects, folders and manifests, against golden values of the original and hostile names.
// Why: a name is the identity of a file; two plans with one name would lose rows, one with two would double them.
// Invariant: what is parsed spells back to the same text.

import { describe, expect, test } from 'vitest';
import {
  binFolder,
  decodeName,
  encodeName,
  flatKey,
  hiveKey,
  hourOfNs,
  nsOfHour,
  parseBinFolder,
  parseFlatKey,
  parseHiveKey,
  parsePlanManifestKey,
  planHash,
  planManifestKey,
  symbolNamesKey,
  tablePrefix,
} from '../../src/format/layout.ts';
import type { PlanIdentity } from '../../src/format/segment.ts';

const plan: PlanIdentity = {
  group: 'desk',
  topic: 'ticks',
  partition: 3,
  incarnation: 0,
  hourLast: 476256,
  offsetNext: 1200,
};
const hash = '0123456789abcdef';

describe('hours', () => {
  test('begin at their first nanosecond, before 1970 too', () => {
    expect(hourOfNs(0n)).toBe(0);
    expect(hourOfNs(3_599_999_999_999n)).toBe(0);
    expect(hourOfNs(3_600_000_000_000n)).toBe(1);
    expect(hourOfNs(-1n)).toBe(-1);
    expect(hourOfNs(-3_600_000_000_000n)).toBe(-1);
    expect(hourOfNs(-3_600_000_000_001n)).toBe(-2);
    expect(hourOfNs(1711000800000000000n)).toBe(475278);
    expect(nsOfHour(475278)).toBe(1711000800000000000n);
    expect(nsOfHour(hourOfNs(-(2n ** 63n)))).toBeLessThanOrEqual(-(2n ** 63n));
  });
});

describe('the plan hash', () => {
  test('is fixed for ever', () => {
    expect(planHash(plan)).toBe('495b01030501fb8a');
    expect(planHash({ ...plan, hourLast: Infinity })).toBe('794c346fd4d208ff');
  });

  test('differs when any field does, and where joined names would be equal', () => {
    const others: PlanIdentity[] = [
      { ...plan, group: 'desk2' },
      { ...plan, group: 'desk","ticks', topic: '' },
      { ...plan, group: 'des', topic: 'kticks' },
      { ...plan, topic: 'quotes' },
      { ...plan, partition: 31, offsetNext: 200 },
      { ...plan, partition: 4 },
      { ...plan, incarnation: 1 },
      { ...plan, hourLast: 476257 },
      { ...plan, hourLast: Infinity },
      { ...plan, offsetNext: 1201 },
    ];
    const hashes = [plan, ...others].map(planHash);
    expect(new Set(hashes).size).toBe(hashes.length);
    for (const text of hashes) expect(text).toMatch(/^[0-9a-f]{16}$/);
  });
});

describe('hive keys', () => {
  test('have the golden values of the original, with our hash', () => {
    expect(hiveKey('', { symbol: 42, hour: 476256, hash: null })).toBe(
      'year=2024/month=05/day=01/symbol=42/42-476256.parquet',
    );
    expect(hiveKey('hdb', { symbol: 42, hour: 476256, hash })).toBe(
      'hdb/year=2024/month=05/day=01/symbol=42/42-476256-0123456789abcdef.parquet',
    );
    expect(hiveKey('hdb', { symbol: 1, hour: 482136, hash: null })).toContain('year=2025/month=01/day=01/');
  });

  test('have the date of every hour of a 64-bit time', () => {
    for (let hour = -2_562_047; hour <= 2_562_047; hour += 601) {
      const iso = new Date(hour * 3_600_000).toISOString();
      const folder = `year=${iso.slice(0, 4)}/month=${iso.slice(5, 7)}/day=${iso.slice(8, 10)}/symbol=7/`;
      expect(hiveKey('', { symbol: 7, hour, hash })).toBe(`${folder}7-${hour}-${hash}.parquet`);
    }
  });

  test('are read back, and nothing else is', () => {
    for (const hour of [476256, 0, -1, -2_562_047]) {
      const name = { symbol: 42, hour, hash };
      expect(parseHiveKey('a/b', hiveKey('a/b', name))).toEqual(name);
    }
    const key = hiveKey('hdb', { symbol: 42, hour: 476256, hash });
    for (const other of [
      key.replace('day=01', 'day=02'),
      key.replace('symbol=42', 'symbol=43'),
      key.replace('42-476', '042-476'),
      key.replace('hdb/', 'hdb-quotes/'),
      `x/${key}`,
      key.replace('.parquet', '.json'),
      key.replace(hash, hash.toUpperCase()),
      'hdb/_plans/desk/ticks/3/x.json',
    ])
      expect(parseHiveKey('hdb', other), other).toBeNull();
  });
});

describe('flat keys', () => {
  test('have the hour in seconds, or nanoseconds as the original wrote them', () => {
    expect(flatKey('hdb', { symbol: 42, hour: 475278, hash: null }, 's')).toBe('hdb/42/1711000800.parquet');
    expect(flatKey('hdb', { symbol: 42, hour: 475278, hash }, 'ns')).toBe(
      'hdb/42/1711000800000000000-0123456789abcdef.parquet',
    );
  });

  test('are read back, and an hour that is none is not', () => {
    for (const epoch of ['s', 'ns'] as const)
      for (const hour of [475279, 0, -7])
        for (const each of [hash, null]) {
          const name = { symbol: 9, hour, hash: each };
          expect(parseFlatKey('hdb', flatKey('hdb', name, epoch), epoch)).toEqual(name);
        }
    expect(parseFlatKey('hdb', 'hdb/42/1711000801.parquet', 's')).toBeNull();
    expect(parseFlatKey('hdb', 'hdb/42/1711000800000000001.parquet', 'ns')).toBeNull();
    expect(parseFlatKey('hdb', 'hdb/42/-0.parquet', 's')).toBeNull();
  });
});

describe('a table', () => {
  test('has a prefix of its own, so that readers may glob it', () => {
    expect(tablePrefix('hdb', 'trades')).toBe('hdb');
    expect(tablePrefix('hdb', 'quotes')).toBe('hdb-quotes');
    expect(tablePrefix('', 'trades')).toBe('');
    expect(tablePrefix('', 'quotes')).toBe('quotes');
  });
});

describe('local folders', () => {
  test('are those of the original for trades, and lie in a table folder for others', () => {
    expect(binFolder({ table: 'trades', symbol: 42, hour: 475278, hash: null })).toBe(
      '42/1711000800000000000',
    );
    expect(binFolder({ table: 'quotes', symbol: 7, hour: -1, hash })).toBe(
      'quotes/7/-3600000000000-0123456789abcdef',
    );
  });

  test('are read back, and nothing else is', () => {
    for (const table of ['trades', 'quotes', 'odd name/1'])
      for (const each of [hash, null]) {
        const name = { table, symbol: 3, hour: 475278, hash: each };
        expect(parseBinFolder(binFolder(name))).toEqual(name);
      }
    for (const path of ['.tmp/x', '42', '42/1711000800000000001', '42/x', 'trades/42/0', 'a/b/1/0'])
      expect(parseBinFolder(path), path).toBeNull();
  });
});

describe('manifests and symbol names', () => {
  test('stand below the prefix, in the order of their offsets', () => {
    expect(planManifestKey('hdb', plan)).toBe(
      `hdb/_plans/desk/ticks/3/00000000000000001200-${planHash(plan)}.json`,
    );
    expect(symbolNamesKey('', 'desk', 0, 99)).toBe('_symbols/desk/0000000000-0000000099.csv');
  });

  test('keep any group and topic name, as one path element each', () => {
    for (const group of ['a/b', '..', '.', 'ä €', "it's (1)*!~", '%41', 'a_b-c.d']) {
      const key = planManifestKey('p', { ...plan, group });
      expect(key.split('/')).toHaveLength(6);
      expect(parsePlanManifestKey('p', key)).toEqual({
        group,
        topic: 'ticks',
        partition: 3,
        offsetNext: 1200,
        hash: planHash({ ...plan, group }),
      });
      expect(encodeName(group)).toMatch(/^[A-Za-z0-9._%-]+$/);
      expect(encodeName(group)).not.toMatch(/^\.+$/);
    }
    for (const strange of ['a b', '%41', '%2e', '%ff', '..']) expect(decodeName(strange), strange).toBeNull();
  });

  test('another prefix or spelling is no manifest', () => {
    const key = planManifestKey('hdb', plan);
    expect(parsePlanManifestKey('other', key)).toBeNull();
    expect(parsePlanManifestKey('hdb', key.replace('/3/', '/03/'))).toBeNull();
    expect(parsePlanManifestKey('hdb', key.replace('00000', '99999'))).toBeNull();
  });
});
