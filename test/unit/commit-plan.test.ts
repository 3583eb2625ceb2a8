// What: when a plan is cut, trigger by trigger, and what recovery decides from what Kafka holds.
// Why: a trigger that fires wrongly makes tiny files or holds memory; a recovery that guesses loses rows.
// Invariant: no start that jumps over records unseen, nor one that takes records without rows for lost ones.

import { describe, expect, it } from 'vitest';
import { encodeMetadata } from '../../src/commit/metadata.ts';
import { choosePlan, type PartitionView, type SealPolicy } from '../../src/commit/plan.ts';
import { recover } from '../../src/commit/recover.ts';
import { retentionProblem } from '../../src/commit/retention.ts';

const HOUR = 3_600_000;
const policy: SealPolicy = {
  isWindow: false,
  intervalMs: 0,
  idleMs: 0,
  rowsMax: 0,
  bytesMax: 0,
  allowedLatenessMs: 60_000,
  holdBackRecords: 0,
  holdBackBytes: 0,
  holdBackMs: 0,
};
const view: PartitionView = {
  position: 1000,
  committed: 400,
  metadataChars: 40,
  rows: 600,
  bytes: 65_536,
  deadLetters: 0,
  bytesAhead: 5000,
  hours: [10, 11],
  watermarkMs: 11 * HOUR + 30_000,
  hourClosedLast: Number.NEGATIVE_INFINITY,
  sealedAtMs: 0,
  lastRowAtMs: 0,
  committedMovedAtMs: 0,
  isOutdated: false,
};
const now = 11.5 * HOUR;
const all = { hourLast: Number.POSITIVE_INFINITY, offsetNext: 1000 };

describe('choosePlan', () => {
  it('seals nothing when there is nothing to seal', () => {
    expect(choosePlan({ ...view, rows: 0 }, { ...policy, intervalMs: 1 }, 'demand', now)).toBeNull();
  });

  it('moves the committed offset past records without rows when the process ends or they hold it back', () => {
    const empty = { ...view, rows: 0, hours: [] };
    const held = { ...policy, holdBackRecords: 600 };
    expect(choosePlan(empty, policy, 'shutdown', now)).toEqual({ trigger: 'shutdown', step: all });
    expect(choosePlan(empty, held, null, now)).toEqual({ trigger: 'hold-back', step: all });
    expect(choosePlan(empty, { ...policy, idleMs: 5, intervalMs: 5 }, null, now)).toBeNull();
    const level = { ...empty, committed: empty.position };
    expect(choosePlan(level, { ...held, holdBackMs: 1 }, 'shutdown', now)).toBeNull();
    expect(choosePlan(empty, { ...held, isWindow: true }, 'shutdown', now)).toBeNull();
  });

  it('closes an hour once the watermark is past its end by the allowed lateness', () => {
    expect(choosePlan(view, policy, null, now)).toBeNull();
    const late = { ...view, watermarkMs: 11 * HOUR + 60_000 };
    expect(choosePlan(late, policy, null, now)).toEqual({
      trigger: 'hour-closed',
      step: { hourLast: 10, offsetNext: 1000 },
    });
  });

  it('does not close hours ahead of wall clock for a tick dated in the future', () => {
    const future = { ...view, watermarkMs: 900 * HOUR, hours: [11, 900] };
    expect(choosePlan(future, policy, null, now)).toBeNull();
  });

  it('lets late rows of a closed hour wait for the next plan', () => {
    const late = { ...view, watermarkMs: 11 * HOUR + 120_000, hourClosedLast: 10 };
    expect(choosePlan(late, policy, null, now)).toBeNull();
  });

  it.each([
    ['interval', { ...policy, intervalMs: 5 }, {}],
    ['idle', { ...policy, idleMs: 5 }, {}],
    ['rows', { ...policy, rowsMax: 600 }, {}],
    ['bytes', { ...policy, bytesMax: 65_536 }, {}],
    ['hold-back', { ...policy, holdBackRecords: 600 }, {}],
    ['hold-back', { ...policy, holdBackMs: 1000 }, {}],
    ['hold-back', { ...policy, holdBackBytes: 5000 }, {}],
    ['metadata', policy, { metadataChars: 2048 }],
  ] as const)('seals everything for %s', (trigger, with_, change) => {
    expect(choosePlan({ ...view, ...change }, with_, null, now)).toEqual({ trigger, step: all });
  });

  it.each(['demand', 'shutdown', 'memory'] as const)('seals everything on %s', (request) => {
    expect(choosePlan(view, policy, request, now)).toEqual({ trigger: request, step: all });
  });

  it('seals dead letters that have no row beside them', () => {
    const letters = { ...view, rows: 0, deadLetters: 3, hours: [] };
    expect(choosePlan(letters, { ...policy, intervalMs: 5 }, null, now)).toEqual({
      trigger: 'interval',
      step: all,
    });
  });
});

