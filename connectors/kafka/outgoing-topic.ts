// What: a topic that commits send records to, dead letters or buckets of a view: that it exists, its partitions and batch size.
// Why: it is made before the first record for it comes, which would hold a commit up.
// Invariant: records of one source partition always go to one partition, in the order of their commits.

import { ZeptoError } from '../../src/kernel/errors.ts';
import type { Logger } from '../../src/ports.ts';
import type { Cluster } from './cluster.ts';
import { ensureTopic, topicSettings } from './topics.ts';

/** Kafka's own default for max.message.bytes, less a little. */
const BATCH_BYTES_DEFAULT = 1_000_000;
/** A dead letter is cut to so many, with its headers, a full cause and some of its value. */
export const BATCH_BYTES_MIN = 8_192;

export interface OutgoingTopic {
  /** Looks the topic up and creates it when it is missing, once. @throws ZeptoError: stop when it cannot be used, retry when `source` is not known. */
  ensure(): Promise<void>;
  partitionFor(sourcePartition: number): Promise<{ readonly topic: string; readonly partition: number }>;
  /** Largest record batch to send. */
  batchBytesMax(): number;
  /** The broker found a batch too large: halves the limit. False when it is as low as it may get. */
  lowerBatchBytesMax(): boolean;
  /** The topic has gone: look again next time. */
  forget(): void;
}

interface OutgoingTopicSpec {
  readonly name: string;
  /** As messages call it. */
  readonly purpose: string;
  readonly config: Readonly<Record<string, string>>;
  /** Why it cannot be used as it is set, with the fix; null: it can. */
  readonly problem: (cleanupPolicy: string) => string | null;
  /** Records of two source partitions must not meet. */
  readonly isAsWide: boolean;
}

/** It gets as many partitions as `source`. */
function outgoingTopicOf(
  cluster: Cluster,
  source: string,
  { name, purpose, config, problem, isAsWide }: OutgoingTopicSpec,
  logger: Logger,
): OutgoingTopic {
  let bytesMax = BATCH_BYTES_DEFAULT;
  let partitions: Promise<number> | null = null;

  async function look(): Promise<number> {
    const wanted = await cluster.partitionCount(source);
    if (wanted === null)
      throw new ZeptoError(
        'KAFKA_TOPIC_MISSING',
        // The broker asked may have just started; whether the topic is missing is for the layout to say.
        'retry',
        `topic ${source} does not exist; create it or correct the name`,
        { context: { topic: source } },
      );
    // Append time: a client's clock that is far off must not get a record refused.
    const settings = { ...config, 'message.timestamp.type': 'LogAppendTime' };
    const { isNew, partitions: count } = await ensureTopic(
      cluster,
      { name, partitions: wanted, config: settings },
      `the ${purpose}`,
    );
    if (isNew) logger.info({ topic: name, partitions: wanted }, `${purpose} created`);
    await readSettings();
    if (isAsWide && count < wanted)
      throw new ZeptoError(
        'CONFIG_INVALID',
        'stop',
        `the ${purpose} ${name} has ${count} partitions and ${source} has ${wanted}: give it as many, or take another topic`,
      );
    return count;
  }

  async function readSettings(): Promise<void> {
    let settings: ReadonlyMap<string, string>;
    try {
      settings = await topicSettings(cluster, name, ['max.message.bytes', 'cleanup.policy']);
    } catch (error) {
      if (!(error instanceof ZeptoError) || error.code !== 'KAFKA_AUTH') throw error;
      logger.warn(
        { topic: name, error: error.message },
        `the size limit of the ${purpose} is not known: found by trying`,
      );
      return;
    }
    const limit = Number(settings.get('max.message.bytes') ?? BATCH_BYTES_DEFAULT);
    if (limit < BATCH_BYTES_MIN)
      throw new ZeptoError(
        'CONFIG_INVALID',
        'stop',
        `the ${purpose} ${name} takes only ${limit} bytes: set its max.message.bytes to ${BATCH_BYTES_MIN} or more`,
      );
    const wrong = problem(settings.get('cleanup.policy') ?? '');
    if (wrong !== null) throw new ZeptoError('CONFIG_INVALID', 'stop', `the ${purpose} ${name} ${wrong}`);
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
      if (bytesMax / 2 < BATCH_BYTES_MIN) return false;
      bytesMax = Math.floor(bytesMax / 2);
      return true;
    },
    forget: () => {
      partitions = null;
    },
  };
}

export const deadLetterTopicOf = (
  cluster: Cluster,
  source: string,
  name: string,
  logger: Logger,
): OutgoingTopic =>
  outgoingTopicOf(
    cluster,
    source,
    {
      name,
      purpose: 'dead-letter topic',
      config: { 'cleanup.policy': 'delete' },
      problem: (policy) =>
        policy.includes('compact')
          ? 'is compacted, so it would lose letters and refuse those without a key: set its cleanup.policy to delete'
          : null,
      isAsWide: false,
    },
    logger,
  );

/** Of a published view over the table of `source`. */
export const viewTopicOf = (cluster: Cluster, source: string, name: string, logger: Logger): OutgoingTopic =>
  outgoingTopicOf(
    cluster,
    source,
    {
      name,
      purpose: "view's topic",
      config: { 'cleanup.policy': 'compact' },
      problem: () => null,
      isAsWide: true,
    },
    logger,
  );
