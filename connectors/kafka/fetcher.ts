// What: fetches the owned partitions ahead of their reader, one request per broker at a time.
// Why: the broker and the network work while the last response is decoded; kafkajs fetches only when it has nothing left to do.
// Invariant: a failure is retried for ever, or told once; memory is bounded by one response per broker and one in the queue.

import { backoffMs, type Clock, type Timer } from '../../src/kernel/clock.ts';
import { asZeptoError, ZeptoError } from '../../src/kernel/errors.ts';
import { type Logger, type Metrics, type TopicPartition, topicPartitionKey } from '../../src/ports.ts';
import { isPassing, KafkaCode, refusal } from './errors.ts';
import type { PartitionAnswer } from './fetch-request.ts';
import { type Fetched, type Flow, Flows, SharedAnswer } from './flows.ts';
import type { MemberWire } from './member-wire.ts';
import { Patience } from './patience.ts';
import { offsetAfter } from './record-batch.ts';
import type { TopicLayout } from './topic-layout.ts';

export interface FetcherOptions {
  /** How long a broker holds an answer back while it has nothing to send; also how long resuming may take. */
  readonly fetchWaitMsMax: number;
  /** Of one response, and of one partition's share in it. */
  readonly fetchBytesMax: number;
  readonly fetchPartitionBytesMax: number;
}

export interface FetcherParts {
  readonly wire: MemberWire;
  readonly layout: TopicLayout;
  readonly clock: Clock;
  readonly logger: Logger;
  readonly metrics: Metrics;
}

export interface FetcherListener {
  /** Something can be taken. */
  arrived(): void;
  /** Fetching cannot go on; nothing follows. */
  failed(error: ZeptoError): void;
}

/** A broker, as far as fetching from it goes. */
interface Node {
  isAsked: boolean;
  /** Consecutive requests without an answer. */
  failures: number;
  notBeforeMs: number;
}

/** Times that an answer which no repeat should change is asked for again: a replica may lag, a wire may flip a bit. */
const TROUBLES_MAX = 3;
const PAUSE_MS_FIRST = 50;
const PAUSE_MS_MAX = 2_000;

export class Fetcher {
  private readonly options: FetcherOptions;
  private readonly parts: FetcherParts;
  private readonly listener: FetcherListener;
  private readonly flows = new Flows();
  private readonly nodes = new Map<number, Node>();
  private readonly patience = new Patience();
  private readonly closing = new AbortController();
  private requests = 0;
  private layoutFailures = 0;
  private isLayoutAsked = false;
  private timer: Timer | null = null;

  constructor(options: FetcherOptions, parts: FetcherParts, listener: FetcherListener) {
    this.options = options;
    this.parts = parts;
    this.listener = listener;
  }

  // -- what the member owns ------------------------------------------------------------------------------

  /** Nothing is asked for and nothing can be taken until `begin`. */
  hold(): void {
    this.flows.isHeld = true;
  }

  /** These partitions and no others, none of them paused; nothing happens until `begin`. */
  assign(partitions: readonly TopicPartition[]): void {
    this.flows.assign(partitions);
  }

  /** @throws ZeptoError INTERNAL when a partition has no position. */
  begin(positions: ReadonlyMap<string, number>): void {
    this.flows.begin(positions);
    this.pump();
  }

  /** The membership is lost: nothing is owned. */
  clear(): void {
    this.flows.clear();
  }

  pause(partitions: readonly TopicPartition[]): void {
    this.flows.pause(partitions);
    this.pump();
  }

  resume(partitions: readonly TopicPartition[]): void {
    this.flows.resume(partitions);
    this.pump();
  }

  seek(partition: TopicPartition, offset: number): void {
    this.flows.seek(partition, offset);
    this.pump();
  }

  stop(): void {
    this.flows.clear();
    this.timer?.cancel();
    this.closing.abort();
  }

  // -- what the reader does ------------------------------------------------------------------------------

  /** The next share to read, or null. To be followed by `done`, `giveBack` or `retry`. */
  take(): Fetched | null {
    return this.flows.take();
  }

  isCurrent(fetched: Fetched): boolean {
    return this.flows.isCurrent(fetched);
  }

  handOver(fetched: Fetched, offsetNext: number): void {
    this.flows.handOver(fetched, offsetNext);
  }

  /** Read to its end. */
  done(fetched: Fetched): void {
    const { flow, batches, epoch } = fetched;
    this.flows.release(fetched, true);
    if (flow.epoch === epoch) {
      if (flow.position > batches.fetchOffset) flow.troubles = 0;
      else this.gotNowhere(fetched);
    }
    this.pump();
  }

  /** Void before its end, or by the end of the membership. */
  giveBack(fetched: Fetched): void {
    this.flows.release(fetched, false);
    this.pump();
  }

  /** It could not be read: asked for again after a pause. False when that has been tried enough. */
  retry(fetched: Fetched): boolean {
    const isWorthIt = this.countTrouble(fetched.flow) < TROUBLES_MAX;
    this.giveBack(fetched);
    return isWorthIt;
  }

