// What: the group's symbol dictionary: a single-partition topic, read by every member from its first record and followed live.
// Why: members and replays must give one name one id for ever, with no other authority than Kafka's order of records.
// Invariant: the id of a name is the number of distinct names before it in the topic; a name gets its id only by being read back.

import { backoffMs, type Clock } from '../../src/kernel/clock.ts';
import { asZeptoError, ZeptoError } from '../../src/kernel/errors.ts';
import type { Logger, Metrics, SymbolDirectory } from '../../src/ports.ts';
import type { Cluster } from './cluster.ts';
import { isPassing, KafkaCode, refusal } from './errors.ts';
import { RecordBatchReader } from './record-batch.ts';
import {
  BATCH_HEADER_BYTES,
  encodeRecordBatch,
  type OutgoingRecord,
  recordBytesMax,
} from './record-write.ts';
import { fetchRecords, listOffset, produce } from './requests.ts';
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
const BATCH_RECORDS_MAX = 5_000;
const FETCH_BYTES_MAX = 8 * 1024 * 1024;
const FETCH_WAIT_MS_MAX = 5_000;
/** A topic that has gone for this long will not come back by itself. */
const MISSING_PATIENCE_MS = 10_000;

/**
 * Makes or checks the topic and reads it to its end: the directory knows all names given so far.
 * @throws ZeptoError CONFIG_INVALID (compacted, several partitions, finite retention), OFFSET_LOST (its beginning is
 *   missing), KAFKA_TOPIC_MISSING (could not be made, or was lost), KAFKA_AUTH, KAFKA_UNREACHABLE.
 */
