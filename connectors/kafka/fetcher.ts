// What: fetches the owned partitions ahead of their reader, one request per broker at a time, into a bounded queue.
// Why: the broker and the network work while the last response is decoded; kafkajs fetches only when it has nothing left to do.
// Invariant: what is taken from the queue begins exactly at its partition's position; everything else was thrown away.

import { assert } from '../../src/kernel/assert.ts';
import { backoffMs, type Clock, type Timer } from '../../src/kernel/clock.ts';
import { asZeptoError, ZeptoError } from '../../src/kernel/errors.ts';
import { type Logger, type Metrics, type TopicPartition, topicPartitionKey } from '../../src/ports.ts';
import { isPassing, KafkaCode, refusal } from './errors.ts';
import type { PartitionAnswer } from './fetch-request.ts';
import type { MemberWire } from './member-wire.ts';
import { Patience } from './patience.ts';
import { type FetchedBatches, offsetAfter } from './record-batch.ts';
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

/** One partition's share of a response, in the queue or being read. */
export interface Fetched {
  readonly batches: FetchedBatches;
  /** Whether the broker owed this partition a whole batch. */
  readonly wasFirst: boolean;
  readonly flow: Flow;
  /** Of the flow when it was asked for. */
  readonly epoch: number;
}

/** An owned partition. */
interface Flow extends TopicPartition {
  /** The next record to hand over; −1 until it is known. */
  position: number;
  /** The next to ask the broker for: ahead of the position by what is queued. */
  fetchOffset: number;
  /** Grows when what was asked for before is void. */
  epoch: number;
  isPaused: boolean;
  /** Consecutive answers with an error, or that could not be read. */
  troubles: number;
  /** Not asked for before then. */
  notBeforeMs: number;
  /** When it last had data, in requests: who waited longest stands first in the next. */
  servedAt: number;
}

/** Times that an answer which no repeat should change is asked for again: a replica may lag, a wire may flip a bit. */
const TROUBLES_MAX = 3;
const PAUSE_MS_FIRST = 50;
const PAUSE_MS_MAX = 2_000;

export class Fetcher {
  private readonly options: FetcherOptions;
  private readonly parts: FetcherParts;
  private readonly listener: FetcherListener;
  private readonly flows = new Map<string, Flow>();
  private readonly queue: Fetched[] = [];
  /** Queued, and taken but not yet done. */
  private heldBytes = 0;
  /** Nodes with a request under way. */
  private readonly asking = new Set<number>();
  private readonly failuresOf = new Map<number, number>();
  private readonly pausedUntilMs = new Map<number, number>();
  private readonly patience = new Patience();
  private readonly closing = new AbortController();
  private requests = 0;
  private layoutFailures = 0;
  private isLayoutAsked = false;
  private timer: Timer | null = null;
  /** Between an assignment and the positions for it: nothing is asked for and nothing handed over. */
  private isHeld = true;

  constructor(options: FetcherOptions, parts: FetcherParts, listener: FetcherListener) {
    this.options = options;
    this.parts = parts;
    this.listener = listener;
  }

  // -- what the member owns ------------------------------------------------------------------------------

  /** These partitions and no others; nothing happens until `begin`. Pauses end. What stays keeps what is queued. */
  assign(partitions: readonly TopicPartition[]): void {
    this.isHeld = true;
    const wanted = new Set(partitions.map(topicPartitionKey));
    for (const [key, flow] of this.flows) {
      if (!wanted.has(key)) this.drop(key, flow);
      flow.isPaused = false;
    }
    for (const { topic, partition } of partitions) {
      const key = topicPartitionKey({ topic, partition });
      if (!this.flows.has(key)) this.flows.set(key, newFlow(topic, partition));
    }
  }

  /** @throws ZeptoError INTERNAL when a partition has no position. */
  begin(positions: ReadonlyMap<string, number>): void {
    for (const [key, flow] of this.flows) {
      const wanted = positions.get(key);
      if (wanted === undefined || !Number.isSafeInteger(wanted) || wanted < 0)
        throw new ZeptoError('INTERNAL', 'stop', `no position for ${key}: ${wanted}`, {
          context: { ...keyOf(flow) },
        });
      if (flow.position !== wanted) this.restart(flow, wanted);
    }
    this.isHeld = false;
    this.pump();
  }

