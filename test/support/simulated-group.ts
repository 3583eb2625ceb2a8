// What: brokers with partitions and a consumer group's coordinator, in memory and simulated time, that fail at will.
// Why: the source is tried against thousands of rebalances, outages and moved leaders in seconds, each from a seed.
// Invariant: answers are what Kafka's would be in that state; a request that is refused or lost may have been carried out.

import { KafkaCode } from '../../connectors/kafka/errors.ts';
import type { FetchRequest, PartitionAnswer } from '../../connectors/kafka/fetch-request.ts';
import {
  GroupCode,
  type JoinAnswer,
  type JoinRequest,
  type Member,
  type SyncAnswer,
} from '../../connectors/kafka/group-requests.ts';
import type { HeldAnswer, MemberWire, PartitionLeader } from '../../connectors/kafka/member-wire.ts';
import { ZeptoError } from '../../src/kernel/errors.ts';
import type { Chance, Scheduler } from '../simulation/scheduler.ts';
import { controlBatch, encodeBatch, type TestBatch } from './kafka-batches.ts';

export interface SimulatedPartition {
  leader: number;
  /** First offset that is still there. */
  start: number;
  end: number;
  readonly batches: { readonly base: number; readonly next: number; bytes: Buffer }[];
  /** Offsets of the records that a consumer may see. */
  readonly visible: number[];
}

interface GroupMember {
  readonly id: string;
  metadata: Uint8Array;
  sessionTimeoutMs: number;
  rebalanceTimeoutMs: number;
  aliveUntilMs: number;
  /** Waiting for the rebalance to end. */
  joining: ((answer: JoinAnswer) => void) | null;
  syncing: ((answer: SyncAnswer) => void) | null;
  assignment: Uint8Array;
}

export interface Faults {
  /** Probability that a request gets no answer; half of these are carried out. */
  unanswered: number;
  /** Probability that a request is answered by a passing error. */
  refused: number;
  latencyMsMax: number;
}

export const noFaults: Faults = { unanswered: 0, refused: 0, latencyMsMax: 3 };

export class SimulatedGroup {
  readonly topics = new Map<string, SimulatedPartition[]>();
  faults: Faults = noFaults;
  /** No request is answered. */
  isDown = false;
  /** Codes to answer the next requests of a kind with, whatever the state. */
  readonly scripted = new Map<'join' | 'sync' | 'heartbeat' | 'fetch', number[]>();
  readonly requests = { join: 0, sync: 0, heartbeat: 0, leave: 0, fetch: 0, topics: 0 };
  readonly fetchesUnderWay = { now: 0, max: 0 };
  answersReleased = 0;
  private readonly scheduler: Scheduler;
  private readonly chance: Chance;
  private readonly members = new Map<string, GroupMember>();
  private generation = 0;
  private leaderId = '';
  private state: 'stable' | 'joining' | 'syncing' = 'stable';
  private rebalances = 0;
  private ids = 0;

  constructor(scheduler: Scheduler, chance: Chance) {
    this.scheduler = scheduler;
    this.chance = chance;
  }

  get memberCount(): number {
    return this.members.size;
  }

  addTopic(topic: string, partitions: number, nodes = 1): void {
    const list = this.topics.get(topic) ?? [];
    for (let partition = list.length; partition < partitions; partition++)
      list.push({ leader: partition % nodes, start: 0, end: 0, batches: [], visible: [] });
    this.topics.set(topic, list);
  }

  partition(topic: string, partition: number): SimulatedPartition {
    return this.topics.get(topic)![partition]!;
  }

  /** Appends a batch of `count` records whose values are their offsets; `hidden` writes a transaction's marker after it. */
  produce(
    topic: string,
    partition: number,
    count: number,
    hidden = false,
    codec: TestBatch['codec'] = 'none',
  ): void {
    const log = this.partition(topic, partition);
    const base = log.end;
    const append = (bytes: Buffer, next: number): void => {
      log.batches.push({ base: log.end, next, bytes });
      log.end = next;
    };
    if (count > 0) {
      const records = Array.from({ length: count }, (_, offsetDelta) => ({
        offsetDelta,
        value: Buffer.from(String(base + offsetDelta)),
      }));
      append(encodeBatch({ baseOffset: base, records, codec: codec! }), base + count);
      for (let offset = base; offset < base + count; offset++) log.visible.push(offset);
    }
    if (hidden) append(controlBatch(log.end, 1n, 'commit'), log.end + 1);
  }