describe('choosePlan for a window in memory', () => {
  const window = { ...policy, isWindow: true, intervalMs: 1, idleMs: 1, rowsMax: 1, holdBackRecords: 1 };

  it('lets go of the hours that the window has passed, and of nothing on demand or at the end', () => {
    expect(choosePlan(view, window, null, now)).toBeNull();
    expect(choosePlan(view, window, 'demand', now)).toBeNull();
    expect(choosePlan(view, window, 'shutdown', now)).toBeNull();
    const passed = { ...view, watermarkMs: 11 * HOUR + 60_000 };
    expect(choosePlan(passed, window, null, now)?.step).toEqual({ hourLast: 10, offsetNext: 1000 });
  });

  it('lets go of the oldest hour under memory pressure', () => {
    expect(choosePlan(view, window, 'memory', now)?.step).toEqual({ hourLast: 10, offsetNext: 1000 });
  });
});

describe('retentionProblem', () => {
  const kept = { ms: 10 * HOUR, compacted: false };

  it('passes a topic that keeps records longer than rows can wait', () => {
    expect(retentionProblem('t', kept, { ...policy, holdBackMs: 3 * HOUR })).toBeNull();
    expect(retentionProblem('t', { ...kept, ms: null }, policy)).toBeNull();
  });

  it('names the numbers and the setting where rows could wait longer than the topic keeps them', () => {
    expect(retentionProblem('t', kept, { ...policy, holdBackMs: 12 * HOUR })).toMatch(
      /10 h.*12 h \(--hold-back-max-time\)/,
    );
    expect(retentionProblem('t', kept, policy)).toMatch(/for ever/);
    expect(retentionProblem('t', { ...kept, compacted: true }, policy)).toMatch(/compacted/);
  });
});

describe('recover', () => {
  const partition = { topic: 'ticks', partition: 3 };
  const bounds = { earliest: 100, latest: 5000 };
  const options = { autoOffsetReset: 'earliest', onDataLoss: 'stop' } as const;
  const record = {
    committed: 400,
    incarnation: 2,
    watermarkHour: 7,
    staircase: [],
    pending: null,
    tableVersion: 0,
    published: null,
  };
  const committed = { offset: 400, metadata: encodeMetadata(record) };

  it('starts a new group at the earliest or the latest offset and has that recorded', () => {
    const first = recover(null, bounds, partition, options);
    expect(first).toMatchObject({ isNew: true, expectNoPlans: true, record: { committed: 100 } });
    expect(recover(null, bounds, partition, { ...options, autoOffsetReset: 'latest' }).record.committed).toBe(
      5000,
    );
  });

  it('goes on from the record that Kafka holds', () => {
    expect(recover(committed, bounds, partition, options)).toEqual({
      record,
      isNew: false,
      recordsLost: 0,
      expectNoPlans: false,
    });
  });

  it('stops when retention removed unsealed records, unless told to go on', () => {
    const cut = { earliest: 450, latest: 5000 };
    expect(() => recover(committed, cut, partition, options)).toThrow(/removed 50 records.*--on-data-loss/s);
    const passed = recover(committed, cut, partition, { ...options, onDataLoss: 'earliest' });
    expect(passed).toMatchObject({ recordsLost: 50, record });
  });

  it('stops when the topic was recreated; going on starts a new incarnation', () => {
    const recreated = { earliest: 0, latest: 10 };
    expect(() => recover(committed, recreated, partition, options)).toThrow(/recreated/);
    const passed = recover(committed, recreated, partition, { ...options, onDataLoss: 'earliest' });
    expect(passed.record).toMatchObject({ committed: 0, incarnation: 3 });
    expect(passed.isNew).toBe(true);
  });

  it('takes an offset that an operator set over, if the group has no plans', () => {
    const set = recover({ offset: 700, metadata: '' }, bounds, partition, options);
    expect(set).toMatchObject({ isNew: true, expectNoPlans: true, record: { committed: 700 } });
  });
});
