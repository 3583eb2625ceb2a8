// What: the symbol topic made when it is missing, and checked when it is there.
// Why: a setting that lets Kafka drop or reorder a record would give written ids other names.
// Invariant: after this the topic has one partition, keeps every record for ever, and begins at offset 0.

import { ZeptoError } from '../../src/kernel/errors.ts';
import type { Logger } from '../../src/ports.ts';
import type { Cluster } from './cluster.ts';
import { refusal } from './errors.ts';
import { groupOffsets, listOffset } from './requests.ts';
import { ensureTopic, topicSettings } from './topics.ts';

const KEEP_ALL: Readonly<Record<string, string>> = {
  'cleanup.policy': 'delete',
  'retention.ms': '-1',
  'retention.bytes': '-1',
  // A replica that lags must not become the truth.
  'unclean.leader.election.enable': 'false',
};
const CHECKED = ['cleanup.policy', 'retention.ms', 'retention.bytes'] as const;
const BATCH_BYTES_WANTED = 500_000;
const BATCH_BYTES_MIN = 8_192;

/** @throws ZeptoError as `openSymbolTopic` says. */
export async function prepareSymbolTopic(
  cluster: Cluster,
  topic: string,
  group: string,
  logger: Logger,
): Promise<{ readonly batchBytesMax: number }> {
  let partitions = await cluster.partitionCount(topic);
  if (partitions === null) {
    await refuseLostDictionary(cluster, topic, group);
    const made = await ensureTopic(
      cluster,
      { name: topic, partitions: 1, config: KEEP_ALL },
      'the symbol topic',
    );
    if (made.isNew) logger.info({ topic }, 'symbol topic created');
    partitions = made.partitions;
  }
  if (partitions !== 1)
    throw new ZeptoError(
      'CONFIG_INVALID',
      'stop',
      `symbol topic ${topic} has ${partitions} partitions: ids need the order of one. Name another topic by --symbols-topic`,
    );
  const settings = await topicSettings(cluster, topic, [...CHECKED, 'max.message.bytes']);
  const wrong = CHECKED.filter((name) => settings.get(name) !== KEEP_ALL[name]);
  if (wrong.length > 0)
    throw new ZeptoError(
      'CONFIG_INVALID',
      'stop',
      `symbol topic ${topic} has ${wrong.map((name) => `${name}=${settings.get(name)}`).join(', ')}: a dropped record changes the ids after it. ` +
        `If its first record is still there: kafka-configs.sh --alter --topic ${topic} --add-config ${wrong.map((name) => `${name}=${KEEP_ALL[name]}`).join(',')}`,
    );
  const bytesMax = Number(settings.get('max.message.bytes') ?? BATCH_BYTES_WANTED);
  if (bytesMax < BATCH_BYTES_MIN)
    throw new ZeptoError(
      'CONFIG_INVALID',
      'stop',
      `symbol topic ${topic} takes only ${bytesMax} bytes: set its max.message.bytes to ${BATCH_BYTES_MIN} or more`,
    );
  await refuseLostBeginning(cluster, topic);
  return { batchBytesMax: Math.min(bytesMax, BATCH_BYTES_WANTED) };
}

/** A group that has written data had a dictionary; a new, empty one would give its ids to other names. */
async function refuseLostDictionary(cluster: Cluster, topic: string, group: string): Promise<void> {
  const doing = `read the committed offsets of group ${group}`;
  const target = { kind: 'coordinator', of: 'group', key: group } as const;
  const { code, offsets } = await cluster.ask(
    target,
    groupOffsets(group, null),
    (answer) => answer.code,
    doing,
  );
  if (code !== 0) throw refusal(code, doing);
  if (!offsets.some(({ metadata }) => metadata !== '')) return;
  throw new ZeptoError(
    'KAFKA_TOPIC_MISSING',
    'stop',
    `group ${group} has written data, but its symbol topic ${topic} does not exist: a new one would give the ids to other names. ` +
      'Correct --symbols-topic or restore the topic; if the data has no ids from it, create it empty with one partition, retention.ms=-1 and retention.bytes=-1',
    { context: { topic } },
  );
}

async function refuseLostBeginning(cluster: Cluster, topic: string): Promise<void> {
  const doing = `find the first record of symbol topic ${topic}`;
  const target = { kind: 'leader', topic, partition: 0 } as const;
  const { code, offset } = await cluster.ask(
    target,
    listOffset(topic, 0, 'earliest'),
    (answer) => answer.code,
    doing,
  );
  if (code !== 0) throw refusal(code, doing, { topic });
  if (offset === 0) return;
  throw new ZeptoError(
    'OFFSET_LOST',
    'stop',
    `the first ${offset} records of symbol topic ${topic} were deleted, so the ids of its names are not known. ` +
      'Restore it, or start a new --group with a new prefix',
    { context: { topic, partition: 0, offset } },
  );
}
