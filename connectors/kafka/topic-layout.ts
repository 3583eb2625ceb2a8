// What: partitions of the consumed topics and their leaders, as the cluster last said.
// Why: membership and fetching both need them, and a topic that is missing must be named once, not retried for ever.
// Invariant: one question at a time; a topic counts as missing only after the cluster has had time to spread the word of it.

import type { Clock } from '../../src/kernel/clock.ts';
import { ZeptoError } from '../../src/kernel/errors.ts';
import { topicPartitionKey } from '../../src/ports.ts';
import type { MemberWire, PartitionLeader } from './member-wire.ts';

/** A topic just created, or a broker just started, is not known everywhere at once. */
const MISSING_PATIENCE_MS = 5_000;

export class TopicLayout {
  private readonly wire: MemberWire;
  private topics: readonly string[];
  private readonly clock: Clock;
  private known: ReadonlyMap<string, readonly PartitionLeader[]> = new Map();
  private leaders: ReadonlyMap<string, number> = new Map();
  private asking: Promise<void> | null = null;
  /** Since when each topic that is missing has been. */
  private readonly missingSinceMs = new Map<string, number>();

  constructor(wire: MemberWire, topics: readonly string[], clock: Clock) {
    this.wire = wire;
    this.topics = topics;
    this.clock = clock;
  }

  subscribe(topics: readonly string[]): void {
    this.topics = topics;
    for (const topic of this.missingSinceMs.keys())
      if (!topics.includes(topic)) this.missingSinceMs.delete(topic);
  }

  /** @throws ZeptoError KAFKA_TOPIC_MISSING (retry at first, then stop); whatever the cluster refuses with. */
  refresh(): Promise<void> {
    this.asking ??= this.ask().finally(() => {
      this.asking = null;
    });
    return this.asking;
  }

  /** Node id, by `topicPartitionKey`; −1 while there is no leader, or none is known. */
  leaderOf(key: string): number {
    return this.leaders.get(key) ?? -1;
  }

  /** The topic was fetched from, so it is there. */
  seen(topic: string): void {
    this.missingSinceMs.delete(topic);
  }

  /** Changes when partitions are added to a topic. */
  fingerprint(partitions = (topic: string): number => this.known.get(topic)?.length ?? 0): string {
    return this.topics.map((topic) => `${topic} ${partitions(topic)}`).join('\n');
  }

  private async ask(): Promise<void> {
    const found = await this.wire.topics(this.topics);
    const nowMs = this.clock.monotonicMs();
    const missing = this.topics.filter((topic) => !found.has(topic));
    for (const topic of found.keys()) this.seen(topic);
    if (missing.length === 0) {
      this.known = found;
      this.leaders = new Map(
        [...found].flatMap(([topic, list]) =>
          list.map(({ partition, leader }) => [topicPartitionKey({ topic, partition }), leader] as const),
        ),
      );
      return;
    }
    const sinceMs = missing.map((topic) => this.missingSinceMs.get(topic) ?? nowMs);
    for (const [at, topic] of missing.entries()) this.missingSinceMs.set(topic, sinceMs[at]!);
    const isFinal = nowMs - Math.min(...sinceMs) >= MISSING_PATIENCE_MS;
    const [named, verb] = missing.length === 1 ? ['topic', 'does'] : ['topics', 'do'];
    throw new ZeptoError(
      'KAFKA_TOPIC_MISSING',
      isFinal ? 'stop' : 'retry',
      `${named} ${missing.join(', ')} ${verb} not exist: create it, or correct --topics`,
      { context: { topic: missing[0]! } },
    );
  }
}
