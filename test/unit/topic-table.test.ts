// What: the versions of a topic's table as a shard holds them, and rows of several versions in memory.
// Why: a run holds on to the object while versions come; another table on the topic must not pass for the same.
// Invariant: what reads a version is made once.

import { describe, expect, it } from 'vitest';
import { RowBuffer } from '../../src/columns/batch.ts';
import { ColumnType, NANOS_PER_HOUR, type TableSchema } from '../../src/columns/types.ts';
import { TopicTable } from '../../src/engine/topic-table.ts';
import type { RowDecoder, TableSource } from '../../src/ports.ts';
import { SlabPool } from '../../src/store/arena.ts';
import { HotPartition, segmentsOf } from '../../src/store/hot.ts';

const schemaOf = (name: string, ...columns: readonly string[]): TableSchema => ({
  name,
  columns: [
    { name: 'timestamp', type: ColumnType.TIMESTAMP_NS },
    { name: 'symbol', type: ColumnType.SYMBOL },
    ...columns.map((column) => ({ name: column, type: ColumnType.INT64 })),
  ],
  timestampColumn: 0,
  symbolColumn: 1,
});
const sourceOf = (table: TableSchema): TableSource => ({
  table,
  topic: 'ticks',
  format: { kind: 'json', fields: { names: {}, timeUnit: 'ns', scaledNumbers: 'value' } },
});
const [plain, wider, other] = [schemaOf('t'), schemaOf('t', 'a'), schemaOf('u', 'a')].map(sourceOf);

describe('the table of a topic', () => {
  const made: string[] = [];
  const decoderOf = ({ table }: TableSource): RowDecoder => {
    made.push(table.columns.map(({ name }) => name).join());
    return { decode: () => {} };
  };

  it('takes versions up, and reads each in its own way', () => {
    const table = new TopicTable([plain!], decoderOf);
    expect(table.extend([plain!, wider!])).toBe(true);
    expect([table.newest, table.source]).toEqual([1, wider]);
    expect(table.at(0)).toBe(table.at(0));
    expect(table.at(1).rows.columns.length).toBe(3);
    expect(table.at(0).rows.columns.length).toBe(2);
    expect(made).toEqual(['timestamp,symbol', 'timestamp,symbol,a']);
  });

  it('is not that of other versions, of fewer, or of another name', () => {
    const table = new TopicTable([plain!, wider!], decoderOf);
    expect(table.extend([wider!])).toBe(false);
    expect(table.extend([plain!])).toBe(false);
    expect(table.extend([plain!, wider!, other!])).toBe(false);
    expect(table.newest).toBe(1);
    expect(table.extend([plain!, structuredClone(wider!)])).toBe(true);
  });
});

describe('rows in memory', () => {
  const HOUR = 475_000;

  function append(
    hot: HotPartition,
    { table }: TableSource,
    offset: number,
    values: readonly number[],
  ): void {
    const rows = new RowBuffer(table);
    (rows.columns[0]!.values as BigInt64Array)[0] = BigInt(HOUR) * NANOS_PER_HOUR;
    for (const [i, value] of values.entries())
      (rows.columns[2 + i]!.values as BigInt64Array)[0] = BigInt(value);
    rows.offset[0] = offset;
    rows.rows = 1;
    hot.append(rows, null);
  }

  it('of an older version of the table stay what they are, and are counted and sealed with the others', () => {
    const hot = new HotPartition(plain!.table, new SlabPool());
    append(hot, plain!, 5, []);
    hot.takeUp(wider!.table);
    append(hot, wider!, 6, [7]);
    expect([hot.rows, hot.hours, hot.offsetFirst, hot.offsetNext]).toEqual([2, [HOUR], 5, 7]);
    const frozen = hot.freeze(HOUR);
    expect(segmentsOf(frozen).map(({ chunks }) => chunks[0]!.columns.length)).toEqual([1, 2]);
    expect([hot.rows, hot.hours, hot.offsetFirst, hot.bytes]).toEqual([0, [], null, 0]);
  });
});