  /** The membership is lost: nothing is owned. */
  clear(): void {
    this.isHeld = true;
    for (const [key, flow] of this.flows) this.drop(key, flow);
  }

  stop(): void {
    this.clear();
    this.timer?.cancel();
    this.closing.abort();
  }

  /** What is queued of them is thrown away: it would hold its memory for as long as the pause lasts. */
  pause(partitions: readonly TopicPartition[]): void {
    for (const partition of partitions) {
      const flow = this.flows.get(topicPartitionKey(partition));
      if (flow === undefined || flow.isPaused) continue;
      flow.isPaused = true;
      this.restart(flow, flow.position);
    }
  }

  resume(partitions: readonly TopicPartition[]): void {
    for (const partition of partitions) {
      const flow = this.flows.get(topicPartitionKey(partition));
      if (flow !== undefined) flow.isPaused = false;
    }
    this.pump();
  }

  seek(partition: TopicPartition, offset: number): void {
    const flow = this.flows.get(topicPartitionKey(partition));
    if (flow === undefined) return;
    this.restart(flow, offset);
    this.pump();
  }

  // -- what the reader does ------------------------------------------------------------------------------

  /** The next share to read; null while there is none, or none may be read. Follow it by `done` or `giveBack`. */
  take(): Fetched | null {
    if (this.isHeld) return null;
    const fetched = this.queue.shift() ?? null;
    if (fetched !== null)
      assert(
        fetched.batches.fetchOffset === fetched.flow.position,
        `${topicPartitionKey(fetched.flow)} continues at ${fetched.batches.fetchOffset}, not at its position ${fetched.flow.position}`,
      );
    return fetched;
  }

  /** False when it may not be read on: paused, sought, reassigned or lost in the meantime. */
  isCurrent({ flow, epoch }: Fetched): boolean {
    return !this.isHeld && flow.epoch === epoch;
  }

  /** The position moves when records are handed over, not after: what is asked for from now on comes after them. */
  handOver({ flow }: Fetched, offsetNext: number): void {
    flow.position = offsetNext;
  }

  /** Read to its end. */
  done(fetched: Fetched): void {
    const { flow, batches } = fetched;
    this.heldBytes -= batches.bytes.length;
    if (flow.epoch === fetched.epoch) {
      if (flow.position > batches.fetchOffset) flow.troubles = 0;
      else this.gotNowhere(fetched);
    }
    this.pump();
  }

  /** Not one whole batch. The partition that stands first in a request is owed one; else its batch is no batch. */
  private gotNowhere({ flow, batches, wasFirst }: Fetched): void {
    flow.notBeforeMs = 0;
    flow.servedAt = -1;
    if (!wasFirst) return;
    flow.troubles++;
    this.postpone(flow);
    if (flow.troubles >= TROUBLES_MAX) this.fail(cutForEver(flow, batches.bytes.length));
  }

  /** Not read to its end: the rest is asked for again, once it may be. */
  giveBack(fetched: Fetched): void {
    this.heldBytes -= fetched.batches.bytes.length;
    const { flow } = fetched;
    if (flow.epoch === fetched.epoch) this.restart(flow, flow.position);
    this.pump();
  }

  /** It could not be read: asked for again after a pause. False when that has been tried enough. */
  retry(fetched: Fetched): boolean {
    const { flow } = fetched;
    flow.troubles++;
    this.postpone(flow);
    this.giveBack(fetched);
    return flow.troubles < TROUBLES_MAX;
  }

  // -- fetching ------------------------------------------------------------------------------------------

  /** Starts every request that can be started. Called after whatever might allow one. */
  private pump(): void {
    if (this.isHeld || this.closing.signal.aborted) return;
    if (this.heldBytes >= this.options.fetchBytesMax) return;
    const nowMs = this.parts.clock.monotonicMs();
    const byNode = new Map<number, Flow[]>();
    let wakeAtMs = Number.POSITIVE_INFINITY;
    let isLeaderless = false;
    for (const flow of this.flows.values()) {
      if (flow.isPaused) continue;
      const leader = this.parts.layout.leaderOf(flow.topic, flow.partition);
      const notBeforeMs = Math.max(flow.notBeforeMs, this.pausedUntilMs.get(leader) ?? 0);
      if (notBeforeMs > nowMs) wakeAtMs = Math.min(wakeAtMs, notBeforeMs);
      else if (leader < 0) isLeaderless = true;
      else if (!this.asking.has(leader)) byNode.set(leader, [...(byNode.get(leader) ?? []), flow]);
    }
    for (const [node, flows] of byNode) void this.fetch(node, flows);
    if (isLeaderless) void this.learnLayout();
    this.timer?.cancel();
    this.timer =
      wakeAtMs === Number.POSITIVE_INFINITY
        ? null
        : this.parts.clock.after(wakeAtMs - nowMs + 1, () => this.pump());
  }

