// What: one parsed statement → its result, whatever its kind.
// Why: the query thread deals in results; which kinds read, change the catalogue or write is decided here.
// Invariant: what is refused is refused before anything is read or written; the role is checked on the parsed statement.

import type { Catalogue } from '../catalogue/catalogue.ts';
import type { StatementRequest } from '../http-port.ts';
import { ZeptoError } from '../kernel/errors.ts';
import type { OutgoingTicks, TableSource, TickSink } from '../ports.ts';
import { catalogOf } from '../query/catalog.ts';
import { execute } from '../query/execute.ts';
import { columnsAt, filesOf } from '../query/files.ts';
import { plainResult } from '../query/plain-result.ts';
import type { ResultBlock, ResultSet } from '../query/result.ts';
import { type ExecuteOptions, stopCheck } from '../query/run.ts';
import type { Snapshot } from '../query/snapshot.ts';
import { accessOf } from '../sql/access.ts';
import type { Insert, ParsedStatement, Statement } from '../sql/ast.ts';
import { excerpt, nodeError } from '../sql/errors.ts';
import { nearest } from '../sql/nearest.ts';
import { sourcesOf } from '../sql/sources.ts';
import { INT64, STRING } from '../sql/types.ts';
import { type AskedChange, askedChange, requireAlterable } from '../statements/ddl.ts';
import { encodeTicks } from '../statements/encode-ticks.ts';
import { insertQuery } from '../statements/insert-query.ts';
import { policyPlan } from '../statements/policy-plan.ts';
import { askedViewChange } from '../statements/view-ddl.ts';
import type { Caller } from './calls.ts';
import { blocksOfData, INSERT_ROWS_MAX } from './insert-data.ts';
import type { MainCalls } from './main-calls.ts';
import type { ViewKeeper } from './view-keeper.ts';

export interface StatementParts {
  readonly catalogue: () => Catalogue;
  readonly snapshot: () => Promise<Snapshot>;
  readonly main: Caller<MainCalls>;
  readonly sink: () => TickSink;
  readonly nowMs: () => number;
  readonly views: ViewKeeper;
}

export async function answer(
  { statement, format }: ParsedStatement,
  request: StatementRequest,
  options: ExecuteOptions,
  parts: StatementParts,
): Promise<ResultSet> {
  requireRole(statement, request);
  switch (statement.kind) {
    case 'explain':
      if (statement.statement.kind === 'alter-table') {
        requireAlterable(statement.statement, parts.catalogue());
        return policyPlan(statement.statement, await parts.snapshot(), parts.nowMs());
      }
      return execute(statement, await parts.snapshot(), options);
    case 'select':
      return execute(statement, await parts.snapshot(), options);
    case 'show':
    case 'describe':
      return execute(statement, await parts.snapshot(), options);
    case 'create-table':
    case 'drop-table':
    case 'alter-table': {
      const asked = askedChange(statement, parts.catalogue());
      // A name for nothing that can be read is refused here, by what the first query would say.
      if (asked.change?.kind === 'register-parquet')
        await columnsAt(asked.change.path, options, signalOf(options));
      return changed(asked, statement.at, parts);
    }
    case 'insert': {
      const inserted = await insert(statement, format, request, options, parts);
      return plainResult([{ name: 'inserted', type: INT64 }], [[BigInt(inserted)]]);
    }
    case 'create-view':
    case 'drop-view': {
      const asked = askedViewChange(statement, parts.catalogue());
      if (asked.change?.kind === 'create-view') await parts.views.admit(asked.change.view, parts.catalogue());
      return changed(asked, statement.at, parts);
    }
    case 'update':
    case 'delete':
      throw new ZeptoError(
        'SQL_UNSUPPORTED',
        'stop',
        `${statement.kind.toUpperCase()} is refused: the log is append-only, and every tick stays as it came. ` +
          'Publish a correcting tick, or let old ones go by ALTER TABLE … SET STORAGE POLICY … DROP n DAYS',
        { context: { position: statement.at } },
      );
  }
}

const signalOf = ({ signal }: ExecuteOptions): AbortSignal => signal ?? new AbortController().signal;

async function changed(
  { change, partitions, message }: AskedChange,
  at: number,
  parts: StatementParts,
): Promise<ResultSet> {
  if (change !== null) {
    const refusal = await parts.main.call('change', { change, partitions });
    if (refusal !== null)
      throw new ZeptoError('CATALOG_CONFLICT', 'stop', refusal, { context: { position: at } });
  }
  return plainResult([{ name: 'result', type: STRING }], [[message]]);
}

