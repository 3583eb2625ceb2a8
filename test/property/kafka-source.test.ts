// What: whole sources in a simulated group: rebalances, outages, moved leaders, slow and pausing engines, from seeds.
// Why: what a member may see after which event is a matter of interleavings that no hand-written case covers.
// Invariant: as the port says: calls do not overlap, records continue exactly at the position, nothing of before comes after.

import { describe, expect, test } from 'vitest';
import { KafkaCode } from '../../connectors/kafka/errors.ts';
import { KafkaSource, type KafkaSourceConfig } from '../../connectors/kafka/source.ts';
import type { RecordBatch } from '../../src/columns/batch.ts';
import { ZeptoError } from '../../src/kernel/errors.ts';
import { type SourceListener, type TopicPartition, topicPartitionKey } from '../../src/ports.ts';
import { Chance, ProcessClock, Scheduler } from '../simulation/scheduler.ts';
import { recordingLogger } from '../support/kafka-cluster.ts';
import { SimulatedGroup } from '../support/simulated-group.ts';

const SESSION_MS = 3_000;

const config: KafkaSourceConfig = {
  kafka: { fetchDecode: 'direct', fetchWaitMsMax: 100, fetchBytesMax: 3_000, fetchPartitionBytesMax: 1_500 },
  group: { id: 'g', sessionTimeoutMs: SESSION_MS, heartbeatIntervalMs: 300, rebalanceTimeoutMs: 5_000 },
};

/** What the group has committed, and by whom last: a new owner shuts earlier ones out. */
class Commits {
  readonly committed = new Map<string, number>();
  readonly owner = new Map<string, object>();
}

/** A clock that lets go of a signal when the wait is over, as the real one does. */
class MemberClock extends ProcessClock {
  override async sleep(delayMs: number, signal?: AbortSignal): Promise<void> {
    signal?.throwIfAborted();
    await new Promise<void>((resolve, reject) => {
      const onAbort = (): void => reject(signal?.reason);
      signal?.addEventListener('abort', onAbort);
      this.after(delayMs, () => {
        signal?.removeEventListener('abort', onAbort);
        resolve();
      });
    });
  }
}

/** An engine that checks every promise of the port, and takes its time. */
class CheckedMember implements SourceListener {
  readonly source: KafkaSource;
  readonly clock: ProcessClock;
  readonly wire: ReturnType<SimulatedGroup['wire']>;
  readonly logger = recordingLogger();
  readonly position = new Map<string, number>();
  readonly paused = new Set<string>();
  readonly failures: ZeptoError[] = [];
  readonly violations: string[] = [];
  assignments = 0;
  losses = 0;
  recordsTaken = 0;
  isGone = false;
  /** Assigned and not lost. */
  private isIn = false;
  private busy: 'assigned' | 'records' | null = null;
  private readonly group: SimulatedGroup;
  private readonly commits: Commits;
  private readonly chance: Chance;
  /** Longest that the engine takes for a call. */
  slowMsMax = 40;
  assignMsMax = 40;
  pausing = 0.05;

  constructor(
    group: SimulatedGroup,
    scheduler: Scheduler,
    chance: Chance,
    commits: Commits,
    topics: readonly string[],
  ) {
    this.group = group;
    this.chance = chance;
    this.commits = commits;
    this.clock = new MemberClock(scheduler, chance);
    this.wire = group.wire();
    this.source = new KafkaSource(this.wire, {
      config,
      topics,
      clock: this.clock,
      logger: this.logger,
      metrics: { count: () => {}, gauge: () => {}, observe: () => {} },
    });
  }

  private wrong(what: string): void {
    if (!this.isGone) this.violations.push(what);
  }

