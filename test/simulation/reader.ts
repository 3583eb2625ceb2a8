// What: a reader of a simulated process, which follows what its shard tells of the rows in memory.
// Why: a query thread takes the shard at its word; what contradicts itself ends the thread.
// Invariant: every change is of a run that has begun and has not ended.

import type { Change, Changes } from '../../src/live/change.ts';
import { Feed } from '../../src/live/feed.ts';
import type { World } from './world.ts';

/** The feed of a shard that is read. */
export function readFeed(world: World, name: string): Feed {
  const running = new Set<number>();
  const take = (change: Change): void => {
    switch (change.kind) {
      case 'block-made':
      case 'name-learned':
        return;
      case 'run-begun':
        if (running.has(change.run)) world.violation(`${name} begins run ${change.run} twice`);
        running.add(change.run);
        return;
      default:
        if (!running.has(change.run))
          world.violation(`${name} tells ${change.kind} of run ${change.run}, which does not run`);
        if (change.kind === 'run-ended') running.delete(change.run);
    }
  };
  const port = { postMessage: (changes: Changes) => changes.forEach(take) };
  return new Feed([port], new SharedArrayBuffer(Int32Array.BYTES_PER_ELEMENT));
}
