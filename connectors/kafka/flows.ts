// What: the partitions that a member owns: where each stands, what was fetched ahead of it, and whether that still counts.
// Why: rebalances, pauses and seeks make fetched records void at any moment; that is decided here, without I/O.
// Invariant: what is taken from the queue begins exactly at its partition's position; everything else was thrown away.

import { assert } from '../../src/kernel/assert.ts';
import { ZeptoError } from '../../src/kernel/errors.ts';
import { type TopicPartition, topicPartitionKey } from '../../src/ports.ts';
import type { FetchedBatches } from './record-batch.ts';

/** An owned partition. */
export interface Flow extends TopicPartition {
  readonly key: string;
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

/** A response whose shares are read one by one: it is released after the last. */
export class SharedAnswer {
  private readonly release: () => void;
  /** The first is of whoever hands the shares out. */
  private shares = 1;

  constructor(release: () => void) {
    this.release = release;
  }

  share(): void {
    this.shares++;
  }

  end(): void {
    if (--this.shares === 0) this.release();
  }
}

/** One partition's share of a response, in the queue or being read. */
export interface Fetched {
  readonly flow: Flow;
  /** Of the flow when it was asked for. */
  readonly epoch: number;
  readonly batches: FetchedBatches;
  /** Whether the broker owed this partition a whole batch. */
  readonly wasFirst: boolean;
  readonly answer: SharedAnswer;
}

export class Flows {
  private readonly flows = new Map<string, Flow>();
  private readonly queue: Fetched[] = [];
  /** Of what is queued, and of what was taken and is not yet released. */
  heldBytes = 0;
  /** Between an assignment and the positions for it: nothing is asked for and nothing is taken. */
  isHeld = true;

  values(): Iterable<Flow> {
    return this.flows.values();
  }

  get hasQueued(): boolean {
    return this.queue.length > 0;
  }

  // -- what the member owns ------------------------------------------------------------------------------

  /** These partitions and no others, none of them paused; held until `begin`. What stays keeps what is queued. */
  assign(partitions: readonly TopicPartition[]): void {
    this.isHeld = true;
    const wanted = new Map(partitions.map((partition) => [topicPartitionKey(partition), partition]));
    for (const flow of this.flows.values()) {
      flow.isPaused = false;
      if (!wanted.has(flow.key)) this.drop(flow);
    }
    for (const [key, partition] of wanted)
      if (!this.flows.has(key)) this.flows.set(key, newFlow(key, partition));
  }

  /** @throws ZeptoError INTERNAL when a partition has no position. */
  begin(positions: ReadonlyMap<string, number>): void {
    for (const flow of this.flows.values()) {
      const wanted = positions.get(flow.key);
      if (wanted === undefined || !Number.isSafeInteger(wanted) || wanted < 0)
        throw new ZeptoError('INTERNAL', 'stop', `no position for ${flow.key}: ${wanted}`, {
          context: { topic: flow.topic, partition: flow.partition },
        });
      if (flow.position !== wanted) this.restart(flow, wanted);
    }
    this.isHeld = false;
  }

  /** Nothing is owned. */
  clear(): void {
    this.isHeld = true;
    for (const flow of this.flows.values()) this.drop(flow);
  }

  /** What is queued is thrown away: it would hold its memory for as long as the pause lasts. */
  pause(partitions: readonly TopicPartition[]): void {
    for (const flow of this.those(partitions)) {
      if (flow.isPaused) continue;
      flow.isPaused = true;
      this.restart(flow, flow.position);
    }
  }

  resume(partitions: readonly TopicPartition[]): void {
    for (const flow of this.those(partitions)) flow.isPaused = false;
  }

  seek(partition: TopicPartition, offset: number): void {
    for (const flow of this.those([partition])) this.restart(flow, offset);
  }

  private *those(partitions: readonly TopicPartition[]): Iterable<Flow> {
    for (const partition of partitions) {
      const flow = this.flows.get(topicPartitionKey(partition));
      if (flow !== undefined) yield flow;
    }
  }

  // -- what was fetched ----------------------------------------------------------------------------------

  /** Appends what was fetched at the flow's `fetchOffset`; `offsetNext` is past its last whole batch. */
  enqueue(
    flow: Flow,
    batches: FetchedBatches,
    offsetNext: number,
    wasFirst: boolean,
    answer: SharedAnswer,
  ): void {
    answer.share();
    this.queue.push({ flow, epoch: flow.epoch, batches, wasFirst, answer });
    this.heldBytes += batches.bytes.length;
    flow.fetchOffset = offsetNext;
  }

  /** The next share to read; null while there is none, or none may be read. To be followed by `release`. */
  take(): Fetched | null {
    const fetched = this.isHeld ? undefined : this.queue.shift();
    if (fetched === undefined) return null;
    const { flow, batches } = fetched;
    assert(
      batches.fetchOffset === flow.position,
      `${flow.key} goes on at ${batches.fetchOffset}, not at its position ${flow.position}`,
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

  /** Reading has ended. Of what was not read to its end, the rest is asked for again. */
  release({ flow, epoch, batches, answer }: Fetched, isRead: boolean): void {
    this.heldBytes -= batches.bytes.length;
    answer.end();
    if (!isRead && flow.epoch === epoch) this.restart(flow, flow.position);
  }

  /** Everything asked for or queued is void; the next fetch is at `offset`. */
  private restart(flow: Flow, offset: number): void {
    flow.epoch++;
    flow.position = offset;
    flow.fetchOffset = offset;
    if (flow.notBeforeMs === Number.POSITIVE_INFINITY) flow.notBeforeMs = 0;
    for (let at = this.queue.length - 1; at >= 0; at--) {
      const { flow: its, batches, answer } = this.queue[at]!;
      if (its !== flow) continue;
      this.heldBytes -= batches.bytes.length;
      answer.end();
      this.queue.splice(at, 1);
    }
  }

  private drop(flow: Flow): void {
    this.restart(flow, -1);
    this.flows.delete(flow.key);
  }
}

function newFlow(key: string, { topic, partition }: TopicPartition): Flow {
  return {
    key,
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
