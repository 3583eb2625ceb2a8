// What: what `zepto inspect` shows of each thing it can read.
// Why: it is read when something is wrong, so it must not add to it.
// Invariant: shown values are those that were written; damaged input is a typed error.

import { describe, expect, it } from 'vitest';
import { bytesOf, ColumnType } from '../../src/columns/types.ts';
import { encodeMetadata } from '../../src/commit/metadata.ts';
import { encodeBinColumn } from '../../src/format/bin.ts';
import { encodeManifest } from '../../src/format/manifest.ts';
import { describedText, describeFile, describeMetadata } from '../../src/verify/describe.ts';

describe('inspect', () => {
  it('decodes offset metadata with its staircase and its pending plan', () => {
    const text = encodeMetadata({
      committed: 1200,
      incarnation: 1,
      watermarkHour: 476_256,
      staircase: [{ hourLast: 476_255, offsetNext: 1300 }],
      pending: { hourLast: Infinity, offsetNext: 1400 },
      tableVersion: 3,
      published: null,
    });
    const described = describeMetadata(1200, text);
    expect(describedText(described)).toBe(
      `kind: commit record
committed: 1200
incarnation: 1
tableVersion: 3
watermark: 476256 (2024-05-01T00Z)
sealed:
  - offsets below 1300, hours to 476255 (2024-04-30T23Z)
pending: offsets below 1400, all hours
characters: ${text.length}
`,
    );
    expect(() => describeMetadata(1201, text)).toThrow(
      expect.objectContaining({ code: 'METADATA_UNREADABLE' }),
    );
  });

  it('shows a plan with its counts and files', async () => {
    const bytes = encodeManifest({
      plan: { group: 'g', topic: 't', partition: 3, incarnation: 0, hourLast: Infinity, offsetNext: 7 },
      table: 'trades',
      previousOffsetNext: 5,
      committedBefore: { offset: 5, staircase: [] },
      committedAfter: { offset: 7, staircase: [] },
      counts: { records: 2, rowsDecoded: 1, tombstones: 0, deadLettered: 1, rowsSealed: 1, rowsUnsealed: 0 },
      deadLetters: [{ offsetFirst: 6, offsetLast: 6, cause: 'no JSON' }],
      files: [
        {
          kind: 'parquet',
          table: 'trades',
          symbol: 1,
          hour: 0,
          path: 'x.parquet',
          rows: 1,
          bytes: 10,
          crc32c: '00000000',
          timestampMin: '1',
          timestampMax: '1',
        },
      ],
    });
    const text = describedText(await describeFile(bytes, 'plan.json'));
    expect(text).toContain('partition: 3\n');
    expect(text).toContain('hourLast: all hours\n');
    expect(text).toContain('deadLetters:\n  - offsetFirst: 6\n    offsetLast: 6\n    cause: no JSON\n');
    expect(text).toContain('    hour: 0 (1970-01-01T00Z)\n');
  });

  it('shows the header of a column', async () => {
    const column = encodeBinColumn(ColumnType.INT64, [BigInt64Array.of(1n, 2n)], 'none');
    expect(await describeFile(Buffer.concat(column.parts.map(bytesOf)), 'volume.bin')).toMatchObject({
      type: 'INT64',
      compression: 'none',
      rows: 2,
      payloadBytes: 16,
    });
  });

  it('refuses what is damaged', async () => {
    for (const name of ['plan.json', 'price.bin', 'x.parquet', 'segment.json'])
      await expect(describeFile(Buffer.from('not what it says'), name)).rejects.toThrow(
        expect.objectContaining({ code: 'FORMAT_INVALID' }),
      );
  });
});