  /** As retention does. */
  deleteBefore(topic: string, partition: number, offset: number): void {
    const log = this.partition(topic, partition);
    log.start = offset;
    while (log.batches.length > 0 && log.batches[0]!.next <= offset) log.batches.shift();
  }

  // -- requests ------------------------------------------------------------------------------------------

  /** One member's connections. `kill` leaves requests without answers, for ever. */
  wire(): MemberWire & { kill(): void } {
    let isDead = false;
    const never = new Promise<never>(() => {});
    const ask = async <T>(
      act: () => Promise<T>,
      refuse: (code: number) => T,
      signal?: AbortSignal,
    ): Promise<T> => {
      if (isDead) return never;
      await this.latency();
      if (isDead) return never;
      signal?.throwIfAborted();
      const fate = this.chance.next();
      if (this.isDown) throw unreachable();
      if (fate < this.faults.unanswered) {
        if (this.chance.happens(0.5)) void act().catch(() => {});
        throw unreachable();
      }
      if (fate < this.faults.unanswered + this.faults.refused)
        return refuse(
          this.chance.pick([
            KafkaCode.NOT_COORDINATOR,
            KafkaCode.COORDINATOR_NOT_AVAILABLE,
            KafkaCode.COORDINATOR_LOAD_IN_PROGRESS,
          ]),
        );
      const answer = await aborted(act(), signal);
      await this.latency();
      if (isDead) return never;
      signal?.throwIfAborted();
      if (this.isDown) throw unreachable();
      return answer;
    };
    const script = (kind: 'join' | 'sync' | 'heartbeat' | 'fetch'): number | undefined =>
      this.scripted.get(kind)?.shift();
    return {
      topics: (names) => {
        this.requests.topics++;
        return ask<ReadonlyMap<string, readonly PartitionLeader[]>>(
          async () =>
            new Map(
              names
                .filter((topic) => this.topics.has(topic))
                .map(
                  (topic) =>
                    [
                      topic,
                      this.topics.get(topic)!.map(({ leader }, partition) => ({ partition, leader })),
                    ] as const,
                ),
            ),
          () => {
            throw unreachable();
          },
        );
      },
      join: (join, signal) => {
        this.requests.join++;
        const code = script('join');
        const refused = (refusal: number): JoinAnswer => ({
          code: refusal,
          generation: -1,
          leaderId: '',
          memberId: '',
          members: [],
        });
        return ask(async () => (code === undefined ? this.join(join) : refused(code)), refused, signal);
      },
      sync: (member, assignments, signal) => {
        this.requests.sync++;
        const code = script('sync');
        const refused = (refusal: number): SyncAnswer => ({ code: refusal, assignment: new Uint8Array(0) });
        return ask(
          async () => (code === undefined ? this.sync(member, assignments) : refused(code)),
          refused,
          signal,
        );
      },
      heartbeat: (member, signal) => {
        this.requests.heartbeat++;
        const code = script('heartbeat');
        return ask(
          async () => ({ code: code ?? this.heartbeat(member) }),
          (refusal) => ({ code: refusal }),
          signal,
        );
      },
      leave: (_, memberId) => {
        this.requests.leave++;
        return ask(
          async () => ({ code: this.leave(memberId) }),
          (refusal) => ({ code: refusal }),
        );
      },
      fetch: (fetch, signal) => {
        this.requests.fetch++;
        this.fetchesUnderWay.now++;
        this.fetchesUnderWay.max = Math.max(this.fetchesUnderWay.max, this.fetchesUnderWay.now);
        const code = script('fetch');
        return ask(
          () => this.fetch(fetch, code),
          () => {
            throw unreachable();
          },
          signal,
        ).finally(() => this.fetchesUnderWay.now--);
      },
      async close() {},
      kill: () => {
        isDead = true;
      },
    };
  }

  private latency(): Promise<void> {
    return this.sleep(this.chance.below(this.faults.latencyMsMax));
  }