  private async fetch(node: number, flows: readonly Flow[]): Promise<void> {
    const { wire, clock, logger, metrics } = this.parts;
    const asked = [...flows]
      .sort((a, b) => a.servedAt - b.servedAt)
      .map((flow) => ({ flow, epoch: flow.epoch, offset: flow.fetchOffset }));
    const request = ++this.requests;
    this.asking.add(node);
    try {
      const answer = await wire.fetch(
        {
          waitMsMax: this.options.fetchWaitMsMax,
          bytesMin: 1,
          bytesMax: this.options.fetchBytesMax,
          partitions: asked.map(({ flow, offset }) => ({
            topic: flow.topic,
            partition: flow.partition,
            offset,
            bytesMax: this.options.fetchPartitionBytesMax,
          })),
        },
        this.closing.signal,
      );
      if (answer.code !== KafkaCode.NONE) throw refusal(answer.code, 'fetch records');
      this.failuresOf.delete(node);
      this.patience.reset();
      for (const partition of answer.partitions) {
        const index = asked.findIndex(
          ({ flow }) => flow.topic === partition.topic && flow.partition === partition.partition,
        );
        const one = asked[index];
        if (one !== undefined && one.flow.epoch === one.epoch && one.flow.fetchOffset === one.offset)
          this.receive(one.flow, partition, request, index === 0);
      }
    } catch (cause) {
      if (this.closing.signal.aborted) return;
      const error = asZeptoError(cause);
      if (this.patience.isFinal(error)) {
        this.fail(error);
        return;
      }
      const failures = (this.failuresOf.get(node) ?? 0) + 1;
      this.failuresOf.set(node, failures);
      const pauseMs = backoffMs(failures - 1, PAUSE_MS_FIRST, PAUSE_MS_MAX, clock);
      this.pausedUntilMs.set(node, clock.monotonicMs() + pauseMs);
      metrics.count('zepto_kafka_failures_total', { code: error.code }, 1);
      if (isWorthSaying(failures))
        logger.warn(
          { node, failures, code: error.code, error: error.message },
          'fetching failed, trying again',
        );
      // The broker may be gone for good, and its partitions elsewhere.
      await this.learnLayout();
    } finally {
      this.asking.delete(node);
      this.pump();
    }
    if (this.queue.length > 0) this.listener.arrived();
  }

  private receive(flow: Flow, answer: PartitionAnswer, request: number, wasFirst: boolean): void {
    if (answer.code !== KafkaCode.NONE) {
      this.refused(flow, answer.code);
      return;
    }
    this.parts.layout.seen(flow.topic);
    if (answer.records.length === 0) {
      flow.troubles = 0;
      return;
    }
    flow.servedAt = request;
    const batches: FetchedBatches = {
      topic: flow.topic,
      partition: flow.partition,
      fetchOffset: flow.fetchOffset,
      bytes: answer.records,
      aborted: answer.aborted,
      endOffset: answer.lastStableOffset,
    };
    const offsetNext = offsetAfter(answer.records, flow.fetchOffset);
    this.queue.push({ batches, wasFirst, flow, epoch: flow.epoch });
    this.heldBytes += answer.records.length;
    flow.fetchOffset = offsetNext;
    // Without a whole batch it is for the reader to say why, before the same bytes are fetched again.
    if (offsetNext === batches.fetchOffset) flow.notBeforeMs = Number.POSITIVE_INFINITY;
  }

  /** The broker has an error for this partition. */
  private refused(flow: Flow, code: number): void {
    flow.troubles++;
    this.postpone(flow);
    const context = { topic: flow.topic, partition: flow.partition, offset: flow.fetchOffset };
    if (code === KafkaCode.OFFSET_OUT_OF_RANGE) {
      if (flow.troubles >= TROUBLES_MAX) this.fail(offsetLost(flow));
    } else if (isPassing(code) && code !== KafkaCode.CORRUPT_MESSAGE) {
      if (isWorthSaying(flow.troubles))
        this.parts.logger.warn(
          { ...context, error: refusal(code, 'fetch').message },
          'a partition cannot be fetched yet, trying again',
        );
      void this.learnLayout();
    } else if (flow.troubles >= TROUBLES_MAX)
      this.fail(refusal(code, `fetch ${topicPartitionKey(flow)}`, context));
  }

