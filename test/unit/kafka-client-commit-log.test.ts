// What: the commit log against brokers that answer "not yet", refuse, or do not answer, step by step.
// Why: each of these means something different for what is committed, and the real ones are rare and hard to time.
// Invariant: after the end of a transaction is sent, nothing but its answer makes a commit count as held or as not held.

import { describe, expect, it } from 'vitest';
import type { Cluster } from '../../connectors/kafka/cluster.ts';
import { openCommitLog } from '../../connectors/kafka/commit-log.ts';
import { KafkaCode } from '../../connectors/kafka/errors.ts';
import type { OutgoingTopic } from '../../connectors/kafka/outgoing-topic.ts';
import type { KafkaRequest } from '../../connectors/kafka/requests.ts';
import { type Clock, systemClock } from '../../src/kernel/clock.ts';
import { ZeptoError } from '../../src/kernel/errors.ts';
import type { CommitLog, DeadLetter } from '../../src/ports.ts';

/** An error code, no answer, or nobody there to send it to. */
type Reply = number | 'silence' | 'nobody';

/** A broker that answers each request by its name: the replies given for it in turn, then NONE. */
function scripted(script: Readonly<Record<string, readonly Reply[]>>): {
  log: CommitLog;
  sent: string[];
  passedMs: () => number;
  limitLowered: () => number;
} {
  const left = new Map(Object.entries(script).map(([name, replies]) => [name, [...replies]]));
  const sent: string[] = [];
  let epoch = 0;
  let nowMs = 0;
  let lowered = 0;
  const clock: Clock = {
    ...systemClock,
    monotonicMs: () => nowMs,
    sleep: async (delayMs) => {
      nowMs += delayMs;
    },
    random: () => 0.5,
  };
  const send = async <Answer>(_: unknown, request: KafkaRequest<Answer>): Promise<Answer> => {
    sent.push(request.name);
    const reply = left.get(request.name)?.shift() ?? 0;
    if (reply === 'silence') throw new ZeptoError('KAFKA_UNREACHABLE', 'retry', 'no answer');
    if (reply === 'nobody')
      throw new ZeptoError('KAFKA_UNREACHABLE', 'retry', 'no coordinator', { context: { isSent: false } });
    const answer = {
      InitProducerId: { code: reply, producer: { id: 1n, epoch: epoch++ } },
      OffsetFetch: {
        code: reply,
        offsets: [{ code: 0, offset: 40, metadata: 'm', topic: 't', partition: 0 }],
      },
      Produce: { code: reply, offset: 0 },
    }[request.name];
    return (answer ?? reply) as Answer;
  };
  const cluster: Cluster = {
    requestTimeoutMs: 1,
    send,
    ask: (target, request) => send(target, request),
    forget: () => {},
    partitionCount: async () => 1,
    partitionCountOfNew: async () => 1,
    close: async () => {},
  };
  const outgoing = (topic: string): OutgoingTopic => ({
    ensure: async () => {},
    partitionFor: async (partition) => ({ topic, partition }),
    batchBytesMax: () => 100_000,
    lowerBatchBytesMax: () => ++lowered < 3,
    forget: () => {},
  });
  const log = openCommitLog({
    cluster,
    group: 'g',
    source: { topic: 't', partition: 0 },
    deadLetterTopic: outgoing('t.dlq'),
    viewTopic: outgoing,
    clock,
    logger: { debug() {}, info() {}, warn() {}, error() {} },
    transactionTimeoutMs: 60_000,
    patienceMs: 10_000,
  });
  return { log, sent, passedMs: () => nowMs, limitLowered: () => lowered };
}

const { COORDINATOR_NOT_AVAILABLE, CONCURRENT_TRANSACTIONS, INVALID_PRODUCER_EPOCH, INVALID_TXN_STATE } =
  KafkaCode;
const letter: DeadLetter = { offset: 1, timestampMs: 0, cause: 'c', key: null, value: null };

async function failureOf(promise: Promise<unknown>): Promise<ZeptoError> {
  return promise.then(
    () => {
      throw new Error('expected a rejection');
    },
    (error: ZeptoError) => error,
  );
}

