// What: the brokers as one: connections shared, leaders and coordinators found and remembered, passing failures waited out.
// Why: all partitions of a member share a connection per broker, and each request is either answered or known to be unanswered.
// Invariant: `send` writes a request at most once; only `ask` repeats.

import type { Clock } from '../../src/kernel/clock.ts';
import { backoffMs } from '../../src/kernel/clock.ts';
import { ZeptoError } from '../../src/kernel/errors.ts';
import type { LentMemory } from '../../src/kernel/lent-memory.ts';
import type { Logger } from '../../src/ports.ts';
import {
  brokerAddress,
  createKafka,
  type KafkaConnection,
  kafkajsConfig,
  REQUEST_TIMEOUT_MS,
} from './client.ts';
import { isPassing, KafkaCode, kafkaError, refusal } from './errors.ts';
import { type Link, openLink } from './link.ts';
import { type ClusterLayout, findCoordinator, type KafkaRequest, metadata } from './requests.ts';

/** Who is to answer. `waiting` marks long polls: they have a connection of their own, since a broker answers one request at a time. */
export type Target =
  | { readonly kind: 'any' }
  | { readonly kind: 'controller' }
  | { readonly kind: 'coordinator'; readonly of: 'group' | 'transaction'; readonly key: string }
  | {
      readonly kind: 'leader';
      readonly topic: string;
      readonly partition: number;
      readonly waiting?: boolean;
    };

export interface Cluster {
  /** Longest wait for one answer. */
  readonly requestTimeoutMs: number;
  /**
   * Sends once and resolves with the answer, error codes included. Rejects when there is no answer: the request
   * may or may not have been carried out, now or later (`wasSent` tells when it cannot have been). Then the connection
   * is gone with all requests on it. `signal` gives the wait up in the same way: only for long polls, which share their connection with nothing else.
   */
  send<Answer>(target: Target, request: KafkaRequest<Answer>, signal?: AbortSignal): Promise<Answer>;
  /**
   * For requests that do no harm when repeated: sends again, with growing pauses, while brokers are away or answer
   * that it cannot be done yet. Resolves with an answer whose code is final; `doing` says in errors what was tried;
   * `signal` ends the waiting with the last failure.
   * @throws ZeptoError KAFKA_UNREACHABLE (retry) when patience ends; KAFKA_AUTH, KAFKA_TOPIC_MISSING (stop).
   */
  ask<Answer>(
    target: Target,
    request: KafkaRequest<Answer>,
    codeOf: (answer: Answer) => number,
    doing: string,
    signal?: AbortSignal,
  ): Promise<Answer>;
  /** Look the target up again before the next request: its answer said that it moved. */
  forget(target: Target): void;
  /** The topic's partition count; null when there is no such topic. */
  partitionCount(topic: string): Promise<number | null>;
  /** The same of a topic that has just been made: waits until the brokers have heard of it. */
  partitionCountOfNew(topic: string): Promise<number>;
  /** Unanswered requests reject. Idempotent. */
  close(): Promise<void>;
}

/** False when the failed request never left, since nobody to send it to was found. */
export function wasSent(error: unknown): boolean {
  return !(error instanceof ZeptoError && error.context.isSent === false);
}

export interface ClusterOptions {
  /** How long `ask` goes on. */
  readonly patienceMs?: number;
  /** Of large answers over plain connections; whoever reads one may give its memory back. */
  readonly memory?: LentMemory;
}

/** A topic that brokers do not know may be a new one that they have not heard of yet: this long. */
const UNKNOWN_TOPIC_PATIENCE_MS = 2_000;
/** A broker that could not be reached is not tried again before: everybody who needs it shares the one attempt. */
const RECONNECT_PAUSE_MS = 200;

const SAY_AWAY_PAUSE_MS = 10_000;

/** Long polls have a connection of their own. */
type Lane = 'requests' | 'waiting';