  async assigned(partitions: readonly TopicPartition[]): Promise<ReadonlyMap<string, number>> {
    if (this.busy !== null) this.wrong(`assigned during ${this.busy}`);
    this.busy = 'assigned';
    this.isIn = false;
    this.assignments++;
    await this.clock.sleep(this.chance.below(this.assignMsMax));
    this.busy = null;
    const keys = partitions.map(topicPartitionKey);
    for (const key of [...this.position.keys()]) if (!keys.includes(key)) this.position.delete(key);
    this.paused.clear();
    for (const key of keys) {
      const isKept = this.commits.owner.get(key) === this && this.position.has(key);
      this.commits.owner.set(key, this);
      // What it kept goes on where it was; what is new, or was another's in between, from the commit.
      if (!isKept) this.position.set(key, this.commits.committed.get(key) ?? 0);
    }
    this.isIn = true;
    return new Map(this.position);
  }

  lost(): void {
    this.losses++;
    this.isIn = false;
  }

  async records(batch: RecordBatch): Promise<void> {
    const key = topicPartitionKey(batch);
    const position = this.position.get(key);
    if (this.busy !== null) this.wrong(`records during ${this.busy}`);
    if (!this.isIn) this.wrong(`records of ${key} while not assigned`);
    if (this.paused.has(key)) this.wrong(`records of ${key} while paused`);
    if (position === undefined) {
      this.wrong(`records of ${key}, which is not owned`);
      return;
    }
    const offsets = Array.from(batch.offset.subarray(0, batch.count));
    const { visible } = this.group.partition(batch.topic, batch.partition);
    const expected = visible.filter((offset) => offset >= position && offset < batch.offsetNext);
    if (offsets.join() !== expected.join())
      this.wrong(
        `${key} at ${position}: got ${offsets[0]}…${offsets.at(-1)}, next ${batch.offsetNext}, expected ${expected[0]}…${expected.at(-1)}`,
      );
    this.busy = 'records';
    if (this.chance.happens(0.3)) await this.clock.sleep(this.chance.below(this.slowMsMax));
    this.busy = null;
    // The bytes are this call's to its end, whatever was given up meanwhile.
    for (let row = 0; row < batch.count; row++) {
      const start = batch.valueStart[row]!;
      const value = Buffer.from(batch.buffer.subarray(start, start + batch.valueLength[row]!)).toString();
      if (value !== String(offsets[row])) this.wrong(`${key}: value ${value} at offset ${offsets[row]}`);
    }
    this.recordsTaken += batch.count;
    // Lost or reassigned meanwhile: what was taken is not wanted any more.
    if (this.position.get(key) !== position) return;
    this.position.set(key, batch.offsetNext);
    if (this.commits.owner.get(key) === this && this.chance.happens(0.3))
      this.commits.committed.set(key, batch.offsetNext);
    this.mayPause(batch);
  }

  private mayPause({ topic, partition }: TopicPartition): void {
    const key = topicPartitionKey({ topic, partition });
    const isPausing = this.chance.happens(this.pausing);
    const isSeeking = this.chance.happens(this.pausing);
    if (isPausing) {
      this.paused.add(key);
      this.source.pause([{ topic, partition }]);
      this.clock.after(this.chance.below(300), () => {
        // An assignment ends all pauses.
        if (this.paused.delete(key)) this.source.resume([{ topic, partition }]);
      });
    } else if (isSeeking) {
      const back = Math.max(0, this.position.get(key)! - this.chance.below(20));
      this.position.set(key, back);
      this.source.seek({ topic, partition }, back);
    }
  }

  failed(error: Error): void {
    this.failures.push(error as ZeptoError);
  }

  /** The process is gone; the group hears nothing more of it. */
  kill(): void {
    this.isGone = true;
    this.clock.kill();
    this.wire.kill();
  }

  async stop(): Promise<void> {
    await this.source.stop();
    this.isGone = true;
  }
}

interface World {
  readonly scheduler: Scheduler;
  readonly chance: Chance;
  readonly group: SimulatedGroup;
  readonly commits: Commits;
  readonly members: CheckedMember[];
}

const topics = ['ticks', 'quotes'];

