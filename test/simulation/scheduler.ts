// What: one seeded source of chance and one queue of future events: the whole world's time.
// Why: a run is a function of its seed, so a violation found once can be found again.
// Invariant: events run one at a time, in order of time, then of scheduling; promises settle in between.

import type { Clock, Timer } from '../../src/kernel/clock.ts';

export class Chance {
  private state: number;

  constructor(seed: number) {
    this.state = (seed ^ 0x9e3779b9) >>> 0 || 1;
    for (let i = 0; i < 8; i++) this.next();
  }

  /** Uniform in [0, 1). */
  next(): number {
    let x = this.state;
    x ^= x << 13;
    x ^= x >>> 17;
    x ^= x << 5;
    this.state = x >>> 0;
    return this.state / 0x1_0000_0000;
  }

  /** Integer in [0, bound). */
  below(bound: number): number {
    return Math.floor(this.next() * bound);
  }

  happens(probability: number): boolean {
    return this.next() < probability;
  }

  pick<T>(items: readonly T[]): T {
    return items[this.below(items.length)]!;
  }
}

interface Event {
  readonly atMs: number;
  readonly order: number;
  readonly run: () => void;
}

export class Scheduler {
  nowMs: number;
  private readonly heap: Event[] = [];
  private order = 0;

  constructor(startMs: number) {
    this.nowMs = startMs;
  }

  after(delayMs: number, run: () => void): Timer {
    let isCancelled = false;
    this.push({ atMs: this.nowMs + delayMs, order: this.order++, run: () => isCancelled || run() });
    return {
      cancel: () => {
        isCancelled = true;
      },
    };
  }

  /** Runs events until `untilMs` of simulated time, or until none is left. */
  async runUntil(untilMs: number, checked: () => void): Promise<void> {
    for (;;) {
      const next = this.heap[0];
      if (next === undefined || next.atMs > untilMs) break;
      this.pop();
      this.nowMs = Math.max(this.nowMs, next.atMs);
      next.run();
      await settled();
      checked();
    }
    this.nowMs = untilMs;
  }

  private push(event: Event): void {
    const { heap } = this;
    let at = heap.push(event) - 1;
    while (at > 0) {
      const parent = (at - 1) >> 1;
      if (isBefore(heap[parent]!, event)) break;
      heap[at] = heap[parent]!;
      at = parent;
    }
    heap[at] = event;
  }

  private pop(): void {
    const { heap } = this;
    const last = heap.pop()!;
    if (heap.length === 0) return;
    let at = 0;
    for (;;) {
      let child = 2 * at + 1;
      if (child >= heap.length) break;
      if (child + 1 < heap.length && isBefore(heap[child + 1]!, heap[child]!)) child++;
      if (isBefore(last, heap[child]!)) break;
      heap[at] = heap[child]!;
      at = child;
    }
    heap[at] = last;
  }
}

const isBefore = (a: Event, b: Event): boolean => a.atMs < b.atMs || (a.atMs === b.atMs && a.order < b.order);

/** Every promise that can settle has settled: an immediate runs after all microtasks. */
const settled = (): Promise<void> => new Promise((resolve) => setImmediate(resolve));

/** The clock of one process in the simulated world: its timers stop when it is paused or dead, its wall clock may be wrong. */
export class ProcessClock implements Clock {
  isAlive = true;
  /** By how much the wall clock is ahead of the world's time; it may change at any moment. */
  skewMs = 0;
  private isPaused = false;
  private readonly held: (() => void)[] = [];
  private readonly scheduler: Scheduler;
  private readonly chance: Chance;

  constructor(scheduler: Scheduler, chance: Chance) {
    this.scheduler = scheduler;
    this.chance = chance;
  }

  nowMs(): number {
    return this.scheduler.nowMs + this.skewMs;
  }

  monotonicMs(): number {
    return this.scheduler.nowMs;
  }

  random(): number {
    return this.chance.next();
  }

  /** Something reaches the process: now, when it is continued, or never. */
  deliver(run: () => void): void {
    if (!this.isAlive) return;
    if (this.isPaused) this.held.push(run);
    else run();
  }

  after(delayMs: number, callback: () => void): Timer {
    return this.scheduler.after(delayMs, () => this.deliver(callback));
  }

  every(intervalMs: number, callback: () => void): Timer {
    let isCancelled = false;
    const again = (): void => {
      this.after(intervalMs, () => {
        if (isCancelled) return;
        callback();
        again();
      });
    };
    again();
    return {
      cancel: () => {
        isCancelled = true;
      },
    };
  }

  sleep(delayMs: number, signal?: AbortSignal): Promise<void> {
    return new Promise((resolve, reject) => {
      if (signal?.aborted) reject(signal.reason);
      const aborted = (): void => reject(signal!.reason);
      signal?.addEventListener('abort', aborted, { once: true });
      this.after(delayMs, () => {
        signal?.removeEventListener('abort', aborted);
        resolve();
      });
    });
  }

  pause(): void {
    this.isPaused = true;
  }

  resume(): void {
    this.isPaused = false;
    for (const run of this.held.splice(0))
      this.scheduler.after(this.chance.below(5), () => this.deliver(run));
  }

  kill(): void {
    this.isAlive = false;
    this.held.length = 0;
  }
}
