// What: the rules of a storage policy.
// Why: tiers out of order would drop rows before they are uploaded.
// Invariant: strictly rising ages in the order HOT, WARM, COLD, DROP.

import { describe, expect, test } from 'vitest';
import type { PolicyRule } from '../../src/sql/ast.ts';
import { parseStatement } from '../../src/sql/parser.ts';
import { storagePolicy } from '../../src/sql/storage-policy.ts';
import { refusalOf } from '../support/sql-refusal.ts';

const prefix = 'ALTER TABLE t SET STORAGE POLICY ';

function rulesOf(text: string): readonly PolicyRule[] {
  const { statement } = parseStatement(prefix + text);
  if (statement.kind !== 'alter-table' || statement.action.kind !== 'set-storage-policy')
    throw new Error('not a policy');
  return statement.action.rules;
}

describe('storage policy', () => {
  test('ages are minutes; hours when no unit is given; any subset in any written order', () => {
    expect(storagePolicy(rulesOf('HOT 1 HOURS WARM 24 HOURS COLD 30 DAYS DROP 365 DAYS'))).toEqual({
      hotMinutes: 60,
      warmMinutes: 1_440,
      coldMinutes: 43_200,
      dropMinutes: 525_600,
    });
    expect(storagePolicy(rulesOf('COLD 2 HOT 90 MINUTE'))).toEqual({
      hotMinutes: 90,
      warmMinutes: null,
      coldMinutes: 120,
      dropMinutes: null,
    });
  });

  test.each([
    ['HOT 2 ^WARM 1', 'WARM 1 HOURS must come after HOT 2 HOURS'],
    ['COLD 30 DAYS ^DROP 30 DAYS', 'DROP 30 DAYS must come after COLD 30 DAYS'],
    ['HOT 1 ^DROP 59 MINUTES', 'DROP 59 MINUTES must come after HOT 1 HOURS'],
    ['WARM 1 ^COLD 1 WARM 2'.replace('^COLD 1 WARM', 'COLD 5 ^WARM'), 'WARM is there twice'],
    ['^HOT 0', 'HOT needs an age above zero'],
  ])('%s', (marked, message) => {
    const error = refusalOf(() => storagePolicy(rulesOf(marked.replace('^', ''))));
    expect(error).toMatchObject({ code: 'SQL_SYNTAX', position: prefix.length + marked.indexOf('^') });
    expect(error.message).toContain(message);
  });

  test('an empty policy is refused', () => {
    expect(refusalOf(() => storagePolicy([])).message).toContain('at least one');
  });
});
