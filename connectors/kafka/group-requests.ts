// What: the requests of a consumer group member: join, sync, heartbeat, leave.
// Why: kafkajs's consumer ties them to its fetch loop; here a heartbeat waits for nothing but its turn.
// Invariant: an error code in an answer is returned as it is; only a malformed answer throws.

import type { KafkaRequest } from './requests.ts';

/** Error codes by which a member knows where it stands with its group. */
export const GroupCode = {
  ILLEGAL_GENERATION: 22,
  INCONSISTENT_GROUP_PROTOCOL: 23,
  INVALID_GROUP_ID: 24,
  UNKNOWN_MEMBER_ID: 25,
  INVALID_SESSION_TIMEOUT: 26,
  REBALANCE_IN_PROGRESS: 27,
  MEMBER_ID_REQUIRED: 79,
  GROUP_MAX_SIZE_REACHED: 81,
  FENCED_INSTANCE_ID: 82,
} as const;

/** Who a member is while a generation lasts. */
export interface Member {
  readonly groupId: string;
  readonly memberId: string;
  readonly generation: number;
}

export interface JoinRequest {
  readonly groupId: string;
  /** '' for a new member. */
  readonly memberId: string;
  readonly sessionTimeoutMs: number;
  readonly rebalanceTimeoutMs: number;
  readonly protocol: string;
  readonly metadata: Uint8Array;
}

export interface JoinAnswer {
  readonly code: number;
  readonly generation: number;
  readonly leaderId: string;
  readonly memberId: string;
  /** For the leader: everybody's metadata. */
  readonly members: readonly { readonly memberId: string; readonly metadata: Uint8Array }[];
}

/** Answered when all members have joined, or the rebalance timeout is over. */
export function joinGroup(join: JoinRequest): KafkaRequest<JoinAnswer> {
  return {
    name: 'JoinGroup',
    key: 11,
    version: 5,
    encode: (to) => {
      to.string(join.groupId);
      to.int32(join.sessionTimeoutMs);
      to.int32(join.rebalanceTimeoutMs);
      to.string(join.memberId);
      to.nullableString(null); // group instance id
      to.string('consumer');
      to.array([join.protocol], (protocol) => {
        to.string(protocol);
        to.bytes(join.metadata);
      });
    },
    decode: (from) => {
      from.int32();
      const code = from.int16();
      const generation = from.int32();
      from.nullableString(); // protocol: there is one
      const leaderId = from.string();
      const memberId = from.string();
      const members = from.array(() => {
        const id = from.string();
        from.nullableString();
        return { memberId: id, metadata: from.bytes() };
      });
      return { code, generation, leaderId, memberId, members };
    },
  };
}

export interface SyncAnswer {
  readonly code: number;
  readonly assignment: Uint8Array;
}

/** Answered when the leader has sent everybody's assignment. */
export function syncGroup(
  member: Member,
  assignments: ReadonlyMap<string, Uint8Array>,
): KafkaRequest<SyncAnswer> {
  return {
    name: 'SyncGroup',
    key: 14,
    version: 3,
    encode: (to) => {
      to.string(member.groupId);
      to.int32(member.generation);
      to.string(member.memberId);
      to.nullableString(null);
      to.array([...assignments], ([memberId, assignment]) => {
        to.string(memberId);
        to.bytes(assignment);
      });
    },
    decode: (from) => {
      from.int32();
      return { code: from.int16(), assignment: from.bytes() };
    },
  };
}

export function heartbeat(member: Member): KafkaRequest<{ code: number }> {
  return {
    name: 'Heartbeat',
    key: 12,
    version: 3,
    encode: (to) => {
      to.string(member.groupId);
      to.int32(member.generation);
      to.string(member.memberId);
      to.nullableString(null);
    },
    decode: (from) => {
      from.int32();
      return { code: from.int16() };
    },
  };
}

export function leaveGroup(groupId: string, memberId: string): KafkaRequest<{ code: number }> {
  return {
    name: 'LeaveGroup',
    key: 13,
    version: 2,
    encode: (to) => {
      to.string(groupId);
      to.string(memberId);
    },
    decode: (from) => {
      from.int32();
      return { code: from.int16() };
    },
  };
}

export interface GroupDescription {
  readonly code: number;
  /** `Stable` when assignments hold. */
  readonly state: string;
  readonly members: readonly { readonly metadata: Uint8Array; readonly assignment: Uint8Array }[];
}

export function describeGroup(groupId: string): KafkaRequest<GroupDescription> {
  return {
    name: 'DescribeGroups',
    key: 15,
    version: 2,
    encode: (to) => to.array([groupId], (id) => to.string(id)),
    decode: (from) => {
      from.int32();
      const [group] = from.array(() => {
        const code = from.int16();
        from.string(); // its name
        const state = from.string();
        from.string(); // protocol type
        from.string(); // protocol
        const members = from.array(() => {
          from.string(); // member id
          from.string(); // client id
          from.string(); // host
          return { metadata: from.bytes(), assignment: from.bytes() };
        });
        return { code, state, members };
      });
      return group ?? { code: 0, state: '', members: [] };
    },
  };
}
