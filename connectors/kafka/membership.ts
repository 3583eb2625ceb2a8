// What: the life of one consumer-group member: join, share out, heartbeat, take part again, leave.
// Why: it runs beside everything else, so that no slow seal or decode ever costs the membership.
// Invariant: one conversation with the coordinator at a time; `lost` is said before anything that a new owner could do is seen.

import { backoffMs, type Clock } from '../../src/kernel/clock.ts';
import { asZeptoError, ZeptoError } from '../../src/kernel/errors.ts';
import type { Logger, Metrics, TopicPartition } from '../../src/ports.ts';
import { assignPartitions } from './assignor.ts';
import { isPassing, KafkaCode, refusal } from './errors.ts';
import {
  decodeAssignment,
  decodeSubscription,
  encodeAssignment,
  encodeSubscription,
  GROUP_PROTOCOL,
  type PartitionsByTopic,
} from './group-protocol.ts';
import { GroupCode, type JoinAnswer, type Member } from './group-requests.ts';
import type { MemberWire } from './member-wire.ts';
import { Patience } from './patience.ts';
import type { TopicLayout } from './topic-layout.ts';

export interface MembershipOptions {
  readonly groupId: string;
  readonly topics: readonly string[];
  readonly sessionTimeoutMs: number;
  readonly rebalanceTimeoutMs: number;
  readonly heartbeatIntervalMs: number;
  /** How often the leader looks whether topics have more partitions. */
  readonly layoutIntervalMs: number;
  /** Where queries reach this member, for the others to know. */
  readonly address: string | null;
}

export interface MembershipParts {
  readonly wire: MemberWire;
  readonly layout: TopicLayout;
  readonly clock: Clock;
  readonly logger: Logger;
  readonly metrics: Metrics;
}

export interface MembershipListener {
  /** A rebalance ended: all that this member now owns. */
  joined(partitions: readonly TopicPartition[]): void;
  lost(): void;
  /** The membership cannot go on; nothing follows. */
  failed(error: ZeptoError): void;
}

/** A leave that is not answered is as good as one that was: the session ends by itself. */
const LEAVE_WAIT_MS_MAX = 1_000;
/** Between heartbeats while none is answered. */
const UNANSWERED_PAUSE_MS = 500;
const PAUSE_MS_MAX = 5_000;
const TURNS_AT_ONCE_MAX = 5;

/** Thrown within a turn: take part again at once. */
const again = Symbol('take part again');

export class Membership {
  private readonly options: MembershipOptions;
  private readonly parts: MembershipParts;
  private readonly listener: MembershipListener;
  private topics: readonly string[];
  private memberId = '';
  private generation = -1;
  /** What the last assignment gave, also after it was lost: rows of these may still be here. */
  private owned: PartitionsByTopic = {};
  /** Between `joined` and `lost`. */
  private isMember = false;
  /** Ends the turn under way: a wait, or a request without an answer. */
  private turn = new AbortController();
  private isLeader = false;
  /** Of the topics, when this member as the leader shared them out. */
  private sharedOut = '';
  private isStopped = false;
  private running: Promise<void> | null = null;

  constructor(options: MembershipOptions, parts: MembershipParts, listener: MembershipListener) {
    this.options = options;
    this.topics = options.topics;
    this.parts = parts;
    this.listener = listener;
  }

  start(): void {
    this.running ??= this.run();
  }

  /** Takes part again with other topics, as the member that it is. */
  subscribe(topics: readonly string[]): void {
    this.topics = topics;
    this.turn.abort(again);
  }

  /** Resolves when the group knows, or after a moment; taking part again has then begun. */
  async rejoin(): Promise<void> {
    if (this.isStopped) return;
    await this.giveUp();
  }

  /** Idempotent. A request without an answer may still be waited for in the background. */
  async stop(): Promise<void> {
    this.isStopped = true;
    this.isMember = false;
    await this.giveUp();
  }

  /** Leaves under the id that the member had; the next join is a stranger's. */
  private async giveUp(): Promise<void> {
    const { memberId } = this;
    this.memberId = '';
    this.expel();
    this.turn.abort(again);
    if (memberId === '') return;
    const { clock, logger, wire } = this.parts;
    try {
      await within(LEAVE_WAIT_MS_MAX, clock, null, () => wire.leave(this.options.groupId, memberId));
    } catch (cause) {
      logger.debug({ error: asZeptoError(cause).message }, 'the group was left without an answer');
    }
  }

  private expel(): void {
    if (!this.isMember) return;
    this.isMember = false;
    this.listener.lost();
  }