  private sleep(delayMs: number): Promise<void> {
    return new Promise((resolve) => {
      this.scheduler.after(delayMs, resolve);
    });
  }

  // -- the coordinator -----------------------------------------------------------------------------------

  private join(join: JoinRequest): Promise<JoinAnswer> {
    const refused = (code: number, memberId = join.memberId): Promise<JoinAnswer> =>
      Promise.resolve({ code, generation: -1, leaderId: '', memberId, members: [] });
    if (join.memberId === '') return refused(GroupCode.MEMBER_ID_REQUIRED, this.newMember(join));
    const member = this.members.get(join.memberId);
    if (member === undefined) return refused(GroupCode.UNKNOWN_MEMBER_ID);
    member.metadata = join.metadata;
    this.stayAlive(member);
    return new Promise((resolve) => {
      member.joining = resolve;
      this.rebalance(join.rebalanceTimeoutMs);
      this.endJoining(false);
    });
  }

  private newMember(join: JoinRequest): string {
    const id = `member-${this.ids++}`;
    const { metadata, sessionTimeoutMs, rebalanceTimeoutMs } = join;
    this.members.set(id, {
      id,
      metadata,
      sessionTimeoutMs,
      rebalanceTimeoutMs,
      aliveUntilMs: 0,
      joining: null,
      syncing: null,
      assignment: new Uint8Array(0),
    });
    this.stayAlive(this.members.get(id)!);
    return id;
  }

  private stayAlive(member: GroupMember): void {
    member.aliveUntilMs = this.scheduler.nowMs + member.sessionTimeoutMs;
    this.scheduler.after(member.sessionTimeoutMs + 1, () => {
      const isHere = this.members.get(member.id) === member;
      if (isHere && member.joining === null && member.aliveUntilMs < this.scheduler.nowMs)
        this.leave(member.id);
    });
  }

  private rebalance(timeoutMs: number): void {
    if (this.state === 'joining') return;
    this.state = 'joining';
    for (const member of this.members.values()) {
      member.syncing?.({ code: GroupCode.REBALANCE_IN_PROGRESS, assignment: new Uint8Array(0) });
      member.syncing = null;
    }
    const rebalance = ++this.rebalances;
    this.scheduler.after(timeoutMs, () => {
      if (this.rebalances === rebalance) this.endJoining(true);
    });
  }

  private endJoining(isLate: boolean): void {
    if (this.state !== 'joining') return;
    for (const member of [...this.members.values()])
      if (member.joining === null && isLate) this.members.delete(member.id);
    const all = [...this.members.values()];
    if (all.length === 0 || all.some(({ joining }) => joining === null)) return;
    this.state = 'syncing';
    this.generation++;
    if (!this.members.has(this.leaderId)) this.leaderId = all[0]!.id;
    for (const member of all) {
      const members =
        member.id === this.leaderId ? all.map(({ id, metadata }) => ({ memberId: id, metadata })) : [];
      member.joining!({
        code: 0,
        generation: this.generation,
        leaderId: this.leaderId,
        memberId: member.id,
        members,
      });
      member.joining = null;
      this.stayAlive(member);
    }
  }

  private known({ memberId, generation }: Member): GroupMember | number {
    const member = this.members.get(memberId);
    if (member === undefined) return GroupCode.UNKNOWN_MEMBER_ID;
    return generation === this.generation ? member : GroupCode.ILLEGAL_GENERATION;
  }

  private sync(asked: Member, assignments: ReadonlyMap<string, Uint8Array>): Promise<SyncAnswer> {
    const member = this.known(asked);
    const refused = (code: number): Promise<SyncAnswer> =>
      Promise.resolve({ code, assignment: new Uint8Array(0) });
    if (typeof member === 'number') return refused(member);
    this.stayAlive(member);
    if (this.state === 'joining') return refused(GroupCode.REBALANCE_IN_PROGRESS);
    if (this.state === 'stable') return Promise.resolve({ code: 0, assignment: member.assignment });
    return new Promise((resolve) => {
      member.syncing = resolve;
      if (member.id !== this.leaderId) return;
      this.state = 'stable';
      for (const one of this.members.values()) {
        one.assignment = assignments.get(one.id) ?? new Uint8Array(0);
        one.syncing?.({ code: 0, assignment: one.assignment });
        one.syncing = null;
      }
    });
  }

