// What: the group's symbol dictionary: a single-partition topic, read by every member from its first record and followed live.
// Why: members and replays must give one name one id for ever, with no other authority than Kafka's order of records.
// Invariant: the id of a name is the number of distinct names before it in the topic; a name gets its id only by being read back.

import type { RecordBatch } from '../../src/columns/batch.ts';
import type { Clock } from '../../src/kernel/clock.ts';
import { ZeptoError } from '../../src/kernel/errors.ts';
import type { Logger, Metrics, SymbolDirectory } from '../../src/ports.ts';
import type { Cluster } from './cluster.ts';
import { OrderedTopic, slice } from './ordered-topic.ts';
import { symbolOf, symbolRecord } from './symbol-record.ts';
import { prepareSymbolTopic } from './symbol-topic-setup.ts';

export interface SymbolTopicOptions {
  /** Not closed with the directory. */
  readonly cluster: Cluster;
  /** `{group}-symbols` by default. */
  readonly topic?: string;
  readonly group: string;
  readonly clock: Clock;
  readonly logger: Logger;
  readonly metrics?: Metrics;
  /** Names beyond this many are refused. Default 1,000,000. */
  readonly symbolsMax?: number;
  /** Longest wait for a name to come back. Default 30 s. */
  readonly patienceMs?: number;
}

/** Of a name, in UTF-8. */
const NAME_BYTES_MAX = 1_024;

/**
 * Makes or checks the topic and reads it to its end: the directory knows all names given so far.
 * @throws ZeptoError CONFIG_INVALID (compacted, several partitions, finite retention), OFFSET_LOST (its beginning is
 *   missing), KAFKA_TOPIC_MISSING (could not be made, or was lost), KAFKA_AUTH, KAFKA_UNREACHABLE.
 */
export async function openSymbolTopic(options: SymbolTopicOptions): Promise<SymbolDirectory> {
  const { cluster, group, clock, logger, metrics, symbolsMax = 1_000_000, patienceMs = 30_000 } = options;
  const topic = options.topic ?? `${group}-symbols`;
  const { batchBytesMax } = await prepareSymbolTopic(cluster, topic, group, logger);

  const names: string[] = [];
  const idByName = new Map<string, number>();
  const listeners: ((name: string, id: number) => void)[] = [];

  function take({ buffer, count, offset, keyStart, keyLength, valueStart, valueLength }: RecordBatch): void {
    let skipped = 0;
    let skippedFirst = -1;
    for (let i = 0; i < count; i++) {
      const key = slice(buffer, keyStart[i]!, keyLength[i]!);
      const name = symbolOf(key, slice(buffer, valueStart[i]!, valueLength[i]!));
      if (name !== null) learn(name);
      else if (skipped++ === 0) skippedFirst = offset[i]!;
    }
    if (skipped === 0) return;
    logger.warn(
      { topic, offset: skippedFirst, records: skipped },
      'records in the symbol topic are not symbols, skipped',
    );
    metrics?.count('zepto_symbol_records_skipped_total', { topic }, skipped);
  }

  function learn(name: string): void {
    if (idByName.has(name)) return; // somebody asked for it at the same time, or a producer repeated itself
    const id = names.length;
    names.push(name);
    idByName.set(name, id);
    for (const listener of listeners) listener(name, id);
  }

  const records = new OrderedTopic({
    cluster,
    topic,
    kind: 'symbol topic',
    batchBytesMax,
    patienceMs,
    clock,
    logger,
    take,
    lost: (position) => lostRecords(topic, position),
  });

  async function assign(wanted: readonly string[]): Promise<readonly number[]> {
    // As they come back: UTF-8 has no half of a surrogate pair.
    const asked = wanted.map((name) => Buffer.from(name).toString());
    if (asked.some((name) => !idByName.has(name))) {
      // A full dictionary refuses without asking Kafka: a flood of new names must stay cheap.
      if (names.length < symbolsMax) await records.readToEnd();
      const missing = [...new Set(asked)].filter((name) => !idByName.has(name));
      if (missing.length > 0) await publish(missing);
    }
    return asked.map((name) => idByName.get(name)!);
  }

  async function publish(missing: readonly string[]): Promise<void> {
    const long = missing.find((name) => Buffer.byteLength(name) > NAME_BYTES_MAX);
    if (long !== undefined)
      throw limit(`symbol "${long.slice(0, 40)}…" has more than ${NAME_BYTES_MAX} bytes`);
    if (names.length + missing.length > symbolsMax)
      throw limit(
        `${missing.length} new symbols do not fit: ${names.length} of at most ${symbolsMax} are given (--symbols-max)`,
      );
    // A name that comes twice counts once.
    await records.append(missing.map((name) => symbolRecord(name, group, clock.nowMs())));
    const lost = missing.find((name) => !idByName.has(name));
    if (lost !== undefined)
      throw new ZeptoError(
        'OFFSET_LOST',
        'stop',
        `symbol topic ${topic} took symbol "${lost}" in but does not hold it`,
      );
  }

  try {
    await records.readToEnd();
  } catch (error) {
    await records.close();
    throw error;
  }
  logger.info({ topic, symbols: names.length }, 'symbol topic read');

  return {
    assign,
    subscribe: (listener) => {
      names.forEach((name, id) => {
        listener(name, id);
      });
      listeners.push(listener);
    },
    close: () => records.close(),
  };
}

function limit(message: string): ZeptoError {
  return new ZeptoError('SYMBOL_LIMIT', 'skip-record', message);
}

function lostRecords(topic: string, position: number): ZeptoError {
  return new ZeptoError(
    'OFFSET_LOST',
    'stop',
    `symbol topic ${topic} was read to offset ${position} and ends before it: it was made anew or lost records, ` +
      'and ids in written files would mean other names. Restore it, or start a new --group with a new prefix',
    { context: { topic, partition: 0, offset: position } },
  );
}
