// What: the live picture of the demo: rates, lag, what is in which tier, as a redrawn block or a line now and then.
// Why: a newcomer sees in ten seconds what the system does.
// Invariant: writes to standard error only: standard output belongs to the summary.

import type { EngineStats } from '../src/engine/engine.ts';

export interface Picture {
  readonly elapsedMs: number;
  readonly published: number;
  readonly stats: EngineStats;
  readonly totals: Readonly<Record<string, number>>;
}

const BAR_WIDTH = 30;

export class Progress {
  private readonly isTerminal: boolean;
  private readonly goal: number | null;
  private lines = 0;
  private last: { elapsedMs: number; published: number; consumed: number } | null = null;

  constructor(isTerminal: boolean, goal: number | null) {
    this.isTerminal = isTerminal;
    this.goal = goal;
  }

  show(picture: Picture): void {
    const partitions = picture.stats.shards.flatMap((shard) => shard.partitions);
    const consumed = picture.totals.zepto_kafka_messages_consumed_total ?? 0;
    const sum = (of: (one: (typeof partitions)[number]) => number): number =>
      partitions.reduce((total, one) => total + of(one), 0);
    const lag = sum((one) => Math.max(0, one.endOffset - one.position));
    const seconds = Math.max(0.001, (picture.elapsedMs - (this.last?.elapsedMs ?? 0)) / 1000);
    const rate = (now: number, before: number): string => `${count((now - before) / seconds)}/s`;
    const used = picture.stats.shards.reduce((total, shard) => total + shard.usedBytes, 0);
    const rows = {
      hot: sum((one) => one.rowsHot),
      sealed: picture.totals.zepto_ticks_stored_total ?? 0,
    };
    const text = [
      `  published  ${this.bar(picture.published)} ${count(picture.published)}  ${rate(picture.published, this.last?.published ?? 0)}`,
      `  consumed   ${this.bar(consumed)} ${count(consumed)}  ${rate(consumed, this.last?.consumed ?? 0)}  lag ${count(lag)}`,
      `  hot        ${count(rows.hot)} rows in memory, ${bytes(used)}`,
      `  sealed     ${count(rows.sealed)} rows in ${count(picture.totals.zepto_plans_committed_total ?? 0)} plans`,
      `  on S3      ${count(picture.totals.zepto_store_uploads_total ?? 0)} objects, ${bytes(picture.totals.zepto_store_upload_bytes_total ?? 0)}`,
    ];
    this.last = { elapsedMs: picture.elapsedMs, published: picture.published, consumed };
    if (this.isTerminal) {
      const up = this.lines > 0 ? `\x1b[${this.lines}A` : '';
      process.stderr.write(`${up}${text.map((line) => `\x1b[2K${line}\n`).join('')}`);
      this.lines = text.length;
    } else {
      process.stderr.write(
        `${(picture.elapsedMs / 1000).toFixed(0).padStart(4)} s  published ${count(picture.published)}  consumed ${count(consumed)}  lag ${count(lag)}  hot ${count(rows.hot)}  sealed ${count(rows.sealed)}  objects ${count(picture.totals.zepto_store_uploads_total ?? 0)}\n`,
      );
    }
  }

  private bar(value: number): string {
    if (this.goal === null) return '';
    const filled = Math.min(BAR_WIDTH, Math.round((value / this.goal) * BAR_WIDTH));
    return `${'█'.repeat(filled)}${'░'.repeat(BAR_WIDTH - filled)}`;
  }
}

export const count = (value: number): string => Math.round(value).toLocaleString('en-US');

export function bytes(value: number): string {
  if (value < 1024 * 1024) return `${(value / 1024).toFixed(0)} KiB`;
  return `${(value / 1024 / 1024).toFixed(1)} MiB`;
}
