// What: the member's commit records and what it asks of the cluster besides records, over one shared set of connections.
// Why: a member may own many partitions; each has its own fenced producer, none its own connection.
// Invariant: partitions are independent: a failed commit of one neither delays nor discards another's.

import type { Clock } from '../../src/kernel/clock.ts';
import { ZeptoError } from '../../src/kernel/errors.ts';
import type { Logger, OffsetStore } from '../../src/ports.ts';
import type { Cluster } from './cluster.ts';
import { openCommitLog } from './commit-log.ts';
import { refusal } from './errors.ts';
import { deadLetterTopicOf, type OutgoingTopic, viewTopicOf } from './outgoing-topic.ts';
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
  const topics = new Map<string, OutgoingTopic>();

  function topicOf(name: string, open: () => OutgoingTopic): OutgoingTopic {
    const topic = topics.get(name) ?? open();
    topics.set(name, topic);
    return topic;
  }

  function deadLetterTopic(source: string): OutgoingTopic {
    const name = deadLetterTopicName(source);
    return topicOf(name, () => deadLetterTopicOf(cluster, source, name, logger));
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
        viewTopic: (name) => topicOf(name, () => viewTopicOf(cluster, source.topic, name, logger)),
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
