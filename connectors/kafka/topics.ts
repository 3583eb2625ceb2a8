// What: what a topic is set to, and making one that is missing.
// Why: the dead-letter and symbol topics must exist, with settings that keep the promises, before the first tick is taken.
// Invariant: an existing topic is never altered; what is wrong with it is said, with the setting to change.

import { ZeptoError } from '../../src/kernel/errors.ts';
import type { Cluster } from './cluster.ts';
import { codeName, KafkaCode, refusal } from './errors.ts';
import { createTopic, describeTopic, type TopicToCreate } from './requests.ts';

export interface TopicRetention {
  /** Null: unlimited. */
  readonly ms: number | null;
  readonly bytes: number | null;
  readonly compacted: boolean;
}

/** Settings in force. @throws ZeptoError KAFKA_AUTH without the right DescribeConfigs; KAFKA_TOPIC_MISSING. */
export async function topicSettings(
  cluster: Cluster,
  topic: string,
  names: readonly string[],
): Promise<ReadonlyMap<string, string>> {
  const doing = `describe the settings of topic ${topic}`;
  const { code, config } = await cluster.ask(
    { kind: 'any' },
    describeTopic(topic, names),
    (answer) => answer.code,
    doing,
  );
  if (code !== 0) throw refusal(code, doing, { topic });
  return config;
}

export async function topicRetention(cluster: Cluster, topic: string): Promise<TopicRetention> {
  const settings = await topicSettings(cluster, topic, ['retention.ms', 'retention.bytes', 'cleanup.policy']);
  return {
    ms: limit(settings.get('retention.ms')),
    bytes: limit(settings.get('retention.bytes')),
    compacted: (settings.get('cleanup.policy') ?? '').includes('compact'),
  };
}

function limit(setting: string | undefined): number | null {
  const value = Number(setting ?? -1);
  return value < 0 ? null : value;
}

/** So often a cluster is asked again that has too few live brokers: about 15 seconds. */
const SHORT_OF_BROKERS_MAX = 32;

export interface EnsuredTopic {
  readonly isNew: boolean;
  readonly partitions: number;
}

/**
 * Creates the topic unless it exists; whoever else creates it at the same time is welcome.
 * @throws ZeptoError KAFKA_TOPIC_MISSING (stop) naming the topic and how to create it by hand.
 */
export async function ensureTopic(
  cluster: Cluster,
  topic: TopicToCreate,
  purpose: string,
): Promise<EnsuredTopic> {
  const found = await cluster.partitionCount(topic.name);
  if (found !== null) return { isNew: false, partitions: found };
  // Replication is the cluster's default. A broker that starts, or that has stalled, is not live yet, and will be in a moment.
  let timesShort = 0;
  const isShort = (code: number): boolean =>
    code === KafkaCode.INVALID_REPLICATION_FACTOR && timesShort++ < SHORT_OF_BROKERS_MAX;
  const { code, message } = await cluster.ask(
    { kind: 'controller' },
    createTopic(topic, cluster.requestTimeoutMs),
    (answer) => (isShort(answer.code) ? KafkaCode.BROKER_NOT_AVAILABLE : answer.code),
    `create topic ${topic.name}`,
  );
  if (code === KafkaCode.TOPIC_ALREADY_EXISTS || code === KafkaCode.NONE)
    return { isNew: code === KafkaCode.NONE, partitions: await cluster.partitionCountOfNew(topic.name) };
  const settings = Object.entries(topic.config).map(([name, value]) => ` --config ${name}=${value}`);
  throw new ZeptoError(
    'KAFKA_TOPIC_MISSING',
    'stop',
    `${purpose} ${topic.name} does not exist and could not be created: ${codeName(code)}${message === '' ? '' : `, ${message}`}. ` +
      `Create it: kafka-topics.sh --create --topic ${topic.name} --partitions ${topic.partitions}${settings.join('')}`,
    { context: { topic: topic.name } },
  );
}
