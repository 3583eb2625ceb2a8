// What: a single-partition topic read from its first record and followed live, with writing that waits until its own record is read back.
// Why: the symbol dictionary and the catalogue have no other authority than Kafka's order of records.
// Invariant: records are handed over once each, in order; what was written counts only when it has been read.

import type { RecordBatch } from '../../src/columns/batch.ts';
import { backoffMs, type Clock } from '../../src/kernel/clock.ts';
import { asZeptoError, ZeptoError } from '../../src/kernel/errors.ts';
import type { Logger } from '../../src/ports.ts';
import type { Cluster } from './cluster.ts';
import { isPassing, KafkaCode, refusal } from './errors.ts';
import { RecordBatchReader } from './record-batch.ts';
import { encodeRecordBatch, type OutgoingRecord, recordBatches } from './record-write.ts';
import { fetchRecords, listOffset, produce } from './requests.ts';

export interface OrderedTopicParts {
  /** Not closed with the topic. */
  readonly cluster: Cluster;
  readonly topic: string;
  /** What it is, for messages: "symbol topic". */
  readonly kind: string;
  /** Of one produced record batch. */
  readonly batchBytesMax: number;
  /** Longest wait for what was written to be read. */
  readonly patienceMs: number;
  readonly clock: Clock;
  readonly logger: Logger;
  /** Takes records in. Must not throw. */
  readonly take: (batch: RecordBatch) => void;
  /** The error for a topic that ends before what was read of it. */
  readonly lost: (position: number) => ZeptoError;
}

const FETCH_BYTES_MAX = 8 * 1024 * 1024;
const FETCH_WAIT_MS_MAX = 5_000;
/** A topic that has gone for this long will not come back by itself. */
const MISSING_PATIENCE_MS = 10_000;

interface Waiter {
  readonly offset: number;
  readonly settle: (failure: ZeptoError | null) => void;
}

export class OrderedTopic {
  private readonly parts: OrderedTopicParts;
  private readonly leader: { readonly kind: 'leader'; readonly topic: string; readonly partition: 0 };
  private readonly reader = new RecordBatchReader();
  private readonly closing = new AbortController();
  private readonly following: Promise<void>;
  private waiters: Waiter[] = [];
  /** Every record below this offset has been read. */
  private position = 0;
  private failure: ZeptoError | null = null;

  /** Begins to read. */
  constructor(parts: OrderedTopicParts) {
    this.parts = parts;
    this.leader = { kind: 'leader', topic: parts.topic, partition: 0 };
    this.following = this.follow();
  }

  /** Resolves when everything that the topic holds now has been read. */
  async readToEnd(): Promise<void> {
    const { cluster, topic, kind } = this.parts;
    const doing = `find the end of ${kind} ${topic}`;
    const request = listOffset(topic, 0, 'latest');
    const { code, offset } = await cluster.ask(this.leader, request, (answer) => answer.code, doing);
    if (code !== 0) throw refusal(code, doing, { topic });
    await this.reached(offset);
  }

  /**
   * Writes the records and resolves when they have been read back. What goes unanswered is written again, so a record may
   * stand there twice.
   */
  async append(records: readonly OutgoingRecord[]): Promise<void> {
    if (this.failure !== null) throw this.failure;
    const { cluster, topic, kind, clock, batchBytesMax } = this.parts;
    let end = 0;
    for (const batch of recordBatches(records, batchBytesMax)) {
      const bytes = encodeRecordBatch(batch, clock.nowMs(), null);
      const request = produce(null, cluster.requestTimeoutMs, topic, 0, bytes);
      const doing = `write to ${kind} ${topic}`;
      const { code, offset } = await cluster.ask(this.leader, request, (answer) => answer.code, doing);
      if (code !== 0) throw refusal(code, doing, { topic });
      end = offset + batch.length;
    }
    await this.reached(end);
  }

