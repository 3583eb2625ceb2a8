// What: worlds in which members disagree on which hours are closed: other settings, other wall clocks.
// Why: each step of a staircase lies below the one before it, which a single member's watermark, always rising, hardly makes.
// Invariant: chance of its own, so that the other worlds are what they are without it.

import type { SealPolicy } from '../../src/commit/plan.ts';
import { Chance } from './scheduler.ts';
import type { Faults } from './world.ts';

const HOUR_MS = 3_600_000;
/** One world in this many. */
const EVERY = 4;

export interface OpenHours {
  readonly faults: Faults | null;
  readonly budgetBytes: number | null;
  /** By how many hours a row may be late. */
  readonly lateHours: number;
  memberPolicy(): SealPolicy;
  memberSkewMs(): number;
  /** The skew after a disturbance: now and then a clock is set. */
  changedSkewMs(skewMs: number): number;
}

export function openHours(seed: number, policy: SealPolicy): OpenHours {
  if (seed % EVERY !== EVERY - 1)
    return {
      faults: null,
      budgetBytes: null,
      lateHours: 3,
      memberPolicy: () => policy,
      memberSkewMs: () => 0,
      changedSkewMs: (skewMs) => skewMs,
    };
  const chance = new Chance(seed ^ 0x5bd1e995);
  // Only closed hours seal, or the other triggers would empty the staircase before it grows.
  const patient = {
    ...policy,
    intervalMs: 0,
    idleMs: 0,
    rowsMax: 0,
    bytesMax: 0,
    holdBackRecords: 0,
    holdBackMs: 0,
  };
  let members = 0;
  const skewMs = (): number => (chance.happens(0.5) ? (1 - chance.below(6)) * HOUR_MS : 0);
  return {
    faults: { lostCalls: 0.02, latencyMs: 10 },
    budgetBytes: 1 << 30,
    lateHours: 8,
    memberPolicy: () => {
      // Mostly each member is more patient than the one before, as after a rolling restart.
      const hours = chance.happens(0.7) ? members++ % 6 : chance.below(6);
      return { ...patient, allowedLatenessMs: hours * HOUR_MS };
    },
    memberSkewMs: skewMs,
    changedSkewMs: (standing) => (chance.happens(0.1) ? skewMs() : standing),
  };
}
