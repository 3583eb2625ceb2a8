// What: the commit log of one run of a partition, as recovery, plans and publications use it.
// Why: several of them may want Kafka at once, and a run that has ended must not write any more.
// Invariant: calls take turns, none begins after the run's end; what an owner in between has committed is not committed again.

import { asCommitted, fenceWithRetry, sameCommitted } from '../commit/execute.ts';
import type { CommitRecord } from '../commit/metadata.ts';
import type { Clock } from '../kernel/clock.ts';
import { asZeptoError, ZeptoError } from '../kernel/errors.ts';
import type { CommitLog, CommittedOffset, DeadLetter, Logger, ViewRecord } from '../ports.ts';

export interface GuardedLogParts {
  readonly log: CommitLog;
  /** Aborted when the run ends. */
  readonly run: AbortController;
  readonly clock: Clock;
  readonly logger: Logger;
  readonly committed: (seconds: number) => void;
}

export class GuardedLog implements CommitLog {
  private readonly parts: GuardedLogParts;
  /** What Kafka held when last heard of. */
  private held: CommittedOffset | null = null;
  private turn: Promise<unknown> = Promise.resolve();

  constructor(parts: GuardedLogParts) {
    this.parts = parts;
  }

  fence(): Promise<CommittedOffset | null> {
    return this.inTurn(() => this.fenceNow());
  }

  commit(
    offset: number,
    metadata: string,
    deadLetters: readonly DeadLetter[],
    published: readonly ViewRecord[] = [],
  ): Promise<void> {
    const { log, clock, committed } = this.parts;
    return this.inTurn(async () => {
      // An owner in between may have run this very plan: committing it again would publish its dead letters twice.
      if (sameCommitted(this.held, { offset, metadata })) return;
      const startMs = clock.monotonicMs();
      await log.commit(offset, metadata, deadLetters, published);
      committed((clock.monotonicMs() - startMs) / 1000);
      this.held = { offset, metadata };
    });
  }

  /** Fences again and tells whether Kafka still holds one of `records`; if not, the run is over. */
  async revalidate(records: () => readonly CommitRecord[]): Promise<boolean> {
    const { run, clock, logger } = this.parts;
    const isOurs = this.inTurn(async () => {
      const held = await fenceWithRetry({ fence: () => this.fenceNow(), clock, logger }, run.signal);
      const holds = records().some((record) => sameCommitted(held, asCommitted(record)));
      // Fencing has renewed this run's authority: a plan of a record that is history must not use it.
      if (!holds) run.abort(new ZeptoError('FENCED', 'rejoin', 'another owner has committed this partition'));
      return holds;
    });
    return isOurs.catch((error) => {
      // FENCED: another owner took over before this side could even ask.
      if (run.signal.aborted || asZeptoError(error).action === 'rejoin') return false;
      throw error;
    });
  }

  /** Of the log itself, whatever waits. */
  close(): Promise<void> {
    return this.parts.log.close();
  }

  private async fenceNow(): Promise<CommittedOffset | null> {
    this.held = await this.parts.log.fence();
    return this.held;
  }

  private inTurn<T>(call: () => Promise<T>): Promise<T> {
    const answer = this.turn.then(() => {
      this.parts.run.signal.throwIfAborted();
      return call();
    });
    this.turn = answer.catch(() => {});
    return answer;
  }
}
