// What: CREATE and DROP MATERIALIZED VIEW → a change of the catalogue.
// Why: a view is declared once and held by every member, so its text goes into the catalogue as it is understood here.
// Invariant: the declared query names one table or view.

import type { Catalogue, ViewEntry } from '../catalogue/catalogue.ts';
import { suggestion } from '../kernel/nearest.ts';
import { publishedShape } from '../query/view/published.ts';
import { sourceOf } from '../query/view/view.ts';
import type { CreateView, DropView, Option } from '../sql/ast.ts';
import { nodeError } from '../sql/errors.ts';
import { nearest } from '../sql/nearest.ts';
import { printQuery } from '../sql/print.ts';
import { TOPIC_NAME } from './create-table.ts';
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
  const topic = topicOf(statement.options);
  const view = { name, source, sql: printQuery(statement.query), topic };
  if (topic !== null) checkPublished(view, statement, catalogue);
  return asked(
    { kind: 'create-view', view, orReplace: statement.orReplace },
    `Materialized view '${name}' created${topic === null ? '' : `, published to ${topic}`}`,
  );
}

function topicOf(options: readonly Option[]): string | null {
  let topic: string | null = null;
  for (const { at, name, value } of options) {
    if (name.toLowerCase() !== 'topic')
      throw nodeError('SQL_UNSUPPORTED', at, `a view has no option ${name}${suggestion(name, ['topic'])}`);
    if (value.kind !== 'string' || !TOPIC_NAME.test(value.value))
      throw nodeError('SQL_TYPE', value.at, 'topic: the name of a Kafka topic is expected');
    topic = value.value;
  }
  return topic;
}

/** @throws ZeptoError SQL_* with position */
function checkPublished(view: ViewEntry, { at }: CreateView, { tables }: Catalogue): void {
  const source = tables.get(view.source);
  if (source === undefined)
    throw nodeError(
      'SQL_UNSUPPORTED',
      at,
      `'${view.source}' is a view: publish a view over the table that it reads`,
    );
  publishedShape(view, source.table);
}

const asked = (change: NonNullable<AskedChange['change']>, message: string): AskedChange => ({
  change,
  partitions: 0,
  message,
});
const unchanged = (message: string): AskedChange => ({ change: null, partitions: 0, message });
