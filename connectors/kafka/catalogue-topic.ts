// What: the group's catalogue topic: a single partition of changes, kept for ever, and the topics that its tables ask for.
// Why: DDL sent to any member holds on all of them, and after restarts, with no authority but Kafka's order of records.
// Invariant: the topic is never compacted: of two changes that conflict the first wins, and compaction would keep the last.

import type { Clock } from '../../src/kernel/clock.ts';
import { ZeptoError } from '../../src/kernel/errors.ts';
import type { Logger, OrderedLog, TopicAdmin } from '../../src/ports.ts';
import type { Cluster } from './cluster.ts';
import { OrderedTopic, slice } from './ordered-topic.ts';
import { viewTopicOf } from './outgoing-topic.ts';
import { ensureTopic, topicRetention, topicSettings } from './topics.ts';

export interface CatalogueTopicOptions {
  /** Not closed with the log. */
  readonly cluster: Cluster;
  readonly topic: string;
  readonly clock: Clock;
  readonly logger: Logger;
}

const SETTINGS: Readonly<Record<string, string>> = {
  'cleanup.policy': 'delete',
  'retention.ms': '-1',
  'retention.bytes': '-1',
  'unclean.leader.election.enable': 'false',
};
const CHECKED = ['cleanup.policy', 'retention.ms', 'retention.bytes'] as const;
const BATCH_BYTES_MAX = 900_000;
const PATIENCE_MS = 30_000;

/**
 * Makes or checks the topic and reads it to its end.
 * @throws ZeptoError CONFIG_INVALID (several partitions, compacted, finite retention), KAFKA_*
 */
export async function openCatalogueTopic(options: CatalogueTopicOptions): Promise<OrderedLog> {
  const { cluster, topic, clock, logger } = options;
  await prepare(cluster, topic, logger);
  const held: Uint8Array[] = [];
  let take = (value: Uint8Array): void => {
    held.push(value);
  };
  const records = new OrderedTopic({
    cluster,
    topic,
    kind: 'catalogue topic',
    batchBytesMax: BATCH_BYTES_MAX,
    patienceMs: PATIENCE_MS,
    clock,
    logger,
    take: ({ buffer, count, valueStart, valueLength }) => {
      for (let i = 0; i < count; i++)
        take(new Uint8Array(slice(buffer, valueStart[i]!, valueLength[i]!) ?? []));
    },
    lost: (position) =>
      new ZeptoError(
        'OFFSET_LOST',
        'stop',
        `catalogue topic ${topic} was read to offset ${position} and ends before it: it was made anew or lost records. ` +
          'Restore it, or restart the members to go on with what it holds',
        { context: { topic, partition: 0, offset: position } },
      ),
  });
  try {
    await records.readToEnd();
  } catch (error) {
    await records.close();
    throw error;
  }
  return {
    append: (value) => records.append([{ key: null, value, headers: [] }]),
    subscribe: (listener) => {
      for (const value of held.splice(0)) listener(value);
      take = listener;
    },
    close: () => records.close(),
  };
}

async function prepare(cluster: Cluster, topic: string, logger: Logger): Promise<void> {
  const { isNew, partitions } = await ensureTopic(
    cluster,
    { name: topic, partitions: 1, config: SETTINGS },
    'the catalogue topic',
  );
  if (isNew) {
    logger.info({ topic }, 'catalogue topic created');
    return;
  }
  if (partitions !== 1)
    throw new ZeptoError(
      'CONFIG_INVALID',
      'stop',
      `catalogue topic ${topic} has ${partitions} partitions: changes need the order of one. Name another by --catalogue-topic`,
    );
  const settings = await topicSettings(cluster, topic, CHECKED);
  const wrong = CHECKED.filter((name) => settings.get(name) !== SETTINGS[name]);
  if (wrong.length === 0) return;
  throw new ZeptoError(
    'CONFIG_INVALID',
    'stop',
    `catalogue topic ${topic} has ${wrong.map((name) => `${name}=${settings.get(name)}`).join(', ')}: a dropped record is a lost table. ` +
      `kafka-configs.sh --alter --topic ${topic} --add-config ${wrong.map((name) => `${name}=${SETTINGS[name]}`).join(',')}`,
  );
}

/** Topics for tables made by CREATE TABLE. */
export function topicAdmin(cluster: Cluster, logger: Logger): TopicAdmin {
  return {
    ensure: async (topic, partitions) => {
      await ensureTopic(cluster, { name: topic, partitions, config: {} }, 'topic');
    },
    ensureForView: (topic, source) => viewTopicOf(cluster, source, topic, logger).ensure(),
    retention: (topic) => topicRetention(cluster, topic),
  };
}
