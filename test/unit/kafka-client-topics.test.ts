// What: topics that are missing and cannot be made, and settings as numbers.
// Why: the right to create topics is often withheld; then the operator needs the exact command.
// Invariant: a topic that somebody else makes at the same moment is as good as ours.

import { describe, expect, it } from 'vitest';
import type { Cluster } from '../../connectors/kafka/cluster.ts';
import { isPassing, KafkaCode } from '../../connectors/kafka/errors.ts';
import { ensureTopic, topicRetention } from '../../connectors/kafka/topics.ts';

/** A cluster without the topic that answers every request with this. */
function answering(answer: unknown): Cluster {
  const reply = async <Answer>(): Promise<Answer> => answer as Answer;
  return {
    requestTimeoutMs: 1,
    send: reply,
    ask: reply,
    forget: () => {},
    partitionCount: async () => null,
    partitionCountOfNew: async () => 6,
    close: async () => {},
  };
}
const topic = { name: 'ticks.dlq', partitions: 6, config: { 'cleanup.policy': 'delete' } };

describe('a missing topic', () => {
  it('that cannot be made is an error with the command that makes it', async () => {
    const cluster = answering({ code: KafkaCode.TOPIC_AUTHORIZATION_FAILED, message: 'no right' });
    await expect(ensureTopic(cluster, topic, 'the dead-letter topic')).rejects.toMatchObject({
      code: 'KAFKA_TOPIC_MISSING',
      action: 'stop',
      message:
        'the dead-letter topic ticks.dlq does not exist and could not be created: TOPIC_AUTHORIZATION_FAILED (29), no right. ' +
        'Create it: kafka-topics.sh --create --topic ticks.dlq --partitions 6 --config cleanup.policy=delete',
    });
  });

  it('is made when enough brokers are live again; when there are never enough, that is said', async () => {
    const short = { code: KafkaCode.INVALID_REPLICATION_FACTOR, message: 'all brokers are fenced' };
    let asked = 0;
    const live = (after: number): Cluster => ({
      ...answering(null),
      async ask<Answer>(_: unknown, __: unknown, codeOf: (answer: Answer) => number): Promise<Answer> {
        for (asked = 0; ; asked++) {
          const answer = (asked < after ? short : { code: 0, message: '' }) as Answer;
          if (!isPassing(codeOf(answer))) return answer;
        }
      },
    });
    expect(await ensureTopic(live(5), topic, 'it')).toEqual({ isNew: true, partitions: 6 });
    expect(asked).toBe(5);
    await expect(ensureTopic(live(Number.POSITIVE_INFINITY), topic, 'it')).rejects.toThrow(
      'could not be created: INVALID_REPLICATION_FACTOR (38), all brokers are fenced',
    );
    expect(asked).toBeGreaterThan(5);
  });

  it('that another member makes at the same time is there, with the partitions which that one gave it', async () => {
    const another = answering({ code: KafkaCode.TOPIC_ALREADY_EXISTS, message: '' });
    expect(await ensureTopic({ ...another, partitionCountOfNew: async () => 4 }, topic, 'it')).toEqual({
      isNew: false,
      partitions: 4,
    });
    const own = answering({ code: 0, message: '' });
    expect(await ensureTopic(own, topic, 'it')).toEqual({ isNew: true, partitions: 6 });
  });
});

describe('retention', () => {
  it.each([
    [
      { 'retention.ms': '604800000', 'retention.bytes': '-1', 'cleanup.policy': 'delete' },
      { ms: 604_800_000, bytes: null, compacted: false },
    ],
    [
      { 'retention.ms': '-1', 'retention.bytes': '0', 'cleanup.policy': 'compact,delete' },
      { ms: null, bytes: 0, compacted: true },
    ],
  ])('%j', async (config, expected) => {
    expect(
      await topicRetention(answering({ code: 0, config: new Map(Object.entries(config)) }), 't'),
    ).toEqual(expected);
  });

  it('without the right to ask for it names the right', async () => {
    const cluster = answering({ code: KafkaCode.TOPIC_AUTHORIZATION_FAILED, config: new Map() });
    await expect(topicRetention(cluster, 't')).rejects.toMatchObject({ code: 'KAFKA_AUTH', action: 'stop' });
  });
});