function worldOf(seed: number, partitions = 4): World {
  const scheduler = new Scheduler(1_000_000);
  const chance = new Chance(seed);
  const group = new SimulatedGroup(scheduler, chance);
  for (const topic of topics) group.addTopic(topic, partitions, 2);
  return { scheduler, chance, group, commits: new Commits(), members: [] };
}

function join(world: World): CheckedMember {
  const member = new CheckedMember(world.group, world.scheduler, world.chance, world.commits, topics);
  world.members.push(member);
  if (world.chance.happens(0.3)) member.assignMsMax = 2_000;
  void member.source.start(member);
  return member;
}

const pass = (world: World, ms: number): Promise<void> =>
  world.scheduler.runUntil(world.scheduler.nowMs + ms, () => {});

function produceSome(world: World): void {
  for (const [topic, partitions] of world.group.topics)
    for (const partition of partitions.keys())
      if (world.chance.happens(0.4))
        // Codecs change, so that a response holds several stretches.
        for (let batch = world.chance.below(4); batch >= 0; batch--)
          world.group.produce(
            topic,
            partition,
            world.chance.below(30),
            world.chance.happens(0.2),
            world.chance.pick(['none', 'gzip']),
          );
}

/** Each partition is owned by one living member that stands at its end. */
async function converges(world: World, patienceMs = 60_000): Promise<void> {
  const untilMs = world.scheduler.nowMs + patienceMs;
  const isDone = (): boolean => {
    const alive = world.members.filter(({ isGone }) => !isGone);
    return [...world.group.topics].every(([topic, partitions]) =>
      partitions.every((log, partition) => {
        const key = topicPartitionKey({ topic, partition });
        const owners = alive.filter(({ position }) => position.has(key));
        return owners.length === 1 && owners[0]!.position.get(key) === log.end;
      }),
    );
  };
  while (!isDone()) {
    if (world.scheduler.nowMs > untilMs)
      throw new Error(
        `stuck: ${JSON.stringify(world.members.map(({ isGone, position, failures }) => ({ isGone, position: [...position], failures: failures.map(String) })))}`,
      );
    await pass(world, 100);
  }
  expect(world.members.flatMap(({ violations }) => violations)).toEqual([]);
}

describe('sources in a group', () => {
  const seeds = Array.from({ length: 30 }, (_, at) => at + 1);
  test.each(seeds)(
    'keep every promise of the port while everything fails at times (seed %i)',
    async (seed) => {
      const world = worldOf(seed);
      const { chance, group } = world;
      join(world);
      join(world);
      for (let step = 0; step < 60; step++) {
        produceSome(world);
        const alive = world.members.filter(({ isGone }) => !isGone);
        if (alive.length === 0) alive.push(join(world));
        const dice = chance.below(12);
        if (dice === 0 && alive.length < 4) join(world);
        else if (dice === 1 && alive.length > 1) chance.pick(alive).kill();
        else if (dice === 2 && alive.length > 1) void chance.pick(alive).stop();
        else if (dice === 3) void chance.pick(alive).source.rejoin();
        else if (dice === 4) group.faults = { unanswered: 0.1, refused: 0.1, latencyMsMax: 80 };
        else if (dice === 5) group.faults = { unanswered: 0, refused: 0, latencyMsMax: 3 };
        else if (dice === 6) {
          group.isDown = true;
          world.scheduler.after(chance.below(2 * SESSION_MS), () => {
            group.isDown = false;
          });
        } else if (dice === 7)
          for (const log of group.topics.get('ticks')!)
            log.leader = chance.happens(0.2) ? -1 : chance.below(2);
        else if (dice === 8) group.addTopic('quotes', Math.min(8, group.topics.get('quotes')!.length + 1), 2);
        else if (dice === 9) {
          const paused = chance.pick(alive);
          paused.clock.pause();
          world.scheduler.after(chance.below(2 * SESSION_MS), () => paused.clock.resume());
        }
        await pass(world, chance.below(1_500));
      }
      for (const log of group.topics.get('ticks')!) log.leader = 0;
      group.faults = { unanswered: 0, refused: 0, latencyMsMax: 3 };
      group.isDown = false;
      // Partitions added last are looked for once a minute.
      await converges(world, 150_000);
      expect(world.members.flatMap(({ failures }) => failures)).toEqual([]);
      for (const { source } of world.members) void source.stop();
      await pass(world, 5_000);
    },
  );
});

