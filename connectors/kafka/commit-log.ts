// What: the commit record of one Kafka partition: a transaction of dead letters, buckets of views, offset and metadata, by a fenced producer.
// Why: the group's committed offset is the one truth about what is sealed, so it must be known exactly who wrote what.
// Invariant: only fence() takes a producer epoch; after anything unanswered the epoch is given up before anything else is sent.

import type { Clock } from '../../src/kernel/clock.ts';
import { ZeptoError } from '../../src/kernel/errors.ts';
import type {
  CommitLog,
  CommittedOffset,
  DeadLetter,
  Logger,
  TopicPartition,
  ViewRecord,
} from '../../src/ports.ts';
import { type Cluster, type Target, wasSent } from './cluster.ts';
import { nextDeadLetterBatch } from './dead-letter.ts';
import { codeName, isFenced, isPassing, KafkaCode, refusal } from './errors.ts';
import type { OutgoingTopic } from './outgoing-topic.ts';
import { BATCH_RECORDS_MAX, encodeRecordBatch, type OutgoingRecord, recordBatches } from './record-write.ts';
import {
  addOffsetsToTransaction,
  addPartitionToTransaction,
  commitOffsetInTransaction,
  endTransaction,
  type GroupOffset,
  groupOffsets,
  initProducerId,
  type KafkaRequest,
  type ProducerId,
  produce,
} from './requests.ts';

export interface CommitLogOptions {
  readonly cluster: Cluster;
  readonly group: string;
  readonly source: TopicPartition;
  readonly deadLetterTopic: OutgoingTopic;
  /** By its name. */
  readonly viewTopic: (name: string) => OutgoingTopic;
  readonly clock: Clock;
  readonly logger: Logger;
  /** After this long the coordinator itself aborts a transaction whose producer is silent. */
  readonly transactionTimeoutMs: number;
  /** How long a step of a commit is repeated while brokers answer that it cannot be done yet. */
  readonly patienceMs: number;
}

/** A string of the protocol has a 16-bit length. Brokers allow 4,096 characters unless told otherwise. */
const METADATA_BYTES_MAX = 32_767;
/** Markers of a transaction that has ended reach the group within milliseconds, under load within seconds. */
const HANGING_AFTER_MS = 10_000;

/** What this log may do next. */
type State =
  | { readonly kind: 'unfenced'; readonly why: ZeptoError }
  /** `sequences`: records sent under this epoch, by topic: all go to one partition of it. */
  | { readonly kind: 'owner'; readonly producer: ProducerId; readonly sequences: Map<string, number> }
  /** The last commit may or may not hold, or what holds was not read since. */
  | { readonly kind: 'unknown'; readonly producer: ProducerId; readonly why: ZeptoError };