  private async run(): Promise<void> {
    const { clock, logger, metrics, layout } = this.parts;
    const patience = new Patience();
    let turns = 0;
    for (let attempt = 0; !this.isStopped; ) {
      this.turn = new AbortController();
      const { signal } = this.turn;
      try {
        await layout.refresh();
        const partitions = await this.joinAndSync(signal);
        signal.throwIfAborted();
        attempt = 0;
        turns = 0;
        patience.reset();
        this.isMember = true;
        this.listener.joined(partitions);
        await this.keepAlive(signal);
      } catch (cause) {
        if (cause === again || signal.aborted) {
          // A new member needs two turns, a rebalance in a rebalance some more; no group needs them without end.
          if (++turns > TURNS_AT_ONCE_MAX) await clock.sleep(backoffMs(turns, 10, PAUSE_MS_MAX, clock));
          continue;
        }
        const error = asZeptoError(cause);
        if (patience.isFinal(error)) {
          this.isStopped = true;
          this.listener.failed(error);
          return;
        }
        metrics.count('zepto_kafka_failures_total', { code: error.code }, 1);
        const pauseMs = backoffMs(attempt++, 100, PAUSE_MS_MAX, clock);
        logger.warn(
          { code: error.code, error: error.message, attempt, pauseMs: Math.round(pauseMs) },
          'not in the group, trying again',
        );
        await clock.sleep(pauseMs, signal).catch(() => {});
      }
    }
  }

  private async joinAndSync(signal: AbortSignal): Promise<readonly TopicPartition[]> {
    const { wire, logger } = this.parts;
    const { topics } = this;
    const { groupId, sessionTimeoutMs, rebalanceTimeoutMs } = this.options;
    const joined = await wire.join(
      {
        groupId,
        memberId: this.memberId,
        sessionTimeoutMs,
        rebalanceTimeoutMs,
        protocol: GROUP_PROTOCOL,
        metadata: encodeSubscription({
          topics,
          owned: this.owned,
          generation: this.generation,
          address: this.options.address,
        }),
      },
      signal,
    );
    if (signal.aborted) {
      // Somebody gave up in the meantime, and could not know this id.
      void wire.leave(groupId, joined.memberId).catch(() => {});
      throw again;
    }
    if (joined.code === GroupCode.MEMBER_ID_REQUIRED) {
      this.memberId = joined.memberId;
      throw again;
    }
    this.check(joined.code, `join group ${groupId}`);
    this.memberId = joined.memberId;
    const member: Member = { groupId, memberId: joined.memberId, generation: joined.generation };
    const isLeader = joined.leaderId === joined.memberId;
    const assignments = isLeader ? await this.shareOut(joined) : new Map<string, Uint8Array>();
    const synced = await wire.sync(member, assignments, signal);
    signal.throwIfAborted();
    this.check(synced.code, `take part in group ${groupId}`);
    this.generation = joined.generation;
    this.isLeader = isLeader;
    this.owned = onlyOf(topics, decodeAssignment(synced.assignment));
    const partitions = Object.entries(this.owned).flatMap(([topic, list]) =>
      list.map((partition): TopicPartition => ({ topic, partition })),
    );
    logger.info(
      { group: groupId, generation: joined.generation, isLeader, partitions: partitions.length },
      'joined the group',
    );
    return partitions;
  }

  private async shareOut(joined: JoinAnswer): Promise<ReadonlyMap<string, Uint8Array>> {
    const members = joined.members.map(({ memberId, metadata }) => ({
      memberId,
      ...decodeSubscription(metadata),
    }));
    const topics = [...new Set(members.flatMap((member) => member.topics))];
    const leaders = await this.parts.wire.topics(topics);
    const partitionsOf = new Map(
      [...leaders].map(([topic, list]) => [topic, list.map(({ partition }) => partition)] as const),
    );
    // Not what the layout knew: what the broker asked just now did not tell of has no owner, and must be shared out later.
    this.sharedOut = this.parts.layout.fingerprint((topic) => leaders.get(topic)?.length ?? 0);
    const shares = assignPartitions(members, partitionsOf);
    return new Map([...shares].map(([memberId, share]) => [memberId, encodeAssignment(share)]));
  }

