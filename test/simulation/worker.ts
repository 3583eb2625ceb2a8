// What: a process that runs the seeds it is sent.
// Why: seeds are independent, so each core takes its own.
// Invariant: one answer per seed, in the order asked.

import { runSeed } from './seeds.ts';

process.on('message', (seeds: readonly number[]) => {
  void (async () => {
    for (const seed of seeds) process.send!(await runSeed(seed, null));
  })();
});
process.on('disconnect', () => process.exit());