  /** Who leads what, once more; then fetching goes on. */
  private async learnLayout(): Promise<void> {
    if (this.isLayoutAsked || this.closing.signal.aborted) return;
    this.isLayoutAsked = true;
    const { clock, layout, logger } = this.parts;
    try {
      await layout.refresh();
      const leaderless = [...this.flows.values()].filter(
        (flow) => layout.leaderOf(flow.topic, flow.partition) < 0,
      );
      if (leaderless.length === 0) this.layoutFailures = 0;
      else if (isWorthSaying(++this.layoutFailures))
        logger.warn(
          { partitions: leaderless.map(topicPartitionKey) },
          'partitions have no leader, waiting for one',
        );
    } catch (cause) {
      const error = asZeptoError(cause);
      if (this.patience.isFinal(error)) {
        this.fail(error);
        return;
      }
      if (isWorthSaying(++this.layoutFailures))
        logger.warn(
          { code: error.code, error: error.message },
          'the cluster cannot be asked for leaders, trying again',
        );
    } finally {
      // Asked at most so often, also while a partition stays without a leader.
      const pauseMs = backoffMs(this.layoutFailures, PAUSE_MS_FIRST, PAUSE_MS_MAX, clock);
      await clock.sleep(pauseMs, this.closing.signal).catch(() => {});
      this.isLayoutAsked = false;
      this.pump();
    }
  }

  // -- flows ---------------------------------------------------------------------------------------------

  /** Everything asked for or queued is void; the next fetch is at `offset`. */
  private restart(flow: Flow, offset: number): void {
    flow.epoch++;
    flow.position = offset;
    flow.fetchOffset = offset;
    if (flow.notBeforeMs === Number.POSITIVE_INFINITY) flow.notBeforeMs = 0;
    for (let at = this.queue.length - 1; at >= 0; at--) {
      const { flow: queued, batches } = this.queue[at]!;
      if (queued !== flow) continue;
      this.queue.splice(at, 1);
      this.heldBytes -= batches.bytes.length;
    }
  }

  private drop(key: string, flow: Flow): void {
    this.restart(flow, -1);
    this.flows.delete(key);
  }

  private postpone(flow: Flow): void {
    const { clock } = this.parts;
    flow.notBeforeMs =
      clock.monotonicMs() + backoffMs(flow.troubles - 1, PAUSE_MS_FIRST, PAUSE_MS_MAX, clock);
  }

  private fail(error: ZeptoError): void {
    if (this.closing.signal.aborted) return;
    this.stop();
    this.listener.failed(error);
  }
}

function newFlow(topic: string, partition: number): Flow {
  return {
    topic,
    partition,
    position: -1,
    fetchOffset: -1,
    epoch: 0,
    isPaused: false,
    troubles: 0,
    notBeforeMs: 0,
    servedAt: 0,
  };
}

const keyOf = ({ topic, partition }: TopicPartition): TopicPartition => ({ topic, partition });

/** 1, 2, 4, 8, …: a long outage does not fill the log. */
const isWorthSaying = (failures: number): boolean => (failures & (failures - 1)) === 0;

function cutForEver(flow: Flow, bytes: number): ZeptoError {
  const { topic, partition, position } = flow;
  return new ZeptoError(
    'RECORD_CORRUPT',
    'stop',
    `the record batch at offset ${position} of ${topicPartitionKey(flow)} claims more than the ${bytes} bytes that the broker sends of it`,
    { context: { topic, partition, offset: position } },
  );
}

function offsetLost(flow: Flow): ZeptoError {
  const { topic, partition, fetchOffset } = flow;
  return new ZeptoError(
    'OFFSET_LOST',
    'stop',
    `offset ${fetchOffset} of ${topicPartitionKey(flow)} is not in the topic any more: retention removed it, or the topic was made anew. ` +
      'Nothing was skipped. To go on at the earliest record that is left, and count what is missing, start with --on-data-loss earliest',
    { context: { topic, partition, offset: fetchOffset } },
  );
}
