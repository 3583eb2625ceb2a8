// What: worlds in which the table is altered while ticks flow, and each member learns of it when it does.
// Why: a replay must read each row as its plan read it, also the rows that one version can read and another cannot.
// Invariant: chance of its own, so that the other worlds are what they are without it.

import { ColumnType, type TableSchema } from '../../src/columns/types.ts';
import type { TableSource } from '../../src/ports.ts';
import { Chance } from './scheduler.ts';
import type { LogRecord } from './world.ts';

/** Two worlds in this many. */
const EVERY = 5;

/** Version n of the table: the columns that all have, and from the first ALTER on one of its own, `v{n}`. */
export function tableOf(version: number): TableSchema {
  return {
    name: 'trades',
    columns: [
      { name: 'timestamp', type: ColumnType.TIMESTAMP_NS },
      { name: 'symbol', type: ColumnType.SYMBOL },
      { name: 'id', type: ColumnType.INT64 },
      ...(version === 0 ? [] : [{ name: `v${version}`, type: ColumnType.INT64 }]),
    ],
    timestampColumn: 0,
    symbolColumn: 1,
  };
}

export const versionsTo = (newest: number, topic: string): TableSource[] =>
  Array.from({ length: newest + 1 }, (_, version) => ({
    table: tableOf(version),
    topic,
    format: { kind: 'json', fields: { names: {}, timeUnit: 'ns', scaledNumbers: 'value' } },
  }));

/** What a version's own column holds. */
export const ownValue = (version: number, id: number): bigint => BigInt(version) * 1_000_000n + BigInt(id);

/** Whether the record gives no row under this version. */
export const isUnreadable = ({ kind, fails }: LogRecord, version: number): boolean =>
  kind === 'undecodable' || (kind === 'row' && fails === (version % 2 === 1 ? 'odd' : 'even'));

export interface Alterations {
  /** Until the next ALTER, ms; null: there is none. */
  pauseMs(): number | null;
  /** Until a member has read of it. */
  noticeMs(): number;
  /** How long decoding waits, as for a schema registry. */
  decodingMs(): number;
  fails(): LogRecord['fails'];
}

export function alterations(seed: number): Alterations {
  if (seed % EVERY > 1)
    return { pauseMs: () => null, noticeMs: () => 0, decodingMs: () => 0, fails: () => 'never' };
  const chance = new Chance(seed ^ 0x3c6ef372);
  const pause = chance.pick([400, 1500, 4000]);
  const notice = chance.pick([20, 800]);
  return {
    pauseMs: () => 50 + chance.below(pause),
    noticeMs: () => chance.below(notice),
    decodingMs: () => (chance.happens(0.3) ? chance.below(150) : 0),
    fails: () => (chance.happens(0.1) ? chance.pick(['odd', 'even'] as const) : 'never'),
  };
}
