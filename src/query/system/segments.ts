// What: system.segments, a row for each part of each table, and system.tiers, their sums by tier.
// Why: where rows lie, how many and how large they are is what whoever runs the system asks first.
// Invariant: rows add up to count(*) of the table in the same snapshot.

import { NANOS_PER_HOUR } from '../../columns/types.ts';
import { INT64, STRING, TIMESTAMP } from '../../sql/types.ts';
import type { Run } from '../run.ts';
import type { AnyPart, Tier } from '../snapshot.ts';
import { type SystemColumn, systemTable } from './system-table.ts';

interface Segment {
  readonly table: string;
  readonly symbol: string;
  readonly part: AnyPart;
}

function* segmentsOf({ snapshot, texts }: Run): Generator<Segment> {
  const names = [...snapshot.tables.keys()].sort();
  for (const table of names) {
    const { symbols, partsOf } = snapshot.tables.get(table)!;
    for (const id of symbols) {
      const symbol = texts.textOf(id);
      for (const part of partsOf(id)) yield { table, symbol, part };
    }
  }
}

const hourNs = (hour: number): bigint => BigInt(hour) * NANOS_PER_HOUR;

/** Null where it is not known without a look at the files. */
function bytesOf(part: AnyPart): bigint | null {
  switch (part.tier) {
    case 'hot': {
      const [run] = part.runs;
      const rowBytes = run?.columns.reduce((sum, { BYTES_PER_ELEMENT: bytes }) => sum + bytes, 0) ?? 0;
      return BigInt(part.rows * rowBytes);
    }
    case 'warm':
      return part.bytes === undefined ? null : BigInt(part.bytes);
    case 'cold':
      return BigInt(part.bytes);
  }
}

function fileOf(part: AnyPart): string | null {
  switch (part.tier) {
    case 'hot':
      return null;
    case 'warm':
      return part.folder;
    case 'cold':
      return part.key;
  }
}

const segmentColumns: readonly SystemColumn<Segment>[] = [
  { name: 'table', type: STRING, of: ({ table }) => table },
  { name: 'symbol', type: STRING, of: ({ symbol }) => symbol },
  { name: 'symbol_id', type: INT64, of: ({ part }) => BigInt(part.symbol) },
  { name: 'hour', type: TIMESTAMP, of: ({ part }) => hourNs(part.hour) },
  { name: 'tier', type: STRING, of: ({ part }) => part.tier },
  { name: 'rows', type: INT64, of: ({ part }) => BigInt(part.rows) },
  { name: 'bytes', type: INT64, of: ({ part }) => bytesOf(part) },
  { name: 'min_time', type: TIMESTAMP, of: ({ part }) => part.timestampMin },
  { name: 'max_time', type: TIMESTAMP, of: ({ part }) => part.timestampMax },
  { name: 'topic', type: STRING, of: ({ part }) => part.topic },
  { name: 'partition', type: INT64, of: ({ part }) => BigInt(part.partition) },
  { name: 'file', type: STRING, of: ({ part }) => fileOf(part) },
];

export const segmentsTable = systemTable(segmentColumns, segmentsOf);

interface TierSums {
  readonly table: string;
  readonly tier: Tier;
  readonly symbols: Set<string>;
  segments: number;
  rows: number;
  /** Null when those of a segment are not known. */
  bytes: bigint | null;
  hourFirst: number | null;
  hourLast: number | null;
}

const tiers: readonly Tier[] = ['hot', 'warm', 'cold'];

function tiersOf(run: Run): TierSums[] {
  const sums = new Map<string, TierSums>();
  for (const table of [...run.snapshot.tables.keys()].sort())
    for (const tier of tiers)
      sums.set(`${table}/${tier}`, {
        ...{ table, tier, symbols: new Set(), segments: 0, rows: 0, bytes: 0n },
        ...{ hourFirst: null, hourLast: null },
      });
  for (const { table, symbol, part } of segmentsOf(run)) {
    const sum = sums.get(`${table}/${part.tier}`)!;
    const bytes = bytesOf(part);
    sum.symbols.add(symbol);
    sum.segments++;
    sum.rows += part.rows;
    sum.bytes = sum.bytes === null || bytes === null ? null : sum.bytes + bytes;
    sum.hourFirst = Math.min(sum.hourFirst ?? part.hour, part.hour);
    sum.hourLast = Math.max(sum.hourLast ?? part.hour, part.hour);
  }
  return [...sums.values()];
}

const hourOrNull = (hour: number | null): bigint | null => (hour === null ? null : hourNs(hour));

const tierColumns: readonly SystemColumn<TierSums>[] = [
  { name: 'table', type: STRING, of: ({ table }) => table },
  { name: 'tier', type: STRING, of: ({ tier }) => tier },
  { name: 'segments', type: INT64, of: ({ segments }) => BigInt(segments) },
  { name: 'symbols', type: INT64, of: ({ symbols }) => BigInt(symbols.size) },
  { name: 'rows', type: INT64, of: ({ rows }) => BigInt(rows) },
  { name: 'bytes', type: INT64, of: ({ bytes }) => bytes },
  { name: 'first_hour', type: TIMESTAMP, of: ({ hourFirst }) => hourOrNull(hourFirst) },
  { name: 'last_hour', type: TIMESTAMP, of: ({ hourLast }) => hourOrNull(hourLast) },
];

export const tiersTable = systemTable(tierColumns, tiersOf);

/** Of one table: rows, bytes where all are known, symbols, segments. */
export function sizeOf(
  table: string,
  { snapshot }: Run,
): {
  readonly rows: bigint;
  readonly bytes: bigint | null;
  readonly symbols: bigint;
  readonly segments: bigint;
} {
  const { symbols, partsOf } = snapshot.tables.get(table)!;
  let rows = 0;
  let segments = 0;
  let bytes: bigint | null = 0n;
  for (const symbol of symbols)
    for (const part of partsOf(symbol)) {
      const own = bytesOf(part);
      rows += part.rows;
      segments++;
      bytes = bytes === null || own === null ? null : bytes + own;
    }
  return { rows: BigInt(rows), bytes, symbols: BigInt(symbols.length), segments: BigInt(segments) };
}