describe('fence', () => {
  it('takes the epoch first and reads the offset after', async () => {
    const { log, sent } = scripted({});
    expect(await log.fence()).toEqual({ offset: 40, metadata: 'm' });
    expect(sent).toEqual(['InitProducerId', 'OffsetFetch']);
  });

  it('must come before a commit', async () => {
    const { log, sent } = scripted({});
    expect((await failureOf(log.commit(1, '', []))).message).toMatch(/commit before fence/);
    expect(sent).toEqual([]);
  });

  it('waits for a commit that is under way', async () => {
    const { log, sent } = scripted({});
    await log.fence();
    await Promise.all([log.commit(1, '', []), log.fence()]);
    expect(sent.slice(2)).toEqual([
      'AddOffsetsToTxn',
      'TxnOffsetCommit',
      'EndTxn',
      'InitProducerId',
      'OffsetFetch',
    ]);
  });

  it('that could not read what is committed allows no commit, and is repeated under the epoch it took', async () => {
    const { log, sent } = scripted({ OffsetFetch: ['silence'] });
    expect((await failureOf(log.fence())).code).toBe('KAFKA_UNREACHABLE');
    expect(await failureOf(log.commit(1, '', []))).toMatchObject({ code: 'COMMIT_UNKNOWN', action: 'retry' });
    expect(await log.fence()).toEqual({ offset: 40, metadata: 'm' });
    expect(sent.slice(2)).toEqual(['EndTxn', 'InitProducerId', 'OffsetFetch']);
    await log.commit(1, '', []);
  });
});

