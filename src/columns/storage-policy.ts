// What: a table's storage policy, and the hours that it has a say over at a given time.
// Why: shards move rows by it and queries leave dropped ones out; both must draw the line at the same hour.
// Invariant: pure; ages count from the start of an hour, so all rows of an hour move together.

/** Ages in minutes since the start of the hour partition; null where the policy says nothing. */
export interface StoragePolicy {
  /** Rows may leave memory, to be read from their files. */
  readonly hotMinutes: number | null;
  /** Rows must stand in files. */
  readonly warmMinutes: number | null;
  /** Local files go; the objects remain. */
  readonly coldMinutes: number | null;
  /** Everything goes. */
  readonly dropMinutes: number | null;
}

/** The last hour of each kind; null: none. */
export interface PolicyHours {
  readonly leavesMemory: number | null;
  readonly isSealed: number | null;
  readonly leavesDisk: number | null;
  readonly isDropped: number | null;
}

const HOUR_MS = 3_600_000;
const noAges: StoragePolicy = { hotMinutes: null, warmMinutes: null, coldMinutes: null, dropMinutes: null };

export function policyHours(policy: StoragePolicy, nowMs: number): PolicyHours {
  const lastOf = (minutes: number | null): number | null =>
    minutes === null ? null : Math.floor((nowMs - minutes * 60_000) / HOUR_MS);
  const { hotMinutes, warmMinutes, coldMinutes, dropMinutes } = policy;
  return {
    leavesMemory: lastOf(hotMinutes ?? warmMinutes ?? coldMinutes),
    isSealed: lastOf(warmMinutes ?? coldMinutes),
    leavesDisk: lastOf(coldMinutes),
    isDropped: lastOf(dropMinutes),
  };
}

/** The policy with another age of DROP, which must be the last one; null: it is not. */
export function withDrop(policy: StoragePolicy | undefined, dropMinutes: number): StoragePolicy | null {
  const { hotMinutes, warmMinutes, coldMinutes } = policy ?? noAges;
  const last = coldMinutes ?? warmMinutes ?? hotMinutes ?? 0;
  return dropMinutes > last ? { hotMinutes, warmMinutes, coldMinutes, dropMinutes } : null;
}

/**
 * The last hour that is in no answer; null: none. `before`: the last one that policies of before may have deleted. Manifests
 * name it still: its rows would be counted again, and could not be read.
 */
export function droppedHour(
  policy: StoragePolicy | undefined,
  before: number | undefined,
  nowMs: number,
): number | null {
  const last = policy === undefined ? null : policyHours(policy, nowMs).isDropped;
  return last === null || before === undefined ? (last ?? before ?? null) : Math.max(last, before);
}

/**
 * A change of the policy says, by the clock of who asks, how far the policy before it had come, and is heard of later: what is
 * deleted has been in no answer for so long.
 */
const DELETE_LAG_MS = 60_000;

/** The last hour whose files may be deleted; null: none. */
export const deletedHour = (
  policy: StoragePolicy | undefined,
  before: number | undefined,
  nowMs: number,
): number | null => droppedHour(policy, before, nowMs - DELETE_LAG_MS);
