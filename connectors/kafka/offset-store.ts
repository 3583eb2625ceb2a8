// What: the member's commit records and what it asks of the cluster besides records, over one shared set of connections.
// Why: a member may own many partitions; each has its own fenced producer, none its own connection.
// Invariant: partitions are independent: a failed commit of one neither delays nor discards another's.

import type { Clock } from '../../src/kernel/clock.ts';
import { ZeptoError } from '../../src/kernel/errors.ts';
import type { Logger, OffsetStore } from '../../src/ports.ts';
import type { Cluster } from './cluster.ts';
import { openCommitLog } from './commit-log.ts';
import { type DeadLetterTopic, deadLetterTopicOf } from './dead-letter-topic.ts';
import { refusal } from './errors.ts';
import { listOffset } from './requests.ts';
import { topicRetention } from './topics.ts';

export interface OffsetStoreOptions {
  /** Closed with the store. */
  readonly cluster: Cluster;
  readonly group: string;
  readonly clock: Clock;
  readonly logger: Logger;
  /** `{topic}.dlq` by default. */
  readonly deadLetterTopicName?: (topic: string) => string;
  readonly transactionTimeoutMs?: number;
  readonly commitPatienceMs?: number;
}

export function openOffsetStore(options: OffsetStoreOptions): OffsetStore {
  const { cluster, group, clock, logger, transactionTimeoutMs = 60_000, commitPatienceMs = 30_000 } = options;
  const deadLetterTopicName = options.deadLetterTopicName ?? ((topic: string) => `${topic}.dlq`);
  const deadLetterTopics = new Map<string, DeadLetterTopic>();

  function deadLetterTopic(source: string): DeadLetterTopic {
    let topic = deadLetterTopics.get(source);
    if (topic === undefined) {
      topic = deadLetterTopicOf(cluster, source, deadLetterTopicName(source), logger);
      deadLetterTopics.set(source, topic);
    }
    return topic;
  }

  async function end(topic: string, partition: number, which: 'earliest' | 'latest'): Promise<number> {
    const doing = `find the ${which} offset of ${topic}-${partition}`;
    const request = listOffset(topic, partition, which);
    const { code, offset } = await cluster.ask(
      { kind: 'leader', topic, partition },
      request,
      (answer) => answer.code,
      doing,
    );
    if (code !== 0) throw refusal(code, doing, { topic, partition });
    return offset;
  }

  return {
    open: (source) =>
      openCommitLog({
        cluster,
        group,
        source,
        deadLetterTopic: deadLetterTopic(source.topic),
        clock,
        logger,
        transactionTimeoutMs,
        patienceMs: commitPatienceMs,
      }),
    bounds: async ({ topic, partition }) => {
      // In this order earliest ≤ latest holds even while retention moves the first.
      const earliest = await end(topic, partition, 'earliest');
      return { earliest, latest: await end(topic, partition, 'latest') };
    },
    retention: async (topic) => {
      if ((await cluster.partitionCount(topic)) === null)
        throw new ZeptoError(
          'KAFKA_TOPIC_MISSING',
          'stop',
          `topic ${topic} does not exist: create it, or correct its name in --topics`,
          { context: { topic } },
        );
      return topicRetention(cluster, topic);
    },
    close: () => cluster.close(),
  };
}
