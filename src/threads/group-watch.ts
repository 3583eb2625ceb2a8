// What: who of the group has which partitions, as the main thread finds out and tells the query threads.
// Why: a query to one member is answered of the rows of all; most find the group as it was a second ago.
// Invariant: what is told was so at one moment of the group, and is the latest that is known.

import { isDeepStrictEqual } from 'node:util';
import type { Clock, Timer } from '../kernel/clock.ts';
import { asZeptoError } from '../kernel/errors.ts';
import type { GroupDirectory, GroupShare, Logger, TopicPartition } from '../ports.ts';

/** Of one moment. */
export interface GroupShares {
  /** Of this process, all its shards. */
  readonly own: readonly TopicPartition[];
  readonly peers: readonly { readonly address: string; readonly partitions: readonly TopicPartition[] }[];
  /** Of members that do not say where they answer. */
  readonly unreachable: readonly TopicPartition[];
}

export interface GroupWatchParts {
  readonly directory: GroupDirectory;
  /** Of this process. */
  readonly address: string;
  readonly told: (shares: GroupShares) => Promise<void>;
  readonly clock: Clock;
  readonly logger: Logger;
}

const EVERY_MS = 1_000;

export class GroupWatch {
  private readonly parts: GroupWatchParts;
  private latest: GroupShares | null = null;
  private looking: Promise<void> | null = null;
  private readonly timer: Timer;
  private said: string | null = null;

  constructor(parts: GroupWatchParts) {
    this.parts = parts;
    this.timer = parts.clock.every(EVERY_MS, () => void this.look().catch((cause) => this.tell(cause)));
  }

  /** Looks now, unless a look is under way; the query threads know when it resolves. @throws ZeptoError KAFKA_* */
  look(): Promise<void> {
    this.looking ??= this.lookOnce().finally(() => {
      this.looking = null;
    });
    return this.looking;
  }

  stop(): void {
    this.timer.cancel();
  }

  private async lookOnce(): Promise<void> {
    const { directory, address, told } = this.parts;
    const shares = await directory.shares();
    if (shares === null) return;
    this.said = null;
    const now = sharesOf(shares, address);
    if (isDeepStrictEqual(now, this.latest)) return;
    this.latest = now;
    await told(now);
  }

  /** Each trouble once, until it is over. */
  private tell(cause: unknown): void {
    const { message } = asZeptoError(cause);
    if (message === this.said) return;
    this.said = message;
    this.parts.logger.warn({ error: message }, 'it is not known which members have which partitions');
  }
}

function sharesOf(shares: readonly GroupShare[], own: string): GroupShares {
  const by = new Map<string | null, TopicPartition[]>();
  for (const { address, partitions } of shares) by.set(address, [...(by.get(address) ?? []), ...partitions]);
  const peers = [...by].flatMap(([address, partitions]) =>
    address === null || address === own || partitions.length === 0 ? [] : [{ address, partitions }],
  );
  return { own: by.get(own) ?? [], peers, unreachable: by.get(null) ?? [] };
}
