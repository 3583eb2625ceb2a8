// What: the set of rows of one Kafka partition that are sealed, as pairs (hour, offset).
// Why: rows seal by closed hour while later hours stay in memory, so one offset cannot say what is done.
// Invariant: offsetNext strictly increases and hourLast strictly decreases along a staircase: no step is dominated by another.

/** Seals all rows of a Kafka partition with offset < offsetNext and hour ≤ hourLast. */
export interface Step {
  /** Hours since 1970 UTC; Infinity seals every hour. */
  readonly hourLast: number;
  readonly offsetNext: number;
}

export type Staircase = readonly Step[];

/** Adds a step whose offset is at or above all others'; steps that it dominates drop out. */
export function climb(staircase: Staircase, step: Step): Staircase {
  return [...staircase.filter((other) => other.hourLast > step.hourLast), step];
}

/** Drops the steps that a committed offset makes superfluous: nothing below it is ever read again. */
export function prune(staircase: Staircase, committed: number): Staircase {
  return staircase.filter((step) => step.offsetNext > committed);
}

/**
 * The last hour that is sealed for a row at this offset; −Infinity when none is. A row is covered iff its hour is
 * at or below. (The first step above the offset has the highest hour of all steps above it.)
 */
export function hourCovered(staircase: Staircase, offset: number): number {
  for (const step of staircase) if (step.offsetNext > offset) return step.hourLast;
  return Number.NEGATIVE_INFINITY;
}

/** The offset up to which plans have looked: the S of the newest plan, or the committed offset when no step is above it. */
export function offsetPlanned(staircase: Staircase, committed: number): number {
  return staircase.at(-1)?.offsetNext ?? committed;
}

export function sameStaircase(a: Staircase, b: Staircase): boolean {
  return (
    a.length === b.length &&
    a.every((step, i) => step.hourLast === b[i]!.hourLast && step.offsetNext === b[i]!.offsetNext)
  );
}
