// What: docs/invariants.md against the tests and the planted bugs that it names.
// Why: a list that drifts from the tests promises what nobody checks.
// Invariant: every row names a test that is there, and every planted bug belongs to an invariant.

import { existsSync, readFileSync } from 'node:fs';
import { join } from 'node:path';
import { describe, expect, it } from 'vitest';
import { mutants } from '../simulation/mutants.ts';

const root = join(import.meta.dirname, '..', '..');
const rows = readFileSync(join(root, 'docs/invariants.md'), 'utf8')
  .split('\n')
  .filter((line) => /^\| \d/.test(line))
  .map((line) => {
    const [, number, claim, file, name, planted] = line.split('|').map((cell) => cell.trim());
    const bugs = planted!.split(';').map((bug) => bug.trim());
    return { number: Number(number), claim: claim!, file: file!, name: name!, bugs: bugs.filter(Boolean) };
  });

describe('the list of invariants', () => {
  it('is numbered without a gap', () => {
    expect(rows.map(({ number }) => number)).toEqual(rows.map((_, index) => index + 1));
    expect(rows.length).toBeGreaterThan(15);
  });

  it('names tests that are there', () => {
    const absent = rows.filter(
      ({ file, name }) =>
        !existsSync(join(root, file)) || !readFileSync(join(root, file), 'utf8').includes(`'${name}'`),
    );
    expect(absent).toEqual([]);
  });

  it('has each planted bug once, and no other', () => {
    const listed = rows.flatMap(({ bugs }) => bugs);
    expect(listed.toSorted()).toEqual(mutants.map(({ name }) => name).toSorted());
  });

  it('is planted in code that is there, once', () => {
    const misplaced = mutants.filter(
      ({ file, find }) => readFileSync(join(root, file), 'utf8').split(find).length !== 2,
    );
    expect(misplaced.map(({ name }) => name)).toEqual([]);
  });
});
