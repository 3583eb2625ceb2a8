// What: how a benchmark tells its figures: JSON lines, or a short table line for people; the machine first.
// Why: a figure without its machine, Node version and data set says nothing.
// Invariant: each line is one figure with all that is needed to read it; medians are of all runs that were made.

import { cpus, loadavg, totalmem } from 'node:os';

export type Figures = Readonly<Record<string, string | number | boolean | null>>;

export interface BenchOptions {
  /** How often each case is measured; the median is told. Undefined: the benchmark's own choice. */
  readonly runs?: number;
  readonly records?: number;
  readonly minutes?: number;
  /** Names of cases; undefined: all. */
  readonly only?: readonly string[];
  print(figures: Figures): void;
}

export function machine(): Figures {
  return {
    cpu: cpus()[0]?.model.trim() ?? 'unknown',
    cores: cpus().length,
    memoryMib: Math.round(totalmem() / 2 ** 20),
    load1m: Number(loadavg()[0]!.toFixed(1)),
    node: process.version,
    platform: `${process.platform} ${process.arch}`,
  };
}

/** For --json; else `name: value` pairs, one line per case. */
export function printer(isJson: boolean): (figures: Figures) => void {
  if (isJson) return (figures) => process.stdout.write(`${JSON.stringify(figures)}\n`);
  return (figures) => {
    const { case: name, ...rest } = figures;
    const pairs = Object.entries(rest).map(([key, value]) => `${key} ${told(value)}`);
    process.stdout.write(`${name === undefined ? '' : `${String(name).padEnd(28)} `}${pairs.join(' · ')}\n`);
  };
}

function told(value: Figures[string]): string {
  if (typeof value !== 'number' || Math.abs(value) < 10_000) return String(value);
  return Math.round(value).toLocaleString('en-US');
}

export function median(values: readonly number[]): number {
  const sorted = [...values].sort((a, b) => a - b);
  const middle = sorted.length >> 1;
  return sorted.length % 2 === 1 ? sorted[middle]! : (sorted[middle - 1]! + sorted[middle]!) / 2;
}

/** Field by field, of figures that are numbers in all runs; a field that is null in one is null. */
export function medians<Key extends string>(
  runs: readonly Readonly<Record<Key, number | null>>[],
): Record<Key, number | null> {
  const keys = Object.keys(runs[0]!) as Key[];
  return Object.fromEntries(
    keys.map((key) => {
      const values = runs.map((run) => run[key]);
      return [key, values.includes(null) ? null : rounded(median(values as number[]))];
    }),
  ) as Record<Key, number | null>;
}

/** Three decimals below 100, none above. */
function rounded(value: number): number {
  return Math.abs(value) < 100 ? Math.round(value * 1e3) / 1e3 : Math.round(value);
}
