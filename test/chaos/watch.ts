// What: asks members for their rows all the time.
// Why: an answer must hold each row once in the midst of chaos too, not only when all is over.
// Invariant: an answer with a row in it twice is kept as a violation; a member that cannot answer is no violation.

import { setTimeout as sleep } from 'node:timers/promises';
import type { Stage } from './stage.ts';

export interface Watched {
  answers: number;
  refusals: number;
  readonly violations: string[];
}

const SQL = 'SELECT count(*), count(DISTINCT id) FROM trades';
const EVERY_MS = 1_000;

/** Until the signal aborts. */
export async function watch({ toS3, toDisk }: Stage, signal: AbortSignal): Promise<Watched> {
  const watched: Watched = { answers: 0, refusals: 0, violations: [] };
  await Promise.all(
    [...toS3.members, ...toDisk.members].map(async (member) => {
      while (!signal.aborted) {
        try {
          const late = sleep(20_000, null, { ref: false });
          const rows = await Promise.race([member.current.query(SQL), late]);
          if (rows === null) throw new Error('no answer');
          const [[count, distinct]] = rows as [[number, number]];
          watched.answers++;
          if (count !== distinct)
            watched.violations.push(`${member.name} answered ${count} rows with ${distinct} ids`);
        } catch {
          // Dead, suspended, cut off or refused: the final count tells whether rows were lost.
          watched.refusals++;
        }
        await sleep(EVERY_MS);
      }
    }),
  );
  return watched;
}
