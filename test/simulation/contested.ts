// What: worlds in which members learn late that a partition is another's, and commits often stay unanswered.
// Why: that an owner settles an unknown commit while another one has gone on takes both at once, which is rare elsewhere.
// Invariant: chance of its own, so that the other worlds are what they are without it.

import { Chance } from './scheduler.ts';
import type { World } from './world.ts';

/** One world in this many. */
const EVERY = 4;

/** How long a member takes to learn of a rebalance, in ms; null in a world where that is quick. */
export function contest(seed: number, world: World): (() => number) | null {
  if (seed % EVERY !== 0) return null;
  const chance = new Chance(seed ^ 0x2545f491);
  world.fenceTellsOfOthers = false;
  world.faults = { lostCalls: chance.pick([0.15, 0.3]), latencyMs: 20 };
  return () => chance.below(chance.pick([80, 3000]));
}
