// What: plan manifests: their bytes, what is refused, and what does not add up.
// Why: `zepto verify` proves exactly-once from these alone.
// Invariant: a manifest that was written is read back as it was.

import { describe, expect, test } from 'vitest';
import {
  deadLetterRanges,
  encodeManifest,
  type PlanManifest,
  parseManifest,
} from '../../src/format/manifest.ts';
import type { SegmentFile } from '../../src/format/segment.ts';

const file: SegmentFile = {
  kind: 'parquet',
  table: 'trades',
  symbol: 42,
  hour: 475278,
  path: 'ticks/year=2024/month=03/day=21/symbol=42/42-475278-0123456789abcdef.parquet',
  rows: 10,
  bytes: 1500,
  crc32c: '0a1b2c3d',
  timestampMin: '1711000800000000000',
  timestampMax: '1711000809000000000',
};
const early: SegmentFile = { ...file, symbol: 7, rows: 2, hour: -1, timestampMin: '-9', timestampMax: '-1' };

const written: Omit<PlanManifest, 'encoder' | 'timestampMin' | 'timestampMax'> = {
  plan: { group: 'desk', topic: 'ticks', partition: 3, incarnation: 0, hourLast: Infinity, offsetNext: 120 },
  table: 'trades',
  previousOffsetNext: 100,
  committedBefore: { offset: 90, staircase: [{ hourLast: 475277, offsetNext: 100 }] },
  committedAfter: { offset: 120, staircase: [] },
  counts: { records: 18, rowsDecoded: 15, tombstones: 1, deadLettered: 3, rowsSealed: 12, rowsUnsealed: 0 },
  deadLetters: [
    { offsetFirst: 101, offsetLast: 102, cause: 'not JSON' },
    { offsetFirst: 105, offsetLast: 105, cause: 'price is missing' },
  ],
  files: [file, early],
};
const text = (bytes: Uint8Array): string => Buffer.from(bytes).toString('utf8');

test('is one line of JSON, the same for the same plan', () => {
  expect(text(encodeManifest(written))).toBe(
    `{"format":"zepto plan","version":1,"encoder":1,` +
      `"plan":{"hash":"6ef8ea6dec4248e9","group":"desk","topic":"ticks","partition":3,"incarnation":0,"hourLast":null,"offsetNext":120},` +
      `"table":"trades","previousOffsetNext":100,` +
      `"committedBefore":{"offset":90,"staircase":[{"hourLast":475277,"offsetNext":100}]},` +
      `"committedAfter":{"offset":120,"staircase":[]},` +
      `"counts":{"records":18,"rowsDecoded":15,"tombstones":1,"deadLettered":3,"rowsSealed":12,"rowsUnsealed":0},` +
      `"deadLetters":[{"offsetFirst":101,"offsetLast":102,"cause":"not JSON"},{"offsetFirst":105,"offsetLast":105,"cause":"price is missing"}],` +
      `"timestampMin":"-9","timestampMax":"1711000809000000000",` +
      `"files":[${JSON.stringify(early)},${JSON.stringify(file)}]}\n`,
  );
  const shuffled = Object.fromEntries(
    Object.entries({ ...written, files: written.files.toReversed() }).reverse(),
  ) as unknown as typeof written;
  expect(text(encodeManifest(shuffled))).toBe(text(encodeManifest(written)));
});

test('is read back as it was, time range and order filled in', () => {
  expect(parseManifest(encodeManifest(written), 'k')).toEqual({
    ...written,
    encoder: 1,
    files: [early, file],
    timestampMin: '-9',
    timestampMax: '1711000809000000000',
  });
});

test('may have no files: a plan that only moved past dead letters', () => {
  const empty = {
    ...written,
    files: [],
    counts: { ...written.counts, rowsSealed: 0, rowsUnsealed: 4 },
    plan: { ...written.plan, hourLast: -5 },
  };
  const read = parseManifest(encodeManifest(empty), 'k');
  expect(read).toMatchObject({ files: [], timestampMin: null, timestampMax: null, plan: { hourLast: -5 } });
});

