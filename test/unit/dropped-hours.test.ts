// What: a policy whose DROP is taken away, or put later, after it has deleted objects.
// Why: manifests are never rewritten, and go on naming what was deleted: counted, and a query that reads it fails.
// Invariant: what was dropped is in no answer any more, and everything else is.

import { expect, it } from 'vitest';
import {
  applyChange,
  type Catalogue,
  droppedHours,
  initialCatalogue,
} from '../../src/catalogue/catalogue.ts';
import { deletedHour, droppedHour } from '../../src/columns/storage-policy.ts';
import type { AlterTable, CreateTable, DropTable } from '../../src/sql/ast.ts';
import { parseStatement } from '../../src/sql/parser.ts';
import { askedChange } from '../../src/statements/ddl.ts';
import { sealedScene, segment } from '../support/sealed-scene.ts';
import { HOUR } from '../support/segment-rows.ts';

const HOUR_MS = 3_600_000;
const CREATE = 'CREATE TABLE trades (timestamp TIMESTAMP, symbol SYMBOL, id INT64)';

/** The statements `hours` after HOUR. */
const changed = (catalogue: Catalogue, hours: number, statements: readonly string[]): Catalogue =>
  statements.reduce((before, sql) => {
    const statement = parseStatement(sql).statement as CreateTable | AlterTable | DropTable;
    const { change } = askedChange(statement, before);
    const applied = applyChange(before, change!, new Set(), (HOUR + hours) * HOUR_MS);
    expect(applied.refusal).toBeNull();
    return applied.catalogue;
  }, catalogue);

it.each([
  ['a DROP that is put later', ['ALTER TABLE trades SET TTL 7 DAYS']],
  ['a policy without DROP', ['ALTER TABLE trades SET STORAGE POLICY COLD 9 DAYS']],
  ['its table being dropped and made anew', ['DROP TABLE trades', CREATE]],
])('what a policy has dropped stays gone, and the rest is answered, after %s', async (_, statements) => {
  const { seal, drop, answer } = sealedScene();
  await seal(4, 0, [segment(0, [1n, 2n, 3n]), segment(40, [4n])]);
  let catalogue = changed(initialCatalogue([]), 0, [CREATE, 'ALTER TABLE trades SET TTL 24 HOURS']);
  const answersAt = async (hours: number): Promise<unknown> => {
    const dropped = droppedHours(catalogue, (HOUR + hours) * HOUR_MS);
    return [
      await answer('SELECT count(*) FROM trades', 4, dropped),
      await answer('SELECT sum(id) FROM trades', 4, dropped),
    ];
  };
  expect(await answersAt(20)).toEqual([[4n], [10n]]);
  expect(await drop(4, droppedHours(catalogue, (HOUR + 50) * HOUR_MS).get('trades')!)).toBe(1);
  expect(await answersAt(50)).toEqual([[1n], [4n]]);
  catalogue = changed(catalogue, 50, statements);
  expect(await answersAt(51)).toEqual([[1n], [4n]]);
  // What is late for a dropped hour is dropped too.
  await seal(5, 4, [segment(0, [5n])]);
  expect(await answersAt(51)).toEqual([[1n], [4n]]);
});

it('what may be deleted has been in no answer for a minute, whatever a change of the policy says meanwhile', () => {
  const policy = { hotMinutes: null, warmMinutes: null, coldMinutes: null, dropMinutes: 24 * 60 };
  const comesOfAgeMs = (HOUR + 24) * HOUR_MS;
  expect(droppedHour(policy, undefined, comesOfAgeMs - 1)).toBe(HOUR - 1);
  expect(droppedHour(policy, undefined, comesOfAgeMs)).toBe(HOUR);
  expect(deletedHour(policy, undefined, comesOfAgeMs + 59_999)).toBe(HOUR - 1);
  expect(deletedHour(policy, undefined, comesOfAgeMs + 60_000)).toBe(HOUR);
  expect(deletedHour(undefined, HOUR, 0)).toBe(HOUR);
});