  /** Heartbeats until the group wants its members to take part again. */
  private async keepAlive(signal: AbortSignal): Promise<void> {
    const { clock, logger, wire } = this.parts;
    const { groupId, heartbeatIntervalMs, layoutIntervalMs, sessionTimeoutMs } = this.options;
    const member: Member = { groupId, memberId: this.memberId, generation: this.generation };
    let layoutAtMs = clock.monotonicMs();
    let unanswered = 0;
    for (;;) {
      const pauseMs =
        unanswered === 0 ? heartbeatIntervalMs : Math.min(heartbeatIntervalMs, UNANSWERED_PAUSE_MS);
      await clock.sleep(pauseMs, signal);
      try {
        const { code } = await within(sessionTimeoutMs / 3, clock, signal, (limited) =>
          wire.heartbeat(member, limited),
        );
        unanswered = 0;
        if (!isPassing(code)) this.check(code, `stay in group ${groupId}`);
      } catch (cause) {
        if (cause === again || signal.aborted || asZeptoError(cause).action !== 'retry') throw cause;
        // Whether the session is over is for the coordinator to say, when it can be asked again.
        if (unanswered++ === 0)
          logger.warn(
            { error: asZeptoError(cause).message },
            'the group coordinator does not answer, asking on',
          );
      }
      if (this.isLeader && clock.monotonicMs() - layoutAtMs >= layoutIntervalMs) {
        layoutAtMs = clock.monotonicMs();
        void this.watchLayout(this.sharedOut, this.turn);
      }
    }
  }

  /** Beside the heartbeats: has a topic got more partitions, then all take part again to share them out. */
  private async watchLayout(before: string, turn: AbortController): Promise<void> {
    const { layout, logger } = this.parts;
    try {
      await layout.refresh();
    } catch (cause) {
      logger.debug(
        { error: asZeptoError(cause).message },
        'topics could not be looked up, which fetching will notice',
      );
      return;
    }
    if (layout.fingerprint() !== before) turn.abort(again);
  }

  /** Throws `again`, or what it means that the group refused. */
  private check(code: number, doing: string): void {
    switch (code) {
      case KafkaCode.NONE:
        return;
      case GroupCode.REBALANCE_IN_PROGRESS:
        throw again;
      case GroupCode.UNKNOWN_MEMBER_ID:
      case GroupCode.FENCED_INSTANCE_ID:
        this.memberId = '';
        this.expel();
        throw again;
      case GroupCode.ILLEGAL_GENERATION:
        this.expel();
        throw again;
      case GroupCode.INCONSISTENT_GROUP_PROTOCOL:
        throw settingError(
          `group ${this.options.groupId} has members of another program: choose another --group`,
        );
      case GroupCode.INVALID_GROUP_ID:
        throw settingError(
          `the broker refuses the name of group "${this.options.groupId}": choose another --group`,
        );
      case GroupCode.INVALID_SESSION_TIMEOUT:
        throw settingError(
          `the broker refuses a session timeout of ${this.options.sessionTimeoutMs} ms: set --session-timeout ` +
            'between its group.min.session.timeout.ms and group.max.session.timeout.ms',
        );
      case GroupCode.GROUP_MAX_SIZE_REACHED:
        throw new ZeptoError(
          'KAFKA_UNREACHABLE',
          'retry',
          `group ${this.options.groupId} has as many members as the broker's group.max.size allows`,
        );
      default:
        throw refusal(code, doing);
    }
  }
}

function settingError(message: string): ZeptoError {
  return new ZeptoError('CONFIG_INVALID', 'stop', message);
}

/** The leader may know of topics that this member did not ask for; they are not its own. */
function onlyOf(topics: readonly string[], assigned: PartitionsByTopic): PartitionsByTopic {
  return Object.fromEntries(Object.entries(assigned).filter(([topic]) => topics.includes(topic)));
}

/** The call with a signal that aborts after `waitMs` or with `parent`; rejects then even if the call does not. */
async function within<T>(
  waitMs: number,
  clock: Clock,
  parent: AbortSignal | null,
  call: (signal: AbortSignal) => Promise<T>,
): Promise<T> {
  const limit = new AbortController();
  const late = new ZeptoError('KAFKA_UNREACHABLE', 'retry', `no answer within ${Math.round(waitMs)} ms`);
  const timer = clock.after(waitMs, () => limit.abort(late));
  const passOn = (): void => limit.abort(parent?.reason);
  parent?.addEventListener('abort', passOn);
  if (parent?.aborted) passOn();
  try {
    limit.signal.throwIfAborted();
    return await new Promise<T>((resolve, reject) => {
      limit.signal.addEventListener('abort', () => reject(limit.signal.reason));
      call(limit.signal).then(resolve, reject);
    });
  } finally {
    timer.cancel();
    parent?.removeEventListener('abort', passOn);
  }
}