test('dead letters at neighbouring offsets of one cause make one range', () => {
  const letters = [
    { offset: 1, cause: 'a' },
    { offset: 2, cause: 'a' },
    { offset: 3, cause: 'b' },
    { offset: 5, cause: 'b' },
    { offset: 6, cause: 'b' },
  ];
  expect(deadLetterRanges(letters)).toEqual([
    { offsetFirst: 1, offsetLast: 2, cause: 'a' },
    { offsetFirst: 3, offsetLast: 3, cause: 'b' },
    { offsetFirst: 5, offsetLast: 6, cause: 'b' },
  ]);
});

describe('is refused', () => {
  interface Json {
    plan: object;
    counts: object;
    committedAfter: object;
    files: object[];
  }
  const changed = (change: (json: Json) => unknown): Uint8Array => {
    const json = JSON.parse(text(encodeManifest(written))) as Json;
    return Buffer.from(JSON.stringify(change(json) ?? json));
  };
  const set = (json: object, values: object): void => void Object.assign(json, values);
  const cases: [string, Uint8Array, RegExp][] = [
    ['when it is empty', new Uint8Array(0), /not JSON/],
    ['when it was cut', encodeManifest(written).slice(0, -10), /not JSON/],
    ['when it is not UTF-8', Buffer.from([0x22, 0xff, 0x22]), /not JSON/],
    ['when it is null', Buffer.from('null'), /no zepto plan/],
    ['when it is another record', changed((m) => set(m, { format: 'zepto segment' })), /no zepto plan/],
    ['when it is of a newer version', changed((m) => ({ ...m, version: 2, more: 1 })), /upgrade/],
    ['with a field too many', changed((m) => set(m, { extra: 1 })), /extra/],
    ['with a field missing', changed((m) => ({ ...m, table: undefined })), /"table"/],
    ['with a negative count', changed((m) => set(m.counts, { records: -1 })), /counts\.records/],
    ['with a fraction', changed((m) => set(m.counts, { records: 1.5 })), /counts\.records/],
    [
      'with an offset beyond 2^53',
      changed((m) => set(m, { previousOffsetNext: 2 ** 60 })),
      /previousOffsetNext/,
    ],
    ['with a checksum that is none', changed((m) => set(m.files[0]!, { crc32c: 'xyz' })), /files\.0\.crc32c/],
    ['with a time that is none', changed((m) => set(m, { timestampMin: '01' })), /timestampMin/],
    ["with another plan's hash", changed((m) => set(m.plan, { offsetNext: 119 })), /hash/],
    ['when files and rows differ', changed((m) => set(m.counts, { rowsSealed: 13 })), /12 rows/],
    [
      'when dead letters and count differ',
      changed((m) => set(m.counts, { deadLettered: 2 })),
      /3 dead letters/,
    ],
    [
      'when the plan before ends later',
      changed((m) => set(m, { previousOffsetNext: 121 })),
      /before ends above/,
    ],
    ['when the commit goes back', changed((m) => set(m.committedAfter, { offset: 1 })), /goes back/],
    [
      'when the commit passes the plan',
      changed((m) => set(m.committedAfter, { offset: 121 })),
      /more is committed/,
    ],
    ['with more records than offsets', changed((m) => set(m.counts, { records: 21 })), /more records than/],
    [
      'with more skipped than consumed',
      changed((m) => set(m.counts, { records: 3 })),
      /more records skipped/,
    ],
    ['with another earliest time', changed((m) => set(m, { timestampMin: '-8' })), /earliest/],
    ['with another latest time', changed((m) => set(m, { timestampMax: '5' })), /latest/],
  ];
  for (const [name, bytes, problem] of cases)
    test(name, () => {
      expect(() => parseManifest(bytes, 'ticks/_plans/k.json')).toThrow(problem);
      expect(() => parseManifest(bytes, 'ticks/_plans/k.json')).toThrow(
        expect.objectContaining({ code: 'FORMAT_INVALID', action: 'stop' }),
      );
    });
});
