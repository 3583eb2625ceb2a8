// What: the error that a call must end with.
// Why: tests of error messages also check the code, the position and the suggestion.
// Invariant: anything but a ZeptoError fails the test.

import { ZeptoError } from '../../src/kernel/errors.ts';

export interface Refusal {
  readonly code: string;
  readonly position: number;
  readonly message: string;
  readonly line: unknown;
  readonly column: unknown;
  readonly expected: readonly string[];
  readonly suggestion: string | null;
}

export function refusalOf(call: () => unknown): Refusal {
  try {
    call();
  } catch (error) {
    if (!(error instanceof ZeptoError)) throw error;
    const { position, line, column, expected, suggestion } = error.context;
    return {
      code: error.code,
      position: position ?? -1,
      message: error.message,
      line,
      column,
      expected: (expected as string[] | undefined) ?? [],
      suggestion: (suggestion as string | undefined) ?? null,
    };
  }
  throw new Error('accepted, but should have been refused');
}