describe('one source', () => {
  test('consumes from the positions that the engine gave, and prefetches while it works', async () => {
    const world = worldOf(1);
    for (let batch = 0; batch < 200; batch++) world.group.produce('ticks', batch % 4, 50);
    world.commits.committed.set('ticks-2', 1_234);
    const member = join(world);
    member.pausing = 0;
    await converges(world);
    expect(member.assignments).toBe(1);
    expect(member.recordsTaken).toBe(200 * 50 - 1_234);
    // One request at a time to each broker.
    expect(world.group.fetchesUnderWay.max).toBe(2);
    // All but those that wait for more.
    const { answersReleased, fetchesUnderWay, requests } = world.group;
    expect(answersReleased).toBe(requests.fetch - fetchesUnderWay.now);
  });

  test('gets past what is only hidden, and tells the engine so', async () => {
    const world = worldOf(2);
    world.group.produce('ticks', 0, 3, true);
    world.group.produce('ticks', 0, 0, true);
    const member = join(world);
    await converges(world);
    expect(member.position.get('ticks-0')).toBe(5);
  });

  test('reads batches larger than its share of a response, from every partition', async () => {
    const world = worldOf(3);
    for (const [topic, partitions] of world.group.topics)
      for (const partition of partitions.keys()) {
        world.group.produce(topic, partition, 3_000);
        world.group.produce(topic, partition, 10);
      }
    join(world).pausing = 0;
    await converges(world);
  });

  test('heartbeats while the engine is busy for longer than its session', async () => {
    const world = worldOf(4);
    world.group.produce('ticks', 0, 5);
    const member = join(world);
    member.slowMsMax = 0;
    const slow = member.records.bind(member);
    member.records = async (batch) => {
      await slow(batch);
      await member.clock.sleep(5 * SESSION_MS);
    };
    await pass(world, 6 * SESSION_MS);
    expect(world.group.memberCount).toBe(1);
    expect(member).toMatchObject({ assignments: 1, losses: 0, violations: [] });
  });

  test('takes part in a rebalance while the engine is busy, and assigns when it is done', async () => {
    const world = worldOf(5);
    world.group.produce('ticks', 0, 5);
    const first = join(world);
    first.slowMsMax = 0;
    const slow = first.records.bind(first);
    let isBusy = false;
    first.records = async (batch) => {
      await slow(batch);
      isBusy = true;
      await first.clock.sleep(4_000);
      isBusy = false;
    };
    let wasBusyWhenAssigned = false;
    const calls: string[] = [];
    const { assigned, records } = first;
    first.assigned = (partitions) => {
      wasBusyWhenAssigned ||= isBusy;
      calls.push('assigned');
      return assigned.call(first, partitions);
    };
    first.records = (batch) => {
      calls.push('records');
      return records(batch);
    };
    await pass(world, 500);
    // Codecs that change make several stretches of what is queued, and of what is being read.
    for (const [topic, partitions] of world.group.topics)
      for (const partition of partitions.keys())
        for (const codec of ['gzip', 'none', 'gzip', 'none'] as const)
          world.group.produce(topic, partition, 3, false, codec);
    await pass(world, 4_000);
    expect(calls).toEqual(['assigned', 'records', 'records']);
    const second = join(world);
    await pass(world, 2_000);
    expect(second.assignments).toBe(1);
    expect(calls).toHaveLength(3);
    await pass(world, 1_900);
    expect(calls[3]).toBe('assigned');
    first.records = slow;
    expect(wasBusyWhenAssigned).toBe(false);
    await converges(world);
  });

  test('takes a pause from before the assignment for ended, as the engine does', async () => {
    const world = worldOf(25);
    world.group.produce('ticks', 0, 5);
    const member = join(world);
    member.pausing = 0;
    member.assignMsMax = 1;
    const { records } = member;
    let pauses = 1;
    member.records = async (batch) => {
      await records.call(member, batch);
      // Another generation begins while this call is under way; then it pauses, and is assigned.
      await member.clock.sleep(2_000);
      if (pauses-- > 0) member.source.pause([batch]);
    };
    await pass(world, 500);
    world.group.scripted.set('heartbeat', [27]);
    await pass(world, 1_000);
    expect(member.assignments).toBe(1);
    await pass(world, 4_000);
    expect(member.assignments).toBe(2);
    world.group.produce('ticks', 0, 5);
    await converges(world);
  });

  test('waits for a partition to get a leader', async () => {
    const world = worldOf(26);
    const partition = world.group.partition('ticks', 0);
    partition.leader = -1;
    const member = join(world);
    await pass(world, 30_000);
    expect(member.failures).toEqual([]);
    expect(member.logger.lines.some(({ message }) => message.includes('no leader'))).toBe(true);
    // Asked for again and again, but not all the time.
    expect(world.group.requests.topics).toBeLessThan(60);
    partition.leader = 1;
    await converges(world);
  });

  test('keeps what it owns when others come and go', async () => {
    const world = worldOf(6);
    const first = join(world);
    await pass(world, 1_000);
    const before = new Set(first.position.keys());
    const second = join(world);
    await pass(world, 2_000);
    expect(first.position.size).toBe(4);
    for (const key of first.position.keys()) expect(before).toContain(key);
    void second.stop();
    await pass(world, 2_000);
    expect(first.position.size).toBe(8);
    expect(first.losses).toBe(0);
  });

  test('says lost when the group has thrown it out, and comes back', async () => {
    for (const code of [25, 22]) {
      const world = worldOf(7);
      const member = join(world);
      await pass(world, 1_000);
      world.group.scripted.set('heartbeat', [code]);
      // As a stranger (25) it waits until the group gives up waiting for who it was.
      await pass(world, 6_000);
      expect(member).toMatchObject({ losses: 1, assignments: 2 });
      await converges(world);
    }
  });

  test('loses nothing but time while no broker answers', async () => {
    const world = worldOf(8);
    world.group.isDown = true;
    const member = join(world);
    await pass(world, 600_000);
    expect(member.failures).toEqual([]);
    // It tried on, not all the time, and said so.
    expect(world.group.requests.topics).toBeGreaterThan(100);
    expect(world.group.requests.topics).toBeLessThan(1_000);
    expect(member.logger.lines.filter(({ level }) => level === 'warn').length).toBeGreaterThan(10);
    world.group.isDown = false;
    produceSome(world);
    await converges(world);
  });

  test('stops at an offset that is gone, and skips nothing', async () => {
    const world = worldOf(9);
    for (let batch = 0; batch < 10; batch++) world.group.produce('ticks', 0, 10);
    world.group.deleteBefore('ticks', 0, 50);
    world.commits.committed.set('ticks-0', 20);
    const member = join(world);
    await pass(world, 5_000);
    expect(member.failures).toHaveLength(1);
    expect(member.failures[0]).toMatchObject({
      code: 'OFFSET_LOST',
      action: 'stop',
      context: { topic: 'ticks', partition: 0, offset: 20 },
    });
    expect(member.failures[0]!.message).toContain('--on-data-loss earliest');
    expect(member.position.get('ticks-0')).toBe(20);
    expect(world.group.memberCount).toBe(0);
  });

  test('asks again before it believes that an offset is gone', async () => {
    const world = worldOf(10);
    world.group.produce('ticks', 0, 10);
    world.group.scripted.set('fetch', [KafkaCode.OFFSET_OUT_OF_RANGE, KafkaCode.OFFSET_OUT_OF_RANGE]);
    const member = join(world);
    await converges(world);
    expect(member.failures).toEqual([]);
  });

  test('names a topic that does not exist, after a moment for it to be known', async () => {
    const world = worldOf(11);
    world.group.topics.delete('quotes');
    const member = join(world);
    await pass(world, 4_000);
    expect(member.failures).toEqual([]);
    await pass(world, 10_000);
    expect(member.failures).toHaveLength(1);
    expect(member.failures[0]).toMatchObject({ code: 'KAFKA_TOPIC_MISSING', action: 'stop' });
    expect(member.failures[0]!.message).toMatch(/topic quotes .*--topics/);
  });

  test('lets a topic be away for a moment, again and again', async () => {
    const world = worldOf(22);
    const member = join(world);
    const quotes = world.group.topics.get('quotes')!;
    for (let time = 0; time < 3; time++) {
      await pass(world, 4_000);
      world.group.topics.delete('quotes');
      await pass(world, 3_000);
      world.group.topics.set('quotes', quotes);
    }
    await converges(world);
    expect(member.failures).toEqual([]);
  });

  test('believes a refused credential when it is refused again', async () => {
    const world = worldOf(23);
    world.group.scripted.set('join', [30, 30]);
    const member = join(world);
    await converges(world);
    expect(member.failures).toEqual([]);
  });

  test('notices a topic that is deleted while it is consumed', async () => {
    const world = worldOf(12);
    const member = join(world);
    await pass(world, 2_000);
    world.group.topics.delete('quotes');
    await pass(world, 15_000);
    expect(member.failures).toHaveLength(1);
    expect(member.failures[0]).toMatchObject({ code: 'KAFKA_TOPIC_MISSING' });
  });

  test.each([
    [23, 'CONFIG_INVALID', '--group'],
    [24, 'CONFIG_INVALID', '--group'],
    [26, 'CONFIG_INVALID', '--session-timeout'],
    [30, 'KAFKA_AUTH', 'consumer group'],
  ])('says what to change when the group refuses with %i', async (code, expected, text) => {
    const world = worldOf(13);
    world.group.scripted.set('join', [code, code, code]);
    const member = join(world);
    await pass(world, 10_000);
    expect(member.failures).toHaveLength(1);
    expect(member.failures[0]).toMatchObject({ code: expected, action: 'stop' });
    expect(member.failures[0]!.message).toContain(text);
  });

  test('says when the right to read a topic is missing', async () => {
    const world = worldOf(14);
    world.group.scripted.set('fetch', Array(100).fill(KafkaCode.TOPIC_AUTHORIZATION_FAILED));
    const member = join(world);
    await pass(world, 10_000);
    expect(member.failures).toHaveLength(1);
    expect(member.failures[0]).toMatchObject({
      code: 'KAFKA_AUTH',
      context: { partition: expect.any(Number) },
    });
  });

  test('says when the broker finds its own records corrupt', async () => {
    const world = worldOf(24);
    world.group.scripted.set('fetch', Array(100).fill(KafkaCode.CORRUPT_MESSAGE));
    const member = join(world);
    await pass(world, 10_000);
    expect(member.failures).toHaveLength(1);
    expect(member.failures[0]).toMatchObject({
      code: 'RECORD_CORRUPT',
      action: 'stop',
      context: { offset: 0 },
    });
  });

  test('gives up at a batch that stays unreadable, at the offset where it stands', async () => {
    const world = worldOf(15);
    world.group.produce('ticks', 0, 10);
    world.group.produce('ticks', 0, 10);
    world.group.partition('ticks', 0).batches[1]!.bytes[70]! ^= 1;
    const member = join(world);
    member.pausing = 0;
    await pass(world, 10_000);
    expect(member.failures).toHaveLength(1);
    expect(member.failures[0]).toMatchObject({
      code: 'RECORD_CORRUPT',
      context: { topic: 'ticks', partition: 0, offset: 10 },
    });
    expect(member.position.get('ticks-0')).toBe(10);
  });

  test('reads on when the same batch arrives whole the next time', async () => {
    const world = worldOf(16);
    world.group.produce('ticks', 0, 10);
    const batch = world.group.partition('ticks', 0).batches[0]!;
    const good = batch.bytes;
    batch.bytes = Buffer.from(good);
    batch.bytes[70]! ^= 1;
    const member = join(world);
    world.scheduler.after(60, () => {
      batch.bytes = good;
    });
    await converges(world);
    expect(member.failures).toEqual([]);
    expect(member.logger.lines.filter(({ level }) => level === 'error').length).toBeGreaterThan(0);
  });

  test('gives up at a batch that is never sent whole', async () => {
    const world = worldOf(17);
    world.group.produce('ticks', 0, 10);
    const batch = world.group.partition('ticks', 0).batches[0]!;
    batch.bytes.writeInt32BE(1_000_000, 8);
    const member = join(world);
    await pass(world, 10_000);
    expect(member.failures[0]).toMatchObject({ code: 'RECORD_CORRUPT' });
    expect(member.failures[0]!.message).toContain('claims more');
  });

  test('joins anew when the engine could not take the assignment yet', async () => {
    const world = worldOf(18);
    const member = join(world);
    const { assigned } = member;
    let refusals = 0;
    member.assigned = async (partitions) => {
      if (refusals++ < 3) throw new ZeptoError('KAFKA_UNREACHABLE', 'retry', 'offsets cannot be read');
      return assigned.call(member, partitions);
    };
    await converges(world);
    expect(refusals).toBe(4);
    expect(member).toMatchObject({ losses: 3, failures: [] });
  });

  test('stops when the engine refuses the assignment for good, or fails', async () => {
    const breaks: ((member: CheckedMember) => void)[] = [
      (member) => {
        member.assigned = async () => {
          throw new ZeptoError('METADATA_UNREADABLE', 'stop', 'newer than this program');
        };
      },
      (member) => {
        member.assigned = async () => new Map();
      },
      (member) => {
        member.records = async () => {
          throw new Error('a bug');
        };
      },
    ];
    for (const break_ of breaks) {
      const world = worldOf(21);
      world.group.produce('ticks', 0, 1);
      const member = join(world);
      break_(member);
      await pass(world, 5_000);
      expect(member.failures).toHaveLength(1);
      expect(world.group.memberCount).toBe(0);
    }
  });

  test('stops at once, idempotently, whatever it is doing', async () => {
    for (const ms of [0, 1, 5, 50, 500]) {
      const world = worldOf(19);
      world.group.produce('ticks', 0, 100);
      const member = join(world);
      await pass(world, ms);
      const before = world.scheduler.nowMs;
      let stoppedAtMs = 0;
      void Promise.all([member.stop(), member.source.stop()]).then(() => {
        stoppedAtMs = world.scheduler.nowMs;
      });
      await pass(world, 500);
      expect(world.group.memberCount).toBe(0);
      expect(stoppedAtMs - before).toBeLessThanOrEqual(50);
      const taken = member.recordsTaken;
      world.group.produce('ticks', 0, 100);
      await pass(world, SESSION_MS * 2);
      expect(member.recordsTaken).toBe(taken);
      expect(world.group.memberCount).toBe(0);
      expect(member.losses).toBe(0);
    }
  });

  test('stops in a moment while nobody answers', async () => {
    const world = worldOf(20);
    const member = join(world);
    await pass(world, 1_000);
    world.group.isDown = true;
    await pass(world, 1_000);
    let isStopped = false;
    void member.stop().then(() => {
      isStopped = true;
    });
    await pass(world, 2_100);
    expect(isStopped).toBe(true);
  });
});
