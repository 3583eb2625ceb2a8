// What: three small tables with everything that goes wrong in big ones.
// Why: NULLs, late rows, equal times, empty hours, negative prices and rare symbols must not change an answer.
// Invariant: the same rows in every run; `seq` is unique in its table.

import { ColumnType, type TableSchema } from '../../src/columns/types.ts';
import type { Row, TestTable } from './query-tables.ts';

export const HOUR_NS = 3_600_000_000_000n;
/** 2024-03-21 06:00 UTC. */
export const START_NS = 1_711_000_800_000_000_000n;

/** xorshift32: small, seeded, good enough for data. */
export function seededRandom(seed: number): () => number {
  let state = seed | 0 || 1;
  return () => {
    state ^= state << 13;
    state ^= state >>> 17;
    state ^= state << 5;
    return (state >>> 0) / 2 ** 32;
  };
}

const symbols = ['AAPL', 'MSFT', 'TSLA', 'Ärger', 'ZZ'];

const tickSchema: TableSchema = {
  name: 'ticks',
  columns: [
    { name: 'symbol', type: ColumnType.SYMBOL },
    { name: 'timestamp', type: ColumnType.TIMESTAMP_NS },
    { name: 'seq', type: ColumnType.INT64 },
    { name: 'price', type: ColumnType.INT64, scale: 4 },
    { name: 'volume', type: ColumnType.INT64 },
    { name: 'ratio', type: ColumnType.FLOAT64 },
    { name: 'side', type: ColumnType.BOOL },
    { name: 'venue', type: ColumnType.STRING },
    { name: 'flags', type: ColumnType.INT32 },
  ],
  symbolColumn: 0,
  timestampColumn: 1,
};

const quoteSchema: TableSchema = {
  name: 'quotes',
  columns: [
    { name: 'timestamp', type: ColumnType.TIMESTAMP_NS },
    { name: 'symbol', type: ColumnType.SYMBOL },
    { name: 'seq', type: ColumnType.INT64 },
    { name: 'bid', type: ColumnType.INT64, scale: 4 },
    { name: 'ask', type: ColumnType.INT32, scale: 2 },
    { name: 'size', type: ColumnType.INT64 },
  ],
  symbolColumn: 1,
  timestampColumn: 0,
};

const fillSchema: TableSchema = {
  name: 'fills',
  columns: [
    { name: 'timestamp', type: ColumnType.TIMESTAMP_NS },
    { name: 'symbol', type: ColumnType.SYMBOL },
    { name: 'seq', type: ColumnType.INT64 },
    { name: 'venue', type: ColumnType.STRING },
    { name: 'fee', type: ColumnType.FLOAT64 },
    { name: 'sent', type: ColumnType.TIMESTAMP_NS },
  ],
  symbolColumn: 1,
  timestampColumn: 0,
};

/** `ticks`, `quotes` and `fills`; other seeds give other rows, `size` about that many times as many. */
export function tablesOf(seed: number, size = 1): readonly TestTable[] {
  const rows = (count: number): number => Math.round(count * size);
  return [
    { schema: tickSchema, rows: tickRows(rows(240), seed + 7) },
    { schema: quoteSchema, rows: quoteRows(rows(180), seed + 11) },
    { schema: fillSchema, rows: fillRows(rows(40), seed + 13) },
  ];
}

function pick<T>(list: readonly T[], random: () => number): T {
  return list[Math.floor(random() * list.length)]!;
}

/** Times ascend over `hours` hours but for some late rows; about a tenth are equal to the one before. */
function times(count: number, hours: number, random: () => number): bigint[] {
  const step = (BigInt(hours) * HOUR_NS) / BigInt(count);
  const found: bigint[] = [];
  for (let i = 0; i < count; i++) {
    const last = found[i - 1];
    const late = random() < 0.08 ? BigInt(Math.floor(random() * 1.5e12)) : 0n;
    const time = START_NS + BigInt(i) * step + BigInt(Math.floor(random() * 1e9)) - late;
    found.push(last !== undefined && random() < 0.1 ? last : time < START_NS ? START_NS : time);
  }
  return found;
}

function tickRows(count: number, seed: number): Row[] {
  const random = seededRandom(seed);
  const orNull = <T>(value: T, share: number): T | null => (random() < share ? null : value);
  return times(count, 5, random).map((time, i) => [
    pick(symbols.slice(0, i % 50 === 0 ? 5 : 4), random),
    time,
    BigInt(i),
    orNull(1_500_000n + BigInt(Math.floor(random() * 20_000)) - (random() < 0.05 ? 3_000_000n : 0n), 0.05),
    orNull(BigInt(Math.floor(random() * 1000)), 0.05),
    orNull(Math.round(random() * 1e6) / 1e3 - 300, 0.08),
    orNull(random() < 0.5, 0.1),
    orNull(pick(['NYSE', 'XETRA', 'BATS', '', 'a_b%c'], random), 0.1),
    orNull(Math.floor(random() * 9) - 4, 0.1) as number | null,
  ]);
}

function quoteRows(count: number, seed: number): Row[] {
  const random = seededRandom(seed);
  return times(count, 4, random).map((time, i) => [
    time + 1_800_000_000_000n,
    pick(symbols.slice(0, 3), random),
    BigInt(i),
    random() < 0.05 ? null : 1_490_000n + BigInt(Math.floor(random() * 30_000)),
    random() < 0.05 ? null : BigInt(15_000 + Math.floor(random() * 300)),
    BigInt(1 + Math.floor(random() * 50)),
  ]);
}

function fillRows(count: number, seed: number): Row[] {
  const random = seededRandom(seed);
  return times(count, 6, random).map((time, i) => [
    time,
    pick(['AAPL', 'MSFT', 'NEW'], random),
    BigInt(i),
    random() < 0.2 ? null : pick(['NYSE', 'XETRA', 'LSE'], random),
    random() < 0.1 ? null : Math.round(random() * 1000) / 100,
    time - BigInt(Math.floor(random() * 5e9)),
  ]);
}