export function openCluster(
  connection: KafkaConnection,
  logger: Logger,
  clock: Clock,
  { patienceMs = 30_000, memory }: ClusterOptions = {},
): Cluster {
  const config = kafkajsConfig(connection, logger, clock, memory);
  const kafkajsLogger = createKafka(connection, logger, clock).logger();
  const links: Record<Lane, Map<string, Promise<Link>>> = { requests: new Map(), waiting: new Map() };
  /** Open links of lane `requests`; some may have closed since. */
  const ready = new Set<Link>();
  const addresses = new Map<number, { host: string; port: number }>();
  const coordinators = new Map<string, Promise<number>>();
  const topics = new Map<string, Promise<ClusterLayout['topics'][number]>>();
  let bootstrapNext = Math.floor(clock.random() * connection.brokers.length);
  let closed = false;
  let saidAwayAtMs = Number.NEGATIVE_INFINITY;

  // -- connections ---------------------------------------------------------------------------------------

  async function link(host: string, port: number, lane: Lane): Promise<Link> {
    if (closed) throw new ZeptoError('KAFKA_UNREACHABLE', 'stop', 'the connection to Kafka was closed here');
    const key = `${host}:${port}`;
    const held = links[lane].get(key);
    if (held !== undefined) {
      const open = await held;
      if (open.isOpen()) return open;
      if (links[lane].get(key) === held) links[lane].delete(key);
      return link(host, port, lane);
    }
    const opening = openLink(host, port, config, kafkajsLogger, clock);
    links[lane].set(key, opening);
    opening.then(
      (open) => {
        if (closed) open.close();
        else if (lane === 'requests') ready.add(open);
      },
      () => {
        // Until then the failure stands for whoever asks.
        clock.after(RECONNECT_PAUSE_MS, () => {
          if (links[lane].get(key) === opening) links[lane].delete(key);
        });
      },
    );
    return opening;
  }

  async function anyLink(): Promise<Link> {
    for (const open of ready) {
      if (open.isOpen()) return open;
      ready.delete(open);
    }
    const known = [...addresses.values(), ...connection.brokers.map(brokerAddress)];
    let failure: unknown;
    for (let attempt = 0; attempt < known.length; attempt++) {
      const { host, port } = known[bootstrapNext++ % known.length]!;
      try {
        return await link(host, port, 'requests');
      } catch (error) {
        failure = error;
      }
    }
    throw failure;
  }

  async function nodeLink(node: number, lane: Lane): Promise<Link> {
    if (!addresses.has(node)) await layout([]);
    const address = addresses.get(node);
    if (address === undefined)
      throw new ZeptoError(
        'KAFKA_UNREACHABLE',
        'retry',
        `broker ${node} is not up (the cluster names it, without an address)`,
      );
    try {
      return await link(address.host, address.port, lane);
    } catch (error) {
      addresses.delete(node); // it may have come back elsewhere
      throw error;
    }
  }

  // -- who answers ---------------------------------------------------------------------------------------

  async function layout(names: readonly string[]): Promise<ClusterLayout> {
    const answer = await (await anyLink()).send(metadata(names));
    if (answer.nodes.length > 0) {
      addresses.clear();
      for (const { id, host, port } of answer.nodes) addresses.set(id, { host, port });
    }
    return answer;
  }

  async function topicLayout(name: string): Promise<ClusterLayout['topics'][number]> {
    const found = (await layout([name])).topics[0];
    if (found === undefined)
      throw refusal(KafkaCode.UNKNOWN_TOPIC_OR_PARTITION, `find topic ${name}`, { topic: name });
    if (found.code !== 0) throw refusal(found.code, `find topic ${name}`, { topic: name });
    return found;
  }

  async function coordinatorNode(of: 'group' | 'transaction', key: string): Promise<number> {
    const answer = await (await anyLink()).send(findCoordinator(of, key));
    if (answer.code !== 0) throw refusal(answer.code, `find the coordinator of ${of} ${key}`);
    return answer.node;
  }

  async function targetLink(target: Target): Promise<Link> {
    switch (target.kind) {
      case 'any':
        return anyLink();
      case 'controller':
        return nodeLink((await layout([])).controller, 'requests');
      case 'coordinator':
        return nodeLink(
          await once(coordinators, `${target.of} ${target.key}`, () =>
            coordinatorNode(target.of, target.key),
          ),
          'requests',
        );
      case 'leader': {
        const { topic, partition } = target;
        const found = await once(topics, topic, () => topicLayout(topic));
        const leader = found.partitions.find((entry) => entry.partition === partition)?.leader;
        if (leader === undefined)
          throw new ZeptoError(
            'KAFKA_TOPIC_MISSING',
            'stop',
            `topic ${topic} has no partition ${partition}`,
            {
              context: { topic, partition },
            },
          );
        if (leader < 0)
          throw refusal(KafkaCode.LEADER_NOT_AVAILABLE, `reach the leader of ${topic}-${partition}`);
        return nodeLink(leader, target.waiting === true ? 'waiting' : 'requests');
      }
    }
  }

  function forget(target: Target): void {
    if (target.kind === 'coordinator') coordinators.delete(`${target.of} ${target.key}`);
    if (target.kind === 'leader') topics.delete(target.topic);
  }

  // -- requests ------------------------------------------------------------------------------------------

  async function send<Answer>(
    target: Target,
    request: KafkaRequest<Answer>,
    signal?: AbortSignal,
  ): Promise<Answer> {
    let to: Link;
    try {
      to = await targetLink(target);
      signal?.throwIfAborted();
    } catch (error) {
      forget(target);
      const failure = kafkaError(error, request.name, connection);
      throw new ZeptoError(failure.code, failure.action, failure.message, {
        cause: failure,
        context: { ...failure.context, isSent: false },
      });
    }
    const giveUp = (): void => to.close();
    signal?.addEventListener('abort', giveUp);
    try {
      return await to.send(request);
    } catch (error) {
      forget(target);
      throw kafkaError(error, `${request.name} at ${to.address}`, connection);
    } finally {
      signal?.removeEventListener('abort', giveUp);
    }
  }

  /** Whoever waits for Kafka says so, but not each of them each time. */
  function sayAway(failure: ZeptoError): void {
    const nowMs = clock.monotonicMs();
    if (nowMs - saidAwayAtMs < SAY_AWAY_PAUSE_MS) return;
    saidAwayAtMs = nowMs;
    logger.warn(
      { code: failure.code, error: failure.message },
      'Kafka does not answer yet, trying again with back-off',
    );
  }

  async function ask<Answer>(
    target: Target,
    request: KafkaRequest<Answer>,
    codeOf: (answer: Answer) => number,
    doing: string,
    signal?: AbortSignal,
  ): Promise<Answer> {
    const startMs = clock.monotonicMs();
    for (let attempt = 0; ; attempt++) {
      let failure: ZeptoError;
      try {
        const answer = await send(target, request);
        const code = codeOf(answer);
        if (!isPassing(code)) return answer;
        if (code !== KafkaCode.CONCURRENT_TRANSACTIONS) forget(target);
        failure = refusal(code, doing);
      } catch (error) {
        failure = kafkaError(error, doing, connection);
      }
      const passedMs = clock.monotonicMs() - startMs;
      const mayBeNew = failure.code === 'KAFKA_TOPIC_MISSING' && passedMs < UNKNOWN_TOPIC_PATIENCE_MS;
      if (closed || passedMs >= patienceMs || (failure.action !== 'retry' && !mayBeNew)) throw failure;
      if (failure.code === 'KAFKA_UNREACHABLE') sayAway(failure);
      await clock.sleep(backoffMs(attempt, 5, 500, clock), signal).catch(() => {
        throw failure;
      });
    }
  }

  /** `unknownIs`: what it counts as that a broker does not know the topic. */
  async function topicEntry(
    topic: string,
    unknownIs: number,
  ): Promise<ClusterLayout['topics'][number] | null> {
    const doing = `look topic ${topic} up`;
    const { topics: found } = await ask(
      { kind: 'any' },
      metadata([topic]),
      (answer) => {
        const code = answer.topics[0]?.code ?? KafkaCode.UNKNOWN_TOPIC_OR_PARTITION;
        return code === KafkaCode.UNKNOWN_TOPIC_OR_PARTITION ? unknownIs : code;
      },
      doing,
    );
    const entry = found[0];
    if (entry === undefined || entry.code === KafkaCode.UNKNOWN_TOPIC_OR_PARTITION) return null;
    if (entry.code !== 0) throw refusal(entry.code, doing, { topic });
    return entry;
  }

  async function partitionCount(topic: string): Promise<number | null> {
    return (await topicEntry(topic, KafkaCode.NONE))?.partitions.length ?? null;
  }

  async function partitionCountOfNew(topic: string): Promise<number> {
    return (await topicEntry(topic, KafkaCode.LEADER_NOT_AVAILABLE))!.partitions.length;
  }

  async function close(): Promise<void> {
    closed = true;
    const open = [...links.requests.values(), ...links.waiting.values()];
    links.requests.clear();
    links.waiting.clear();
    for (const held of open) (await held.catch(() => null))?.close();
  }

  return {
    requestTimeoutMs: connection.requestTimeoutMs ?? REQUEST_TIMEOUT_MS,
    send,
    ask,
    forget,
    partitionCount,
    partitionCountOfNew,
    close,
  };
}

/** What `key` stands for, looked up once however many wait for it; a failed look-up is not remembered. */
async function once<T>(found: Map<string, Promise<T>>, key: string, look: () => Promise<T>): Promise<T> {
  let pending = found.get(key);
  if (pending === undefined) {
    pending = look();
    found.set(key, pending);
    const mine = pending;
    mine.catch(() => {
      if (found.get(key) === mine) found.delete(key);
    });
  }
  return pending;
}
