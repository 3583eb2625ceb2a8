// What: the dead-letter topic of one source topic: that it exists, its partitions and the batch size it takes.
// Why: it is made before the first tick, not when the first poisoned record holds a commit up.
// Invariant: dead letters of one source partition always go to one dead-letter partition, in offset order.

import { ZeptoError } from '../../src/kernel/errors.ts';
import type { Logger } from '../../src/ports.ts';
import type { Cluster } from './cluster.ts';
import { DEAD_LETTER_BYTES_MIN } from './dead-letter.ts';
import { ensureTopic, topicSettings } from './topics.ts';

/** Kafka's own default for max.message.bytes, less a little. */
const BATCH_BYTES_DEFAULT = 1_000_000;

export interface DeadLetterTopic {
  /** Looks the topic up and creates it when it is missing, once. @throws ZeptoError (stop) when it cannot be used. */
  ensure(): Promise<void>;
  partitionFor(sourcePartition: number): Promise<{ readonly topic: string; readonly partition: number }>;
  /** Largest record batch to send. */
  batchBytesMax(): number;
  /** The broker found a batch too large: halves the limit. False when it is as low as it may get. */
  lowerBatchBytesMax(): boolean;
  /** The topic has gone: look again next time. */
  forget(): void;
}

export function deadLetterTopicOf(
  cluster: Cluster,
  source: string,
  name: string,
  logger: Logger,
): DeadLetterTopic {
  let bytesMax = BATCH_BYTES_DEFAULT;
  let partitions: Promise<number> | null = null;

  async function look(): Promise<number> {
    const wanted = await cluster.partitionCount(source);
    if (wanted === null)
      throw new ZeptoError(
        'KAFKA_TOPIC_MISSING',
        'stop',
        `topic ${source} does not exist; create it or correct the name`,
        {
          context: { topic: source },
        },
      );
    // Append time: a client's clock that is far off must not get a dead letter refused.
    const config = { 'cleanup.policy': 'delete', 'message.timestamp.type': 'LogAppendTime' };
    const made = await ensureTopic(cluster, { name, partitions: wanted, config }, 'the dead-letter topic');
    if (made === 'created') logger.info({ topic: name, partitions: wanted }, 'dead-letter topic created');
    await readSettings();
    return (await cluster.partitionCount(name)) ?? wanted;
  }

  async function readSettings(): Promise<void> {
    let settings: ReadonlyMap<string, string>;
    try {
      settings = await topicSettings(cluster, name, ['max.message.bytes', 'cleanup.policy']);
    } catch (error) {
      if (!(error instanceof ZeptoError) || error.code !== 'KAFKA_AUTH') throw error;
      logger.warn(
        { topic: name, error: error.message },
        'the size limit of the dead-letter topic is not known: found by trying',
      );
      return;
    }
    const limit = Number(settings.get('max.message.bytes') ?? BATCH_BYTES_DEFAULT);
    if (limit < DEAD_LETTER_BYTES_MIN)
      throw new ZeptoError(
        'CONFIG_INVALID',
        'stop',
        `the dead-letter topic ${name} takes only ${limit} bytes: set its max.message.bytes to ${DEAD_LETTER_BYTES_MIN} or more`,
      );
    if ((settings.get('cleanup.policy') ?? '').includes('compact'))
      throw new ZeptoError(
        'CONFIG_INVALID',
        'stop',
        `the dead-letter topic ${name} is compacted, so it would lose letters and refuse those without a key: set its cleanup.policy to delete`,
      );
    bytesMax = Math.min(limit, BATCH_BYTES_DEFAULT);
  }

  async function known(): Promise<number> {
    if (partitions === null) {
      const looking = look();
      partitions = looking;
      looking.catch(() => {
        if (partitions === looking) partitions = null;
      });
    }
    return partitions;
  }

  return {
    ensure: async () => {
      await known();
    },
    partitionFor: async (sourcePartition) => ({ topic: name, partition: sourcePartition % (await known()) }),
    batchBytesMax: () => bytesMax,
    lowerBatchBytesMax: () => {
      if (bytesMax / 2 < DEAD_LETTER_BYTES_MIN) return false;
      bytesMax = Math.floor(bytesMax / 2);
      return true;
    },
    forget: () => {
      partitions = null;
    },
  };
}