  /** Not one whole batch. The partition that stands first in a request is owed one; else its batch is no batch. */
  private gotNowhere({ flow, batches, wasFirst }: Fetched): void {
    flow.notBeforeMs = 0;
    flow.servedAt = -1;
    if (wasFirst && this.countTrouble(flow) >= TROUBLES_MAX)
      this.fail(
        corrupt(flow, `claims more than the ${batches.bytes.length} bytes that the broker sends of it`),
      );
  }

  // -- fetching ------------------------------------------------------------------------------------------

  /** Starts every request that can be started. Called after whatever might allow one. */
  private pump(): void {
    const { flows, options } = this;
    const { clock, layout } = this.parts;
    if (flows.isHeld || this.closing.signal.aborted || flows.heldBytes > options.fetchBytesMax) return;
    const nowMs = clock.monotonicMs();
    const wanted = new Map<number, Flow[]>();
    let wakeAtMs = Number.POSITIVE_INFINITY;
    let isLeaderless = false;
    for (const flow of flows.values()) {
      if (flow.isPaused) continue;
      const leader = layout.leaderOf(flow.key);
      const node = this.nodeOf(leader);
      const notBeforeMs = Math.max(flow.notBeforeMs, node.notBeforeMs);
      if (notBeforeMs > nowMs) wakeAtMs = Math.min(wakeAtMs, notBeforeMs);
      else if (leader < 0) isLeaderless = true;
      else if (!node.isAsked) {
        const others = wanted.get(leader);
        if (others === undefined) wanted.set(leader, [flow]);
        else others.push(flow);
      }
    }
    for (const [leader, itsFlows] of wanted) void this.fetch(leader, itsFlows);
    if (isLeaderless) void this.learnLayout();
    this.timer?.cancel();
    this.timer =
      wakeAtMs === Number.POSITIVE_INFINITY ? null : clock.after(wakeAtMs - nowMs + 1, () => this.pump());
  }

  private nodeOf(id: number): Node {
    let node = this.nodes.get(id);
    if (node === undefined) {
      node = { isAsked: false, failures: 0, notBeforeMs: 0 };
      this.nodes.set(id, node);
    }
    return node;
  }

  private async fetch(leader: number, flows: readonly Flow[]): Promise<void> {
    const { wire } = this.parts;
    const { fetchBytesMax, fetchPartitionBytesMax, fetchWaitMsMax } = this.options;
    const node = this.nodeOf(leader);
    const asked = [...flows]
      .sort((a, b) => a.servedAt - b.servedAt)
      .map((flow, index) => ({ flow, epoch: flow.epoch, offset: flow.fetchOffset, isFirst: index === 0 }));
    const request = ++this.requests;
    node.isAsked = true;
    try {
      const answer = await wire.fetch(
        {
          waitMsMax: fetchWaitMsMax,
          bytesMin: 1,
          bytesMax: fetchBytesMax,
          partitions: asked.map(({ flow: { topic, partition }, offset }) => ({
            topic,
            partition,
            offset,
            bytesMax: fetchPartitionBytesMax,
          })),
        },
        this.closing.signal,
      );
      const shared = new SharedAnswer(() => answer.release());
      if (answer.code !== KafkaCode.NONE) throw refusal(answer.code, 'fetch records');
      node.failures = 0;
      this.patience.reset();
      const answers = new Map(answer.partitions.map((one) => [topicPartitionKey(one), one]));
      for (const { flow, epoch, offset, isFirst } of asked) {
        const its = answers.get(flow.key);
        if (its === undefined || flow.epoch !== epoch || flow.fetchOffset !== offset) continue;
        if (its.code !== KafkaCode.NONE) this.refused(flow, its.code);
        else this.receive(flow, its, request, isFirst, shared);
      }
      shared.end();
    } catch (cause) {
      if (this.closing.signal.aborted) return;
      await this.unanswered(leader, node, asZeptoError(cause));
    } finally {
      node.isAsked = false;
      this.pump();
    }
    if (this.flows.hasQueued) this.listener.arrived();
  }

  private receive(
    flow: Flow,
    answer: PartitionAnswer,
    request: number,
    wasFirst: boolean,
    shared: SharedAnswer,
  ): void {
    this.parts.layout.seen(flow.topic);
    if (answer.records.length === 0) {
      flow.troubles = 0;
      return;
    }
    const { topic, partition, fetchOffset } = flow;
    const { aborted, lastStableOffset: endOffset, records: bytes } = answer;
    const offsetNext = offsetAfter(bytes, fetchOffset);
    flow.servedAt = request;
    this.flows.enqueue(
      flow,
      { topic, partition, fetchOffset, bytes, aborted, endOffset },
      offsetNext,
      wasFirst,
      shared,
    );
    // Without a whole batch it is for the reader to say why, before the same bytes are fetched again.
    if (offsetNext === fetchOffset) flow.notBeforeMs = Number.POSITIVE_INFINITY;
  }

