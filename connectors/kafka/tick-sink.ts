// What: ticks onto a topic through an idempotent producer of our own.
// Why: an INSERT whose answer was lost is sent again, and must not put its rows there twice.
// Invariant: batches of a partition go out one after the other, each with the next sequence; after an unknown outcome a new producer begins.

import { Partitioners } from 'kafkajs';
import type { Clock } from '../../src/kernel/clock.ts';
import { asZeptoError, ZeptoError } from '../../src/kernel/errors.ts';
import type { OutgoingTicks, TickSink, WrittenEnd } from '../../src/ports.ts';
import type { Cluster } from './cluster.ts';
import { KafkaCode, refusal } from './errors.ts';
import { encodeRecordBatch, type OutgoingRecord, recordBatches } from './record-write.ts';
import { initProducerId, type ProducerId, produce } from './requests.ts';

const BATCH_BYTES_MAX = 900_000;
const TRANSACTION_TIMEOUT_MS = 60_000;

/** The ticks of a partition: of each, which piece has it and where. */
interface Share {
  readonly pieces: number[];
  readonly ticks: number[];
}

function* recordsOf(share: Share, pieces: readonly OutgoingTicks[]): Generator<OutgoingRecord> {
  for (let i = 0; i < share.ticks.length; i++) {
    const piece = pieces[share.pieces[i]!]!;
    const tick = share.ticks[i]!;
    const value = piece.bytes.subarray(piece.ends[2 * tick]!, piece.ends[2 * tick + 1]!);
    yield { key: keyOf(piece, tick), value, headers: [] };
  }
}

const keyOf = ({ bytes, ends }: OutgoingTicks, tick: number): Buffer =>
  bytes.subarray(tick === 0 ? 0 : ends[2 * tick - 1]!, ends[2 * tick]!);

export function openTickSink(cluster: Cluster, clock: Clock): TickSink {
  const choose = Partitioners.DefaultPartitioner();
  let producer: Promise<ProducerId> | null = null;
  /** By topic and partition; of `producer`. */
  let sequences = new Map<string, number>();
  let turn: Promise<unknown> = Promise.resolve();

  function currentProducer(): Promise<ProducerId> {
    producer ??= begin();
    return producer;
  }

  async function begin(): Promise<ProducerId> {
    sequences = new Map();
    const doing = 'begin to write';
    const request = initProducerId(null, TRANSACTION_TIMEOUT_MS, null);
    const answer = await cluster.ask({ kind: 'any' }, request, ({ code }) => code, doing);
    if (answer.code !== 0) throw refusal(answer.code, doing);
    return answer.producer;
  }

  async function write(
    topic: string,
    partition: number,
    records: readonly OutgoingRecord[],
  ): Promise<number> {
    const key = `${partition} ${topic}`;
    const sender = {
      producer: await currentProducer(),
      sequence: sequences.get(key) ?? 0,
      isTransactional: false,
    };
    const batch = encodeRecordBatch(records, clock.nowMs(), sender);
    const doing = `write to ${topic}-${partition}`;
    const { code, offset } = await cluster.ask(
      { kind: 'leader', topic, partition },
      produce(null, cluster.requestTimeoutMs, topic, partition, batch),
      (answer) => answer.code,
      doing,
    );
    if (code === KafkaCode.MESSAGE_TOO_LARGE || code === KafkaCode.RECORD_LIST_TOO_LARGE)
      throw new ZeptoError(
        'LIMIT_EXCEEDED',
        'stop',
        `topic ${topic} takes smaller records only: insert fewer rows at a time, or raise its max.message.bytes`,
      );
    if (code !== 0) throw refusal(code, doing, { topic, partition });
    sequences.set(key, (sender.sequence + records.length) % 2 ** 31);
    return offset + records.length;
  }

  async function sendAll(topic: string, pieces: readonly OutgoingTicks[]): Promise<readonly WrittenEnd[]> {
    const partitions = await cluster.partitionCount(topic);
    if (partitions === null)
      throw new ZeptoError('KAFKA_TOPIC_MISSING', 'stop', `topic ${topic} does not exist: create it`);
    const metadata = Array.from({ length: partitions }, (_, partitionId) => ({
      partitionId,
      partitionErrorCode: 0,
      leader: 0,
      replicas: [],
      isr: [],
    }));
    const shares = new Map<number, Share>();
    let all = 0;
    pieces.forEach((piece, at) => {
      all += piece.count;
      for (let i = 0; i < piece.count; i++) {
        const message = { key: keyOf(piece, i), value: null };
        const partition = choose({ topic, partitionMetadata: metadata, message });
        let share = shares.get(partition);
        if (share === undefined) {
          share = { pieces: [], ticks: [] };
          shares.set(partition, share);
        }
        share.pieces.push(at);
        share.ticks.push(i);
      }
    });
    const ends: WrittenEnd[] = [];
    let written = 0;
    for (const [partition, share] of shares) {
      let end = 0;
      for (const records of recordBatches(recordsOf(share, pieces), BATCH_BYTES_MAX)) {
        try {
          end = await write(topic, partition, records);
        } catch (cause) {
          producer = null;
          throw unfinished(asZeptoError(cause), written, all);
        }
        written += records.length;
      }
      ends.push({ partition, offset: end });
    }
    return ends;
  }

  return {
    send: (topic, pieces) => {
      const sent = turn.then(() => sendAll(topic, pieces));
      turn = sent.catch(() => {});
      return sent;
    },
    close: () => cluster.close(),
  };
}

function unfinished(error: ZeptoError, written: number, all: number): ZeptoError {
  const rest = error.action === 'retry' ? 'further ones may have been' : 'no more were';
  const message = `${error.message}. ${written} of ${all} records were written, ${rest}`;
  return new ZeptoError(error.code, 'stop', message, { cause: error, context: error.context });
}
