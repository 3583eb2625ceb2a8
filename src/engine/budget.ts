// What: the memory budget of one shard: when to seal early, when to stop fetching, when to go on.
// Why: overload must slow the consumer down, never lose rows or kill the process.
// Invariant: between `seal` and `resume` the states follow one another with hysteresis, so that pausing does not flap.

export interface MemoryBudget {
  readonly bytes: number;
}

export type Pressure = 'none' | 'seal' | 'pause';

/** Of the budget. What is left is for bytes on their way: fetched, decoded, encoded, waiting to be uploaded. */
const EVICT_SHARE = 0.3;
const SEAL_SHARE = 0.35;
const PAUSE_SHARE = 0.6;
const RESUME_SHARE = 0.45;

/** `wasPaused`: whether fetching is paused now. */
export function pressureOf(usedBytes: number, budget: MemoryBudget, wasPaused: boolean): Pressure {
  const share = usedBytes / budget.bytes;
  if (share >= (wasPaused ? RESUME_SHARE : PAUSE_SHARE)) return 'pause';
  return share >= SEAL_SHARE ? 'seal' : 'none';
}

/** What has to be evicted so that nothing needs to be sealed for memory's sake. */
export function bytesOver(usedBytes: number, budget: MemoryBudget): number {
  return usedBytes - EVICT_SHARE * budget.bytes;
}