  private heartbeat(asked: Member): number {
    const member = this.known(asked);
    if (typeof member === 'number') return member;
    this.stayAlive(member);
    return this.state === 'joining' ? GroupCode.REBALANCE_IN_PROGRESS : 0;
  }

  private leave(memberId: string): number {
    const member = this.members.get(memberId);
    if (member === undefined) return GroupCode.UNKNOWN_MEMBER_ID;
    this.members.delete(memberId);
    member.joining?.({
      code: GroupCode.UNKNOWN_MEMBER_ID,
      generation: -1,
      leaderId: '',
      memberId,
      members: [],
    });
    member.syncing?.({ code: GroupCode.UNKNOWN_MEMBER_ID, assignment: new Uint8Array(0) });
    if (this.members.size > 0)
      this.rebalance(Math.max(...[...this.members.values()].map((one) => one.rebalanceTimeoutMs)));
    this.endJoining(false);
    return 0;
  }

  // -- the partitions ------------------------------------------------------------------------------------

  /** What is released is written over, as the next answer would. */
  private held(partitions: readonly PartitionAnswer[]): HeldAnswer {
    let isHeld = true;
    return {
      code: 0,
      partitions,
      release: () => {
        if (!isHeld) throw new Error('an answer was released twice');
        isHeld = false;
        this.answersReleased++;
        for (const { records } of partitions) records.fill(0xee);
      },
    };
  }

  private async fetch(fetch: FetchRequest, code: number | undefined): Promise<HeldAnswer> {
    const first = fetch.partitions[0]!;
    const node = this.topics.get(first.topic)?.[first.partition]?.leader ?? -1;
    const untilMs = this.scheduler.nowMs + fetch.waitMsMax;
    for (;;) {
      const partitions = this.readAll(fetch, node, code);
      const isWorthIt = partitions.some((one) => one.code !== 0 || one.records.length > 0);
      if (isWorthIt || this.scheduler.nowMs >= untilMs) return this.held(partitions);
      await this.sleep(5);
    }
  }

  private readAll(fetch: FetchRequest, node: number, code: number | undefined): PartitionAnswer[] {
    let bytesLeft = fetch.bytesMax;
    let isFirst = true;
    return fetch.partitions.map(({ topic, partition, offset, bytesMax }) => {
      const log = this.topics.get(topic)?.[partition];
      const refused = (refusal: number): PartitionAnswer => ({
        topic,
        partition,
        code: refusal,
        lastStableOffset: -1,
        aborted: [],
        records: new Uint8Array(0),
      });
      if (code !== undefined && code !== 0) return refused(code);
      if (log === undefined) return refused(KafkaCode.UNKNOWN_TOPIC_OR_PARTITION);
      if (log.leader !== node) return refused(KafkaCode.NOT_LEADER_OR_FOLLOWER);
      if (offset < log.start || offset > log.end) return refused(KafkaCode.OFFSET_OUT_OF_RANGE);
      const parts: Buffer[] = [];
      let room = Math.min(bytesLeft, bytesMax);
      for (const batch of log.batches) {
        if (batch.next <= offset) continue;
        // The first batch of an answer comes whole; the one that does not fit any more is cut.
        const isWhole = isFirst || batch.bytes.length <= room;
        parts.push(isWhole ? batch.bytes : batch.bytes.subarray(0, Math.max(room, 0)));
        room -= batch.bytes.length;
        isFirst = false;
        if (room <= 0) break;
      }
      const records = Buffer.concat(parts);
      bytesLeft -= records.length;
      return { topic, partition, code: 0, lastStableOffset: log.end, aborted: [], records };
    });
  }
}

const unreachable = (): ZeptoError => new ZeptoError('KAFKA_UNREACHABLE', 'retry', 'nobody answers');

async function aborted<T>(promise: Promise<T>, signal: AbortSignal | undefined): Promise<T> {
  if (signal === undefined) return promise;
  let onAbort = (): void => {};
  const given = new Promise<never>((_, reject) => {
    onAbort = () => reject(signal.reason);
    signal.addEventListener('abort', onAbort);
  });
  return Promise.race([promise, given]).finally(() => signal.removeEventListener('abort', onAbort));
}
