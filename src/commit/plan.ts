// What: when to seal, and what: the decision of the next plan from the state of one Kafka partition.
// Why: every trigger (hour closed, idle, bytes, rows, wall clock, memory, hold-back, demand, shutdown) is one pure function.
// Invariant: a choice may depend on wall clock and load; what a chosen plan holds depends on the log alone.

import { METADATA_CHARS_FULL } from './metadata.ts';
import type { Step } from './staircase.ts';

export type SealTrigger =
  | 'hour-closed'
  | 'interval'
  | 'idle'
  | 'rows'
  | 'bytes'
  | 'memory'
  | 'hold-back'
  | 'metadata'
  | 'demand'
  | 'shutdown'
  | 'altered'
  | 'recovery';

/** Bounds; 0 switches a trigger off. */
export interface SealPolicy {
  /**
   * Plans leave no files (PURE_IN_MEMORY): sealing is letting go of the oldest hours, which the closed-hour trigger
   * and memory pressure ask for, and nothing else may.
   */
  readonly isWindow: boolean;
  /** Wall clock between plans. */
  readonly intervalMs: number;
  /** No row for this long. */
  readonly idleMs: number;
  readonly rowsMax: number;
  readonly bytesMax: number;
  /** An hour closes when the watermark is past its end by this much. */
  readonly allowedLatenessMs: number;
  /** Bounds on how far the position may run ahead of the committed offset, in records, in bytes
   * taken in since the last commit that moved it, and in time since then. */
  readonly holdBackRecords: number;
  readonly holdBackBytes: number;
  readonly holdBackMs: number;
}

/** What the decision looks at. Rows and bytes are of unsealed rows; hours ascend. */
export interface PartitionView {
  readonly position: number;
  readonly committed: number;
  readonly metadataChars: number;
  readonly rows: number;
  readonly bytes: number;
  readonly deadLetters: number;
  /** Bytes of records taken in since the committed offset last moved. */
  readonly bytesAhead: number;
  readonly hours: readonly number[];
  /** Highest event time taken in, ms since 1970 UTC; null when none. */
  readonly watermarkMs: number | null;
  /** The hour of the newest hour-closed plan; −Infinity when none is known. */
  readonly hourClosedLast: number;
  /** When the last plan was committed, or the partition was recovered. */
  readonly sealedAtMs: number;
  readonly lastRowAtMs: number;
  /** When the committed offset last moved, or the partition was recovered. */
  readonly committedMovedAtMs: number;
  /** The table has a newer version than the one under which rows are taken in: what there is has to be sealed first. */
  readonly isOutdated: boolean;
}

export interface Choice {
  readonly trigger: SealTrigger;
  readonly step: Step;
}

const HOUR_MS = 3_600_000;

/** What an outside party wants: a person or the shutdown everything now, the budget memory back. */
export type SealRequest = 'demand' | 'shutdown' | 'memory' | null;

export function choosePlan(
  view: PartitionView,
  policy: SealPolicy,
  request: SealRequest,
  nowMs: number,
): Choice | null {
  const everything = (trigger: SealTrigger): Choice => ({
    trigger,
    step: { hourLast: Number.POSITIVE_INFINITY, offsetNext: view.position },
  });
  if (view.isOutdated && !policy.isWindow) return everything('altered');
  const isEmpty = view.rows === 0 && view.deadLetters === 0;
  if (isEmpty && (policy.isWindow || view.position === view.committed)) return null;
  if (policy.isWindow) return chooseEviction(view, policy, request, nowMs);
  // Records without rows (tombstones, aborted transactions) must not be missed once retention has removed them.
  if (request !== null && (!isEmpty || request === 'shutdown')) return everything(request);
  if (view.metadataChars >= METADATA_CHARS_FULL) return everything('metadata');
  if (exceeds(view.position - view.committed, policy.holdBackRecords)) return everything('hold-back');
  if (exceeds(view.bytesAhead, policy.holdBackBytes)) return everything('hold-back');
  if (exceeds(nowMs - view.committedMovedAtMs, policy.holdBackMs)) return everything('hold-back');
  if (isEmpty) return null;
  if (exceeds(view.rows, policy.rowsMax)) return everything('rows');
  if (exceeds(view.bytes, policy.bytesMax)) return everything('bytes');
  if (exceeds(nowMs - view.sealedAtMs, policy.intervalMs)) return everything('interval');
  if (exceeds(nowMs - view.lastRowAtMs, policy.idleMs)) return everything('idle');
  return chooseClosedHours(view, policy, nowMs);
}

/** The hours that the window has passed; under memory pressure the oldest hour, whatever its age. */
function chooseEviction(
  view: PartitionView,
  policy: SealPolicy,
  request: SealRequest,
  nowMs: number,
): Choice | null {
  const oldest = view.hours[0];
  if (request === 'memory' && oldest !== undefined)
    return { trigger: 'memory', step: { hourLast: oldest, offsetNext: view.position } };
  return chooseClosedHours(view, policy, nowMs);
}

function chooseClosedHours(view: PartitionView, policy: SealPolicy, nowMs: number): Choice | null {
  const hourLast = hourClosed(view, policy, nowMs);
  // Late rows of hours that were closed before wait for company: they alone do not make a plan each second.
  if (hourLast === null || hourLast <= view.hourClosedLast) return null;
  if (view.hours.length === 0 || view.hours[0]! > hourLast) return null;
  return { trigger: 'hour-closed', step: { hourLast, offsetNext: view.position } };
}

/** The last hour that no timely tick can belong to. A tick dated in the future does not close hours before their wall-clock end. */
function hourClosed(view: PartitionView, policy: SealPolicy, nowMs: number): number | null {
  if (view.watermarkMs === null) return null;
  const reachedMs = Math.min(view.watermarkMs, nowMs);
  return Math.floor((reachedMs - policy.allowedLatenessMs) / HOUR_MS) - 1;
}

function exceeds(value: number, bound: number): boolean {
  return bound > 0 && value >= bound;
}