describe('commit', () => {
  it('without dead letters produces nothing', async () => {
    const { log, sent } = scripted({});
    await log.fence();
    await log.commit(1, '', []);
    expect(sent).not.toContain('Produce');
    expect(sent).not.toContain('AddPartitionsToTxn');
  });

  it('sends buckets of views to the partition of their topic within the transaction', async () => {
    const { log, sent } = scripted({});
    await log.fence();
    const bucket = { topic: 'bars', key: Buffer.from('k'), value: Buffer.from('v'), headers: [] };
    await log.commit(1, '', [letter], [bucket, { ...bucket, topic: 'minutes' }, bucket]);
    expect(sent.slice(2)).toEqual([
      ...['AddPartitionsToTxn', 'Produce'], // the dead letter
      ...['AddPartitionsToTxn', 'Produce'], // two bars in a batch
      ...['AddPartitionsToTxn', 'Produce'],
      ...['AddOffsetsToTxn', 'TxnOffsetCommit', 'EndTxn'],
    ]);
  });

  it('goes on in the same transaction while the last one is still ending', async () => {
    const { log, sent, passedMs } = scripted({
      AddOffsetsToTxn: [CONCURRENT_TRANSACTIONS, CONCURRENT_TRANSACTIONS],
    });
    await log.fence();
    await log.commit(1, '', []);
    expect(sent.filter((name) => name === 'AddOffsetsToTxn').length).toBe(3);
    expect(passedMs()).toBeLessThan(20);
  });

  it.each(['AddPartitionsToTxn', 'Produce', 'AddOffsetsToTxn', 'TxnOffsetCommit', 'EndTxn'])(
    'waits while there is nobody to send %s to',
    async (name) => {
      const { log, sent } = scripted({ [name]: ['nobody', 'nobody'] });
      await log.fence();
      await log.commit(1, '', [letter]);
      expect(sent.filter((request) => request === name).length).toBe(3);
    },
  );

  it('gives up after its patience when brokers answer "not yet" for ever', async () => {
    const { log, sent, passedMs } = scripted({
      TxnOffsetCommit: new Array(1000).fill(COORDINATOR_NOT_AVAILABLE),
    });
    await log.fence();
    expect(await failureOf(log.commit(1, '', []))).toMatchObject({ code: 'COMMIT_UNKNOWN', action: 'retry' });
    expect(passedMs()).toBeGreaterThan(10_000);
    expect(passedMs()).toBeLessThan(11_000);
    expect(sent.at(-1)).toBe('EndTxn'); // the abort
  });

  it.each(['AddPartitionsToTxn', 'Produce', 'AddOffsetsToTxn', 'TxnOffsetCommit', 'EndTxn'])(
    'is FENCED when %s says so, and stays so until fenced again',
    async (name) => {
      const { log, sent } = scripted({ [name]: [INVALID_PRODUCER_EPOCH] });
      await log.fence();
      expect(await failureOf(log.commit(1, '', [letter]))).toMatchObject({
        code: 'FENCED',
        action: 'rejoin',
      });
      const count = sent.length;
      expect(sent.at(-1)).toBe(name);
      expect((await failureOf(log.commit(1, '', []))).code).toBe('FENCED');
      expect(sent.length).toBe(count);
      await log.fence();
      await log.commit(1, '', []);
    },
  );

  it.each(['AddPartitionsToTxn', 'Produce', 'AddOffsetsToTxn', 'TxnOffsetCommit', 'EndTxn'])(
    'is unknown when %s is not answered, and nothing more is sent under that epoch',
    async (name) => {
      const { log, sent } = scripted({ [name]: ['silence'] });
      await log.fence();
      expect((await failureOf(log.commit(1, '', [letter]))).code).toBe('COMMIT_UNKNOWN');
      expect(sent.at(-1)).toBe(name);
      const count = sent.length;
      expect((await failureOf(log.commit(1, '', []))).code).toBe('COMMIT_UNKNOWN');
      expect(sent.length).toBe(count);
    },
  );

  it('is unknown, not fenced, when the coordinator first could not replicate the end and then says fenced', async () => {
    const { log } = scripted({ EndTxn: [COORDINATOR_NOT_AVAILABLE, INVALID_PRODUCER_EPOCH] });
    await log.fence();
    expect((await failureOf(log.commit(1, '', []))).code).toBe('COMMIT_UNKNOWN');
  });

  it('holds when the end is answered at the second try', async () => {
    const { log } = scripted({ EndTxn: [COORDINATOR_NOT_AVAILABLE] });
    await log.fence();
    await log.commit(1, '', []);
  });

  it('aborts when the metadata is refused, and the epoch stays good', async () => {
    const { log, sent } = scripted({ TxnOffsetCommit: [KafkaCode.OFFSET_METADATA_TOO_LARGE] });
    await log.fence();
    expect(await failureOf(log.commit(1, 'x'.repeat(10), []))).toMatchObject({
      code: 'METADATA_TOO_LARGE',
      action: 'stop',
    });
    expect(sent.slice(2)).toEqual(['AddOffsetsToTxn', 'TxnOffsetCommit', 'EndTxn']);
    await log.commit(1, '', []);
  });

  it('never sends metadata that the protocol cannot carry', async () => {
    const { log, sent } = scripted({});
    await log.fence();
    const count = sent.length;
    expect((await failureOf(log.commit(1, 'x'.repeat(40_000), []))).code).toBe('METADATA_TOO_LARGE');
    expect(sent.length).toBe(count);
  });

  it('tries smaller batches when the dead-letter topic finds them too large', async () => {
    const { log, sent, limitLowered } = scripted({
      Produce: [KafkaCode.MESSAGE_TOO_LARGE, KafkaCode.MESSAGE_TOO_LARGE],
    });
    await log.fence();
    await log.commit(1, '', [letter]);
    expect(sent.filter((name) => name === 'Produce').length).toBe(3);
    expect(limitLowered()).toBe(2);
  });

  it('names the missing right', async () => {
    const { log } = scripted({ AddOffsetsToTxn: [KafkaCode.GROUP_AUTHORIZATION_FAILED] });
    await log.fence();
    expect(await failureOf(log.commit(1, '', []))).toMatchObject({ code: 'KAFKA_AUTH', action: 'stop' });
  });
});

describe('fence after an unknown commit', () => {
  it('ends the old transaction before it takes an epoch', async () => {
    const { log, sent } = scripted({ EndTxn: ['silence', INVALID_TXN_STATE] });
    await log.fence();
    await failureOf(log.commit(1, '', []));
    await log.fence();
    expect(sent.slice(-3)).toEqual(['EndTxn', 'InitProducerId', 'OffsetFetch']);
    await log.commit(2, '', []);
  });

  it.each(['EndTxn', 'InitProducerId'])(
    'does not shut out an owner that came in between (%s)',
    async (name) => {
      const { log, sent } = scripted({
        EndTxn: ['silence', name === 'EndTxn' ? INVALID_PRODUCER_EPOCH : 0],
        InitProducerId: [0, name === 'InitProducerId' ? INVALID_PRODUCER_EPOCH : 0],
      });
      await log.fence();
      await failureOf(log.commit(1, '', []));
      expect((await failureOf(log.fence())).code).toBe('FENCED');
      expect(sent.at(-1)).toBe(name);
      // Assigned again, it is the owner's right to shut everybody out.
      await log.fence();
      await log.commit(2, '', []);
    },
  );
});