export function openCommitLog(options: CommitLogOptions): CommitLog {
  const {
    cluster,
    group,
    source,
    deadLetterTopic,
    viewTopic,
    clock,
    logger,
    transactionTimeoutMs,
    patienceMs,
  } = options;
  const { topic, partition } = source;
  const transactionalId = `${group}-${topic}-${partition}`;
  const transactions: Target = { kind: 'coordinator', of: 'transaction', key: transactionalId };
  const offsets: Target = { kind: 'coordinator', of: 'group', key: group };
  const context = { topic, partition };
  let state: State = {
    kind: 'unfenced',
    why: new ZeptoError('INTERNAL', 'stop', 'commit before fence', { context }),
  };

  const reading = `read the committed offset of ${topic}-${partition} in group ${group}`;
  const unread = new ZeptoError(
    'COMMIT_UNKNOWN',
    'retry',
    `the committed offset of ${topic}-${partition} was not read after fencing. Fencing again tells`,
    { context },
  );

  /** Topics that got records. */
  const sendsTo = new Set<OutgoingTopic>();
  const closing = new AbortController();
  const closed = new Promise<never>((_, reject) => {
    closing.signal.addEventListener('abort', () => {
      reject(new ZeptoError('CANCELLED', 'stop', `the commit log of ${topic}-${partition} was closed`));
    });
  });
  closed.catch(() => {}); // mostly nobody waits for it

  // -- fence ---------------------------------------------------------------------------------------------

  async function fence(): Promise<CommittedOffset | null> {
    await Promise.race([deadLetterTopic.ensure(), closed]);
    const producer = await takeEpoch(state.kind === 'unknown' ? state.producer : null);
    state = { kind: 'unknown', producer, why: state.kind === 'unknown' ? state.why : unread };
    // Only now: what an earlier owner had in flight is aborted or committed by the time the epoch is given out.
    let fetched = await readCommitted();
    if (fetched.code === KafkaCode.UNSTABLE_OFFSET_COMMIT) {
      await finishHanging(producer);
      fetched = await readCommitted();
    }
    if (fetched.code !== 0) throw refusal(fetched.code, reading, context);
    state = { kind: 'owner', producer, sequences: new Map() };
    const committed = fetched.offsets[0];
    return committed === undefined || committed.offset < 0
      ? null
      : { offset: committed.offset, metadata: committed.metadata };
  }

  /** UNSTABLE_OFFSET_COMMIT when a transaction has been pending for longer than markers can be on their way. */
  function readCommitted(): Promise<{ code: number; offsets: readonly GroupOffset[] }> {
    const startMs = clock.monotonicMs();
    const isHanging = (code: number): boolean =>
      code === KafkaCode.UNSTABLE_OFFSET_COMMIT && clock.monotonicMs() - startMs > HANGING_AFTER_MS;
    return cluster.ask(
      offsets,
      groupOffsets(group, source),
      ({ code }) => (isHanging(code) ? KafkaCode.NONE : code),
      reading,
      closing.signal,
    );
  }

  /**
   * A broker that shuts down may take a transaction for complete without having written its marker to the group's offsets
   * ("these partitions are likely deleted already and hence can be skipped"); they stay pending for ever. Only owners of this
   * partition write them, all of whom are shut out, and an intent or commit that was sent is one that may hold: the end of
   * an empty transaction of the same producer id takes it over.
   */
  async function finishHanging(producer: ProducerId): Promise<void> {
    logger.warn(
      { ...context, transactionalId },
      'Kafka has left the last commit of a former owner pending: completing it',
    );
    const request = addOffsetsToTransaction(transactionalId, producer, group);
    try {
      await step(transactions, request, (code) => code);
    } catch (error) {
      throw await abandoned({ kind: 'owner', producer, sequences: new Map() }, error, '');
    }
    await end(producer);
  }

  /**
   * With `mine` (the epoch of a commit of unknown outcome) only if nobody has taken the partition since: a stopped and
   * continued process that settles its own commit must not shut the rightful owner out.
   */
  async function takeEpoch(mine: ProducerId | null): Promise<ProducerId> {
    const doing = `take over ${transactionalId}`;
    if (mine !== null) {
      const code = await cluster.ask(
        transactions,
        endTransaction(transactionalId, mine, 'abort'),
        (answer) => answer,
        doing,
        closing.signal,
      );
      if (isFenced(code)) throw lost(fencedError(code));
      // INVALID_TXN_STATE: it was committed, or never begun. Anything else shows at InitProducerId again.
    }
    const request = initProducerId(transactionalId, transactionTimeoutMs, mine);
    const { code, producer } = await cluster.ask(
      transactions,
      request,
      (answer) => answer.code,
      doing,
      closing.signal,
    );
    if (mine !== null && isFenced(code)) throw lost(fencedError(code));
    if (code !== 0) throw refusal(code, doing, context);
    return producer;
  }

  // -- commit --------------------------------------------------------------------------------------------

  async function commit(
    offset: number,
    metadata: string,
    deadLetters: readonly DeadLetter[],
    published: readonly ViewRecord[],
  ): Promise<void> {
    if (state.kind !== 'owner') throw state.why;
    if (Buffer.byteLength(metadata) > METADATA_BYTES_MAX) throw metadataTooLarge(metadata, undefined);
    const owner = state;
    try {
      if (deadLetters.length > 0)
        await send(owner, deadLetterTopic, deadLetters.length, (from, bytesMax) =>
          nextDeadLetterBatch(deadLetters, from, source, bytesMax),
        );
      for (const [name, records] of byTopic(published))
        await send(owner, viewTopic(name), records.length, (from, bytesMax) =>
          nextBatch(records, from, bytesMax),
        );
      await step(
        transactions,
        addOffsetsToTransaction(transactionalId, owner.producer, group),
        (code) => code,
      );
      const toCommit = { group, topic, partition, offset, metadata };
      await step(
        offsets,
        commitOffsetInTransaction(transactionalId, owner.producer, toCommit),
        (code) => code,
      );
    } catch (error) {
      throw await abandoned(owner, error, metadata);
    }
    await end(owner.producer);
  }

  /** `next`: records from one of `count` on, as many as fit a batch. */
  async function send(
    owner: State & { kind: 'owner' },
    outgoing: OutgoingTopic,
    count: number,
    next: (from: number, bytesMax: number) => readonly OutgoingRecord[],
  ): Promise<void> {
    sendsTo.add(outgoing);
    const to = await outgoing.partitionFor(partition);
    const target: Target = { kind: 'leader', topic: to.topic, partition: to.partition };
    await step(
      transactions,
      addPartitionToTransaction(transactionalId, owner.producer, to.topic, to.partition),
      (code) => code,
    );
    const { sequences, producer } = owner;
    for (let sent = 0; sent < count; ) {
      const records = next(sent, outgoing.batchBytesMax());
      const sequence = sequences.get(to.topic) ?? 0;
      const batch = encodeRecordBatch(records, clock.nowMs(), { producer, sequence, isTransactional: true });
      const timeoutMs = cluster.requestTimeoutMs;
      try {
        await step(
          target,
          produce(transactionalId, timeoutMs, to.topic, to.partition, batch),
          (answer) => answer.code,
        );
      } catch (error) {
        if (error instanceof Refused && tooLarge(error.code) && outgoing.lowerBatchBytesMax()) continue;
        throw error;
      }
      sequences.set(to.topic, sequence + records.length);
      sent += records.length;
    }
  }

  /** One request of the transaction, repeated while the broker answers "not yet". Rejects with Refused, or with whatever left it unanswered. */
  async function step<Answer>(
    target: Target,
    request: KafkaRequest<Answer>,
    codeOf: (answer: Answer) => number,
  ): Promise<void> {
    const startMs = clock.monotonicMs();
    for (let attempt = 0; ; attempt++) {
      const code = codeOf(await deliver(target, request, startMs));
      if (code === KafkaCode.NONE) return;
      if (!isPassing(code) || isOver(startMs, patienceOf(code))) throw new Refused(code, request.name);
      await pause(target, code, attempt);
    }
  }

  /** Sends once; waits while there is nobody to send it to. */
  async function deliver<Answer>(
    target: Target,
    request: KafkaRequest<Answer>,
    startMs: number,
  ): Promise<Answer> {
    for (let attempt = 0; ; attempt++) {
      try {
        return await cluster.send(target, request);
      } catch (error) {
        const mayWait = !wasSent(error) && error instanceof ZeptoError && error.action === 'retry';
        if (!mayWait || isOver(startMs, patienceMs)) throw error;
        await pause(target, KafkaCode.COORDINATOR_NOT_AVAILABLE, attempt);
      }
    }
  }

  /** THE COMMIT POINT. Once the request is out, only its answer says what holds. */
  async function end(producer: ProducerId): Promise<void> {
    const startMs = clock.monotonicMs();
    let mayHold = false;
    for (let attempt = 0; ; attempt++) {
      let code: number;
      try {
        code = await deliver(transactions, endTransaction(transactionalId, producer, 'commit'), startMs);
      } catch (error) {
        throw unknown(producer, 'the end of the transaction was not answered', error);
      }
      if (code === KafkaCode.NONE) return;
      // Fenced with nothing answered "not yet" before: the coordinator has not carried it out and never will.
      if (isFenced(code) && !mayHold) throw lost(fencedError(code));
      if (!isPassing(code) || isOver(startMs, patienceMs))
        throw unknown(producer, `the end of the transaction was answered ${codeName(code)}`, undefined);
      // A coordinator that could not replicate the decision answers so too, and its successor may find the decision in the log.
      if (code !== KafkaCode.CONCURRENT_TRANSACTIONS) mayHold = true;
      await pause(transactions, code, attempt);
    }
  }

  /** The transaction failed before its end was sent: nothing of it is committed. Says what the caller must do. */
  async function abandoned(
    owner: State & { kind: 'owner' },
    error: unknown,
    metadata: string,
  ): Promise<ZeptoError> {
    if (!(error instanceof Refused))
      return unknown(owner.producer, 'a request of the transaction was not answered', error);
    if (isFenced(error.code)) return lost(fencedError(error.code));
    const cause = refusal(error.code, `${error.request} for ${topic}-${partition}`, context);
    if (error.code === KafkaCode.UNKNOWN_TOPIC_OR_PARTITION) for (const to of sendsTo) to.forget();
    // Anything that came through is in the transaction, and a later commit would take it along: abort.
    const aborted = await cluster
      .send(transactions, endTransaction(transactionalId, owner.producer, 'abort'))
      .catch(() => null);
    if (aborted !== KafkaCode.NONE) return unknown(owner.producer, cause.message, cause);
    if (error.code === KafkaCode.OFFSET_METADATA_TOO_LARGE) return metadataTooLarge(metadata, cause);
    if (cause.code === 'KAFKA_AUTH') return cause;
    return unknown(owner.producer, cause.message, cause);
  }

  // -- outcomes ------------------------------------------------------------------------------------------

  function lost(why: ZeptoError): ZeptoError {
    state = { kind: 'unfenced', why };
    return why;
  }

  function unknown(producer: ProducerId, detail: string, cause: unknown): ZeptoError {
    const why = new ZeptoError(
      'COMMIT_UNKNOWN',
      'retry',
      `it is not known whether the commit of ${topic}-${partition} holds: ${detail}. Fencing again tells`,
      { cause, context },
    );
    state = { kind: 'unknown', producer, why };
    return why;
  }

  function metadataTooLarge(metadata: string, cause: unknown): ZeptoError {
    return new ZeptoError(
      'METADATA_TOO_LARGE',
      'stop',
      `the broker refuses ${metadata.length} characters of offset metadata: raise its offset.metadata.max.bytes`,
      { cause, context },
    );
  }

  function fencedError(code: number): ZeptoError {
    return new ZeptoError(
      'FENCED',
      'rejoin',
      `another owner has taken ${topic}-${partition}: ${codeName(code)} for ${transactionalId}`,
      { context },
    );
  }

  function isOver(startMs: number, limitMs: number): boolean {
    return closing.signal.aborted || clock.monotonicMs() - startMs >= limitMs;
  }

  function patienceOf(code: number): number {
    // A topic that is not there will not come by itself; 2 s cover one that is new.
    return code === KafkaCode.UNKNOWN_TOPIC_OR_PARTITION ? Math.min(patienceMs, 2_000) : patienceMs;
  }

  async function pause(target: Target, code: number, attempt: number): Promise<void> {
    if (code === KafkaCode.CONCURRENT_TRANSACTIONS) {
      // The last transaction's markers are still being written, a matter of milliseconds.
      await clock.sleep(Math.min(50, 2 + 3 * attempt));
      return;
    }
    cluster.forget(target);
    await clock.sleep(Math.min(500, 20 * 2 ** Math.min(attempt, 10)) * (0.5 + 0.5 * clock.random()));
  }

  // Calls take turns: a fence waits for the commit before it.
  let turn: Promise<unknown> = Promise.resolve();
  const inTurn = <T>(call: () => Promise<T>): Promise<T> => {
    const result = turn.then(call);
    turn = result.catch(() => {});
    return result;
  };

  return {
    fence: () => inTurn(fence),
    commit: (offset, metadata, deadLetters, published = []) =>
      inTurn(() => commit(offset, metadata, deadLetters, published)),
    close: () => {
      // What is on its way is waited for; what waits for Kafka to come back is not.
      closing.abort();
      return inTurn(async () => {
        state = {
          kind: 'unfenced',
          why: new ZeptoError('INTERNAL', 'stop', 'commit after close', { context }),
        };
      });
    },
  };
}

/** The broker answered, and refused: the request was not carried out. */
class Refused extends Error {
  readonly code: number;
  readonly request: string;
  constructor(code: number, request: string) {
    super(`${request}: ${codeName(code)}`);
    this.code = code;
    this.request = request;
  }
}

function byTopic(records: readonly ViewRecord[]): ReadonlyMap<string, readonly ViewRecord[]> {
  const topics = new Map<string, ViewRecord[]>();
  for (const record of records) {
    const others = topics.get(record.topic);
    if (others === undefined) topics.set(record.topic, [record]);
    else others.push(record);
  }
  return topics;
}

/** As many records from index `from` on as fit; at least one. */
const nextBatch = (
  records: readonly OutgoingRecord[],
  from: number,
  bytesMax: number,
): readonly OutgoingRecord[] =>
  recordBatches(records.slice(from, from + BATCH_RECORDS_MAX), bytesMax).next().value!;

function tooLarge(code: number): boolean {
  return code === KafkaCode.MESSAGE_TOO_LARGE || code === KafkaCode.RECORD_LIST_TOO_LARGE;
}