export async function openSymbolTopic(options: SymbolTopicOptions): Promise<SymbolDirectory> {
  const { cluster, group, clock, logger, metrics, symbolsMax = 1_000_000, patienceMs = 30_000 } = options;
  const topic = options.topic ?? `${group}-symbols`;
  const leader = { kind: 'leader', topic, partition: 0 } as const;
  const { batchBytesMax } = await prepareSymbolTopic(cluster, topic, group, logger);

  const names: string[] = [];
  const idByName = new Map<string, number>();
  const listeners: ((name: string, id: number) => void)[] = [];
  /** Every record below this offset has been read. */
  let position = 0;
  const waiters: { readonly offset: number; readonly settle: (failure: ZeptoError | null) => void }[] = [];
  let failure: ZeptoError | null = null;
  const closing = new AbortController();

  // -- reading -------------------------------------------------------------------------------------------

  const reader = new RecordBatchReader();

  async function follow(): Promise<void> {
    const waitMs = Math.min(FETCH_WAIT_MS_MAX, Math.floor(cluster.requestTimeoutMs / 2));
    let attempt = 0;
    let missingSinceMs: number | null = null;
    while (!closing.signal.aborted && failure === null) {
      try {
        const request = fetchRecords(topic, 0, position, waitMs, FETCH_BYTES_MAX);
        const { code, records } = await cluster.send({ ...leader, waiting: true }, request, closing.signal);
        if (code === KafkaCode.OFFSET_OUT_OF_RANGE) throw lostRecords(topic, position);
        if (code !== KafkaCode.NONE) {
          if (isPassing(code)) cluster.forget(leader);
          throw refusal(code, `read symbol topic ${topic}`, { topic });
        }
        take(records);
        attempt = 0;
        missingSinceMs = null;
      } catch (cause) {
        if (closing.signal.aborted) return;
        const error = asZeptoError(cause);
        if (error.code === 'KAFKA_TOPIC_MISSING') missingSinceMs ??= clock.monotonicMs();
        const isMissing =
          missingSinceMs !== null && clock.monotonicMs() - missingSinceMs > MISSING_PATIENCE_MS;
        if (isMissing || (error.action !== 'retry' && error.code !== 'KAFKA_TOPIC_MISSING')) {
          fail(error);
          return;
        }
        logger.warn(
          { topic, position, code: error.code, error: error.message },
          'symbol topic cannot be read, trying again',
        );
        await clock.sleep(backoffMs(attempt++, 20, 2_000, clock), closing.signal).catch(() => {});
      }
    }
  }

  function take(records: Buffer): void {
    let skipped = 0;
    let skippedFirst = -1;
    reader.open({ topic, partition: 0, fetchOffset: position, bytes: records, aborted: [], endOffset: -1 });
    for (let batch = reader.next(); batch !== null; batch = reader.next()) {
      const { buffer, keyStart, keyLength, valueStart, valueLength } = batch;
      for (let i = 0; i < batch.count; i++) {
        const key = slice(buffer, keyStart[i]!, keyLength[i]!);
        const name = symbolOf(key, slice(buffer, valueStart[i]!, valueLength[i]!));
        if (name !== null) learn(name);
        else if (skipped++ === 0) skippedFirst = batch.offset[i]!;
      }
      position = batch.offsetNext;
    }
    if (skipped > 0) {
      logger.warn(
        { topic, offset: skippedFirst, records: skipped },
        'records in the symbol topic are not symbols, skipped',
      );
      metrics?.count('zepto_symbol_records_skipped_total', { topic }, skipped);
    }
    for (let i = waiters.length - 1; i >= 0; i--) {
      if (waiters[i]!.offset <= position) waiters.splice(i, 1)[0]!.settle(null);
    }
  }

  function learn(name: string): void {
    if (idByName.has(name)) return; // somebody asked for it at the same time, or a producer repeated itself
    const id = names.length;
    names.push(name);
    idByName.set(name, id);
    for (const listener of listeners) listener(name, id);
  }

  function fail(error: ZeptoError): void {
    failure = error;
    logger.error({ topic, code: error.code, error: error.message }, 'the symbol topic is given up');
    for (const waiter of waiters.splice(0)) waiter.settle(error);
  }

  /** Resolves when every record below `offset` has been read. */
  function reached(offset: number): Promise<void> {
    if (failure !== null) return Promise.reject(failure);
    if (position >= offset) return Promise.resolve();
    return new Promise((resolve, reject) => {
      const waiter = {
        offset,
        settle: (error: ZeptoError | null): void => {
          timer.cancel();
          if (error === null) resolve();
          else reject(error);
        },
      };
      const timer = clock.after(patienceMs, () => {
        waiters.splice(waiters.indexOf(waiter), 1);
        reject(
          new ZeptoError(
            'KAFKA_UNREACHABLE',
            'retry',
            `symbol topic ${topic} could not be read to offset ${offset}`,
          ),
        );
      });
      waiters.push(waiter);
    });
  }

  async function readToEnd(): Promise<void> {
    const doing = `find the end of symbol topic ${topic}`;
    const { code, offset } = await cluster.ask(
      leader,
      listOffset(topic, 0, 'latest'),
      (answer) => answer.code,
      doing,
    );
    if (code !== 0) throw refusal(code, doing, { topic });
    await reached(offset);
  }

  // -- assigning -----------------------------------------------------------------------------------------

  async function assign(wanted: readonly string[]): Promise<readonly number[]> {
    // As they come back: UTF-8 has no half of a surrogate pair.
    const asked = wanted.map((name) => Buffer.from(name).toString());
    if (asked.some((name) => !idByName.has(name))) {
      // A full dictionary refuses without asking Kafka: a flood of new names must stay cheap.
      if (names.length < symbolsMax) await readToEnd();
      if (failure !== null) throw failure;
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
    let end = 0;
    for (const records of batches(
      missing.map((name) => symbolRecord(name, group, clock.nowMs())),
      batchBytesMax,
    )) {
      // Repeated when unanswered: a name that comes twice counts once.
      const request = produce(
        null,
        cluster.requestTimeoutMs,
        topic,
        0,
        encodeRecordBatch(records, clock.nowMs(), null),
      );
      const doing = `write to symbol topic ${topic}`;
      const { code, offset } = await cluster.ask(leader, request, (answer) => answer.code, doing);
      if (code !== 0) throw refusal(code, doing, { topic });
      end = offset + records.length;
    }
    await reached(end);
    const lost = missing.find((name) => !idByName.has(name));
    if (lost !== undefined)
      throw new ZeptoError(
        'OFFSET_LOST',
        'stop',
        `symbol topic ${topic} took symbol "${lost}" in but does not hold it`,
      );
  }

  const following = follow();
  try {
    await readToEnd();
  } catch (error) {
    closing.abort();
    await following;
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
    close: async () => {
      failure ??= new ZeptoError('CANCELLED', 'stop', 'the symbol directory was closed');
      for (const waiter of waiters.splice(0)) waiter.settle(failure);
      closing.abort();
      await following;
    },
  };
}

function* batches(records: readonly OutgoingRecord[], bytesMax: number): Generator<OutgoingRecord[]> {
  let batch: OutgoingRecord[] = [];
  let bytes = BATCH_HEADER_BYTES;
  for (const record of records) {
    const more = recordBytesMax(record);
    if (batch.length > 0 && (bytes + more > bytesMax || batch.length === BATCH_RECORDS_MAX)) {
      yield batch;
      batch = [];
      bytes = BATCH_HEADER_BYTES;
    }
    batch.push(record);
    bytes += more;
  }
  if (batch.length > 0) yield batch;
}

function slice(buffer: Uint8Array, start: number, length: number): Uint8Array | null {
  return length < 0 ? null : buffer.subarray(start, start + length);
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