  /** Idempotent. */
  async close(): Promise<void> {
    this.failure ??= new ZeptoError('CANCELLED', 'stop', `the ${this.parts.kind} was closed`);
    this.settle(Number.POSITIVE_INFINITY, this.failure);
    this.closing.abort();
    await this.following;
  }

  private async follow(): Promise<void> {
    const { cluster, topic, kind, clock, logger } = this.parts;
    const { leader } = this;
    const { signal } = this.closing;
    const waitMs = Math.min(FETCH_WAIT_MS_MAX, Math.floor(cluster.requestTimeoutMs / 2));
    let attempt = 0;
    let missingSinceMs: number | null = null;
    while (!signal.aborted && this.failure === null) {
      try {
        const request = fetchRecords(topic, 0, this.position, waitMs, FETCH_BYTES_MAX);
        const { code, records } = await cluster.send({ ...leader, waiting: true }, request, signal);
        if (code === KafkaCode.OFFSET_OUT_OF_RANGE) throw this.parts.lost(this.position);
        if (code !== KafkaCode.NONE) {
          if (isPassing(code)) cluster.forget(leader);
          throw refusal(code, `read ${kind} ${topic}`, { topic });
        }
        this.take(records);
        attempt = 0;
        missingSinceMs = null;
      } catch (cause) {
        if (signal.aborted) return;
        const error = asZeptoError(cause);
        if (error.code === 'KAFKA_TOPIC_MISSING') missingSinceMs ??= clock.monotonicMs();
        const isMissing =
          missingSinceMs !== null && clock.monotonicMs() - missingSinceMs > MISSING_PATIENCE_MS;
        if (isMissing || (error.action !== 'retry' && error.code !== 'KAFKA_TOPIC_MISSING')) {
          this.fail(error);
          return;
        }
        logger.warn(
          { topic, position: this.position, code: error.code, error: error.message },
          `${kind} cannot be read, trying again`,
        );
        await clock.sleep(backoffMs(attempt++, 20, 2_000, clock), signal).catch(() => {});
      }
    }
  }

  private take(bytes: Buffer): void {
    const { topic, take } = this.parts;
    this.reader.open({ topic, partition: 0, fetchOffset: this.position, bytes, aborted: [], endOffset: -1 });
    for (let batch = this.reader.next(); batch !== null; batch = this.reader.next()) {
      take(batch);
      this.position = batch.offsetNext;
    }
    this.settle(this.position, null);
  }

  private fail(error: ZeptoError): void {
    const { topic, kind, logger } = this.parts;
    this.failure = error;
    logger.error({ topic, code: error.code, error: error.message }, `the ${kind} is given up`);
    this.settle(Number.POSITIVE_INFINITY, error);
  }

  private settle(position: number, failure: ZeptoError | null): void {
    const settled = this.waiters.filter(({ offset }) => offset <= position);
    if (settled.length === 0) return;
    this.waiters = this.waiters.filter(({ offset }) => offset > position);
    for (const waiter of settled) waiter.settle(failure);
  }

  /** Resolves when every record below `offset` has been read. */
  private reached(offset: number): Promise<void> {
    if (this.failure !== null) return Promise.reject(this.failure);
    if (this.position >= offset) return Promise.resolve();
    const { topic, kind, clock, patienceMs } = this.parts;
    return new Promise((resolve, reject) => {
      const waiter: Waiter = {
        offset,
        settle: (error) => {
          timer.cancel();
          if (error === null) resolve();
          else reject(error);
        },
      };
      const timer = clock.after(patienceMs, () => {
        this.waiters = this.waiters.filter((other) => other !== waiter);
        const message = `${kind} ${topic} could not be read to offset ${offset}`;
        reject(new ZeptoError('KAFKA_UNREACHABLE', 'retry', message));
      });
      this.waiters.push(waiter);
    });
  }
}

/** Bytes of a record's key or value; null: it has none. */
export function slice(buffer: Uint8Array, start: number, length: number): Uint8Array | null {
  return length < 0 ? null : buffer.subarray(start, start + length);
}