function requireRole(statement: Statement, request: StatementRequest): void {
  const access = accessOf(statement);
  const isAllowed = access === 'read' || (access === 'write' ? request.mayWrite : request.mayAdminister);
  if (isAllowed) return;
  throw new ZeptoError(
    'UNAUTHORIZED',
    'stop',
    `${access.toUpperCase()} permission required for SQL statement (and POST: a GET only reads)`,
  );
}

/** Rows written, all of them visible here unless other members hold some. */
async function insert(
  statement: Insert,
  format: string | null,
  request: StatementRequest,
  options: ExecuteOptions,
  parts: StatementParts,
): Promise<number> {
  const source = tableOf(statement, parts.catalogue());
  const check = stopCheck(options);
  const { columns, blocks } = await rowsToInsert(statement, format, request, options, parts, source);
  const pieces: OutgoingTicks[] = [];
  let rows = 0;
  let bytes = 0;
  for await (const block of blocks) {
    check();
    const piece = encodeTicks(source, columns, block);
    pieces.push(piece);
    rows += piece.count;
    bytes += piece.bytes.length + piece.ends.byteLength;
    requireHeld(rows, bytes, options);
    // Others of this thread have their turn.
    await new Promise(setImmediate);
  }
  check();
  if (rows === 0) return 0;
  const { topic } = source;
  const ends = await parts.sink().send(topic, pieces);
  await parts.main.call('visible', { topic, ends });
  return rows;
}

/** Nothing is sent before all rows are known to fit, so that all of them are in memory. */
function requireHeld(rows: number, bytes: number, { limits: { bytesMax } }: ExecuteOptions): void {
  if (rows <= INSERT_ROWS_MAX && bytes <= bytesMax) return;
  const most =
    rows > INSERT_ROWS_MAX ? `${INSERT_ROWS_MAX} rows` : `${bytesMax} bytes of messages (limit bytesMax)`;
  throw new ZeptoError('LIMIT_EXCEEDED', 'stop', `an INSERT writes at most ${most}: send several`);
}

function tableOf({ table: { at, name } }: Insert, { tables, registered, views }: Catalogue): TableSource {
  const source = tables.get(name);
  if (source !== undefined) return source;
  if (registered.has(name))
    throw nodeError('SQL_UNSUPPORTED', at, `'${name}' is a name for Parquet files, which are only read`);
  if (views.has(name))
    throw nodeError('SQL_NAME', at, `'${name}' is a view: insert into the table that it reads`);
  const suggestion = nearest(name, [...tables.keys()]);
  throw nodeError('SQL_NAME', at, `Table '${name}' does not exist`, { suggestion });
}

interface Rows {
  /** For each column of the blocks, its index in the table. */
  readonly columns: readonly number[];
  readonly blocks: AsyncIterable<ResultBlock>;
}

async function rowsToInsert(
  statement: Insert,
  format: string | null,
  request: StatementRequest,
  options: ExecuteOptions,
  parts: StatementParts,
  { table }: TableSource,
): Promise<Rows> {
  if (statement.query === null) {
    if (request.data === null)
      throw new ZeptoError(
        'SQL_SYNTAX',
        'stop',
        'INSERT: the rows are missing: VALUES (…), a query, or FORMAT with a body',
      );
    const names = table.columns.map(({ name }) => name);
    const unknown = statement.columns.find((name) => !names.includes(name));
    // The values that stand under it would be left out in silence.
    if (unknown !== undefined)
      throw nodeError(
        'SQL_NAME',
        statement.table.at,
        `unknown column ${excerpt(unknown)} in ${excerpt(table.name)}`,
        { suggestion: nearest(unknown, names) },
      );
    const listed = statement.columns;
    const blocks = blocksOfData(
      format ?? 'JSONEachRow',
      request.data,
      table,
      listed,
      parts.nowMs(),
      options.limits.bytesMax,
    );
    return { columns: table.columns.map((_, index) => index), blocks };
  }
  const snapshot = await parts.snapshot();
  let made: ReturnType<typeof insertQuery>;
  try {
    const { views, system, registered } = options;
    const files = await filesOf(sourcesOf(statement.query), options, signalOf(options));
    const catalog = catalogOf(snapshot.tables, files, views, system, registered);
    const target = catalog.table(statement.table)!;
    made = insertQuery(statement, statement.query, target, catalog);
  } catch (error) {
    snapshot.release();
    throw error;
  }
  const { query, columns } = made;
  const blocks = await execute({ kind: 'select', at: statement.at, query }, snapshot, options);
  return { columns, blocks };
}
