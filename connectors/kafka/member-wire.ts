// What: what a group member asks of the cluster, over connections that do not hold one another up.
// Why: membership and fetching are tested against a cluster in memory that fails at will; the real one stands behind this file.
// Invariant: each call is sent once; it resolves with the answer, error codes included, or rejects when there is none.

import type { Clock } from '../../src/kernel/clock.ts';
import { LentMemory } from '../../src/kernel/lent-memory.ts';
import type { Logger } from '../../src/ports.ts';
import type { KafkaConnection } from './client.ts';
import { type Cluster, openCluster, type Target } from './cluster.ts';
import { KafkaCode, refusal } from './errors.ts';
import { type FetchAnswer, type FetchRequest, fetchBatches } from './fetch-request.ts';
import {
  heartbeat,
  type JoinAnswer,
  type JoinRequest,
  joinGroup,
  leaveGroup,
  type Member,
  type SyncAnswer,
  syncGroup,
} from './group-requests.ts';
import { metadata } from './requests.ts';

export interface PartitionLeader {
  readonly partition: number;
  /** Node id; −1 while there is none. */
  readonly leader: number;
}

export interface HeldAnswer extends FetchAnswer {
  /** Its records are not read any more: their memory takes another answer. */
  release(): void;
}

export interface MemberWire {
  /** Partitions of these topics, in order; a topic that does not exist is not in the answer. */
  topics(names: readonly string[]): Promise<ReadonlyMap<string, readonly PartitionLeader[]>>;
  join(join: JoinRequest, signal: AbortSignal): Promise<JoinAnswer>;
  sync(
    member: Member,
    assignments: ReadonlyMap<string, Uint8Array>,
    signal: AbortSignal,
  ): Promise<SyncAnswer>;
  heartbeat(member: Member, signal: AbortSignal): Promise<{ readonly code: number }>;
  leave(groupId: string, memberId: string): Promise<{ readonly code: number }>;
  /** All partitions have the same leader. The answer is to be released. */
  fetch(fetch: FetchRequest, signal: AbortSignal): Promise<HeldAnswer>;
  close(): Promise<void>;
}

/** A join is answered by the end of the rebalance timeout; so much later it is not coming. */
const JOIN_MARGIN_MS = 5_000;

/** Connects to nothing yet. `fetchBytesMax`: of an answer, but for one whose first batch is larger. */
export function openMemberWire(
  connection: KafkaConnection,
  groupId: string,
  rebalanceTimeoutMs: number,
  fetchBytesMax: number,
  logger: Logger,
  clock: Clock,
): MemberWire {
  const memory = new LentMemory(2 * fetchBytesMax);
  const data = openCluster(connection, logger, clock, { memory });
  // Apart: a broker serves each connection in order, and a join may wait for a minute.
  const group = openCluster(
    { ...connection, requestTimeoutMs: Math.max(data.requestTimeoutMs, rebalanceTimeoutMs + JOIN_MARGIN_MS) },
    logger,
    clock,
  );
  const coordinator: Target = { kind: 'coordinator', of: 'group', key: groupId };

  /** Looks the coordinator up again when the answer says that it is not the one any more. */
  async function askGroup<Answer extends { readonly code: number }>(
    cluster: Cluster,
    request: Parameters<typeof cluster.send<Answer>>[1],
    signal?: AbortSignal,
  ): Promise<Answer> {
    const answer = await cluster.send(coordinator, request, signal);
    if (answer.code === KafkaCode.NOT_COORDINATOR || answer.code === KafkaCode.COORDINATOR_NOT_AVAILABLE)
      cluster.forget(coordinator);
    return answer;
  }

  return {
    async topics(names) {
      // What the connections remember of leaders is as old as the question is new.
      for (const topic of names) data.forget({ kind: 'leader', topic, partition: 0 });
      const answer = await data.send({ kind: 'any' }, metadata(names));
      const found = new Map<string, readonly PartitionLeader[]>();
      for (const { name, code, partitions } of answer.topics) {
        if (code === KafkaCode.UNKNOWN_TOPIC_OR_PARTITION) continue;
        if (code !== KafkaCode.NONE) throw refusal(code, `look topic ${name} up`, { topic: name });
        found.set(
          name,
          partitions
            .map(({ partition, leader }) => ({ partition, leader }))
            .sort((a, b) => a.partition - b.partition),
        );
      }
      return found;
    },
    join: (join, signal) => askGroup(group, joinGroup(join), signal),
    sync: (member, assignments, signal) => askGroup(group, syncGroup(member, assignments), signal),
    heartbeat: (member, signal) => askGroup(group, heartbeat(member), signal),
    // By the other connection: on the group's a join may be waiting.
    leave: (id, memberId) => askGroup(data, leaveGroup(id, memberId)),
    async fetch(fetch, signal) {
      const { topic, partition } = fetch.partitions[0]!;
      const leader: Target = { kind: 'leader', topic, partition, waiting: true };
      const answer = await data.send(leader, fetchBatches(fetch), signal);
      const large = answer.partitions.find(({ records }) => records.length > 0);
      return { ...answer, release: () => large && memory.give(large.records.buffer) };
    },
    async close() {
      await Promise.all([data.close(), group.close()]);
    },
  };
}
