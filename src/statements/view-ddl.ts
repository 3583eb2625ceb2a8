// What: CREATE and DROP MATERIALIZED VIEW → a change of the catalogue.
// Why: a view is declared once and held by every member, so its text goes into the catalogue as it is understood here.
// Invariant: the declared query names one table or view.

import type { Catalogue } from '../catalogue/catalogue.ts';
import { sourceOf } from '../query/view/view.ts';
import type { CreateView, DropView } from '../sql/ast.ts';
import { nodeError } from '../sql/errors.ts';
import { nearest } from '../sql/nearest.ts';
import { printQuery } from '../sql/print.ts';
import type { AskedChange } from './ddl.ts';

/** @throws ZeptoError SQL_* with position. */
export function askedViewChange(statement: CreateView | DropView, catalogue: Catalogue): AskedChange {
  const { name } = statement.view;
  const { tables, registered, views } = catalogue;
  if (statement.kind === 'drop-view') {
    if (statement.ifExists && !views.has(name))
      return unchanged(`Materialized view '${name}' does not exist`);
    return asked({ kind: 'drop-view', view: name }, `Materialized view '${name}' dropped`);
  }
  if (statement.ifNotExists && views.has(name))
    return unchanged(`Materialized view '${name}' exists already`);
  const option = statement.options[0];
  if (option !== undefined)
    throw nodeError('SQL_UNSUPPORTED', option.at, `a view has no option ${option.name}`);
  const source = sourceOf(statement.query);
  if (registered.has(source))
    throw nodeError(
      'SQL_UNSUPPORTED',
      statement.query.at,
      `'${source}' is a name for Parquet files, which change without a tick: a view is kept over ticks`,
    );
  if (!tables.has(source) && !views.has(source))
    throw nodeError('SQL_NAME', statement.query.at, `Table '${source}' does not exist`, {
      suggestion: nearest(source, [...tables.keys(), ...views.keys()]),
    });
  const view = { name, source, sql: printQuery(statement.query), topic: null };
  return asked(
    { kind: 'create-view', view, orReplace: statement.orReplace },
    `Materialized view '${name}' created`,
  );
}

const asked = (change: NonNullable<AskedChange['change']>, message: string): AskedChange => ({
  change,
  partitions: 0,
  message,
});
const unchanged = (message: string): AskedChange => ({ change: null, partitions: 0, message });
