// What: Polars in a process of its own, holding the rows of the query benchmark, asked one question after the other.
// Why: a baseline in the same run, with its data in memory before anything is timed.
// Invariant: its threads sleep while the others are measured; it ends with the benchmark.

import { spawn } from 'node:child_process';
import { once } from 'node:events';
import { createInterface } from 'node:readline';
import { reportToStderr } from '../../services/errors.ts';
import { pythonWith } from '../../services/python.ts';
import { inRepository } from '../in-repository.ts';

export interface PolarsAnswer {
  /** Median. */
  readonly ms: number;
  readonly rows: readonly (readonly unknown[])[];
}

export interface Polars {
  ask(name: string, rounds: number): Promise<PolarsAnswer>;
  close(): void;
}

/** `world`: what polars-query.py makes its frames of. */
export async function startPolars(world: Readonly<Record<string, unknown>>): Promise<Polars> {
  const python = await pythonWith(['polars==2.1.0'], reportToStderr);
  const script = inRepository('bench/micro/polars-query.py');
  const child = spawn(python, [script, JSON.stringify(world)], { stdio: ['pipe', 'pipe', 'inherit'] });
  const lines = createInterface({ input: child.stdout });
  const ended = once(child, 'exit').then(([code]) => {
    throw new Error(`Polars ended with ${code}`);
  });
  ended.catch(() => {});
  const line = async (): Promise<string> => {
    const [text] = (await Promise.race([once(lines, 'line'), ended])) as [string];
    return text;
  };
  await line();
  return {
    async ask(name, rounds) {
      child.stdin.write(`${JSON.stringify({ name, rounds })}\n`);
      return JSON.parse(await line()) as PolarsAnswer;
    },
    close: () => child.kill(),
  };
}
