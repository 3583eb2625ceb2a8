// What: one seed run to its result, whatever goes wrong inside it.
// Why: processes, the command and the mutants all count the same things.
// Invariant: an exception that nobody awaited is a violation of the seed that was running.

import { simulate } from './run.ts';

export interface SeedResult {
  readonly seed: number;
  readonly violations: readonly string[];
}

export async function runSeed(seed: number, trace: ((line: string) => void) | null): Promise<SeedResult> {
  const stray: string[] = [];
  const note = (error: unknown): void => {
    stray.push(`uncaught: ${error instanceof Error ? (error.stack ?? error.message) : String(error)}`);
  };
  process.on('uncaughtException', note);
  process.on('unhandledRejection', note);
  try {
    const { violations } = await simulate(seed, trace);
    return { seed, violations: [...violations, ...stray] };
  } catch (error) {
    note(error);
    return { seed, violations: stray };
  } finally {
    process.off('uncaughtException', note);
    process.off('unhandledRejection', note);
  }
}