  // -- trouble -------------------------------------------------------------------------------------------

  /** The request got no answer, or was refused as a whole. Resolves when the broker may be asked again. */
  private async unanswered(leader: number, node: Node, error: ZeptoError): Promise<void> {
    // A broker that has just started, or is behind, does not know each topic: whether one is missing is for the layout to say.
    if (error.code !== 'KAFKA_TOPIC_MISSING' && this.patience.isFinal(error)) {
      this.fail(error);
      return;
    }
    const { clock, logger, metrics } = this.parts;
    const pauseMs = backoffMs(node.failures++, PAUSE_MS_FIRST, PAUSE_MS_MAX, clock);
    node.notBeforeMs = clock.monotonicMs() + pauseMs;
    metrics.count('zepto_kafka_failures_total', { code: error.code }, 1);
    if (isWorthSaying(node.failures))
      logger.warn(
        { node: leader, failures: node.failures, code: error.code, error: error.message },
        'fetching failed, trying again',
      );
    // The broker may be gone for good, and its partitions elsewhere.
    await this.learnLayout();
  }

  /** The broker has an error for this partition. */
  private refused(flow: Flow, code: number): void {
    const troubles = this.countTrouble(flow);
    const { topic, partition, fetchOffset: offset } = flow;
    const isPermanent =
      code === KafkaCode.OFFSET_OUT_OF_RANGE || code === KafkaCode.CORRUPT_MESSAGE || !isPassing(code);
    if (!isPermanent) {
      if (isWorthSaying(troubles))
        this.parts.logger.warn(
          { topic, partition, error: refusal(code, 'fetch').message },
          'a partition cannot be fetched yet, trying again',
        );
      void this.learnLayout();
      return;
    }
    if (troubles < TROUBLES_MAX) return;
    if (code === KafkaCode.OFFSET_OUT_OF_RANGE) this.fail(offsetLost(flow));
    else if (code === KafkaCode.CORRUPT_MESSAGE)
      this.fail(corrupt(flow, "does not pass the broker's own check"));
    else this.fail(refusal(code, `fetch ${flow.key}`, { topic, partition, offset }));
  }

  /** Counts it, and leaves the partition alone for a moment. */
  private countTrouble(flow: Flow): number {
    const { clock } = this.parts;
    flow.notBeforeMs = clock.monotonicMs() + backoffMs(flow.troubles, PAUSE_MS_FIRST, PAUSE_MS_MAX, clock);
    return ++flow.troubles;
  }

  /** Who leads what, once more; then fetching goes on. Asked at most so often, also while a partition stays without a leader. */
  private async learnLayout(): Promise<void> {
    if (this.isLayoutAsked || this.closing.signal.aborted) return;
    this.isLayoutAsked = true;
    const { clock, layout, logger } = this.parts;
    try {
      await layout.refresh();
      const leaderless = [...this.flows.values()].filter(({ key }) => layout.leaderOf(key) < 0);
      if (leaderless.length === 0) this.layoutFailures = 0;
      else if (isWorthSaying(++this.layoutFailures))
        logger.warn(
          { partitions: leaderless.map(({ key }) => key) },
          'partitions have no leader, waiting for one',
        );
    } catch (cause) {
      const error = asZeptoError(cause);
      if (this.patience.isFinal(error)) this.fail(error);
      else if (isWorthSaying(++this.layoutFailures))
        logger.warn(
          { code: error.code, error: error.message },
          'the cluster cannot be asked for leaders, trying again',
        );
    }
    const pauseMs = backoffMs(this.layoutFailures, PAUSE_MS_FIRST, PAUSE_MS_MAX, clock);
    await clock.sleep(pauseMs, this.closing.signal).catch(() => {});
    this.isLayoutAsked = false;
    this.pump();
  }

  private fail(error: ZeptoError): void {
    if (this.closing.signal.aborted) return;
    this.stop();
    this.listener.failed(error);
  }
}

/** 1, 2, 4, 8, …: a long outage does not fill the log. */
const isWorthSaying = (failures: number): boolean => (failures & (failures - 1)) === 0;

function corrupt(flow: Flow, why: string): ZeptoError {
  const { key, topic, partition, position: offset } = flow;
  return new ZeptoError('RECORD_CORRUPT', 'stop', `the record batch at offset ${offset} of ${key} ${why}`, {
    context: { topic, partition, offset },
  });
}

function offsetLost(flow: Flow): ZeptoError {
  const { key, topic, partition, fetchOffset: offset } = flow;
  return new ZeptoError(
    'OFFSET_LOST',
    'stop',
    `offset ${offset} of ${key} is not in the topic any more: retention removed it, or the topic was made anew. ` +
      'Nothing was skipped. To go on at the earliest record that is left, and count what is missing, start with --on-data-loss earliest',
    { context: { topic, partition, offset } },
  );
}
