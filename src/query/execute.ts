// What: a parsed query over a snapshot → its result, block by block.
// Why: the one way in: HTTP, views and tests run queries through it.
// Invariant: the snapshot is released exactly when the result has been read, closed or has failed.

import { ZeptoError } from '../kernel/errors.ts';
import { analyzeQuery } from '../sql/analyze.ts';
import type { Query, Statement, TableFunction, TableName, TableReference } from '../sql/ast.ts';
import type { Catalog, OutputColumn } from '../sql/scope.ts';
import { sourcesOf } from '../sql/sources.ts';
import { STRING } from '../sql/types.ts';
import { type Block, Columns, type Flow } from './block.ts';
import { catalogOf } from './catalog.ts';
import { explainPlan } from './explain.ts';
import { type FileColumns, filesOf, noFiles, pathsOf } from './files.ts';
import { planGroups, planQuery, type QueryPlan } from './plan.ts';
import { emptyStats, type QueryStats, type ResultBlock, type ResultSet } from './result.ts';
import { resultBlock } from './result-block.ts';
import { type ExecuteOptions, Run } from './run.ts';
import type { Snapshot } from './snapshot.ts';
import { runSubqueries } from './subqueries.ts';
import { describeTable, showQuery } from './system/show.ts';
import { textVector } from './vector.ts';
import { noViews } from './view/view.ts';

export type { ExecuteOptions } from './run.ts';

/**
 * Plans the statement and begins to run it: SELECT, SHOW, DESCRIBE and EXPLAIN; other statements are not queries.
 * @throws ZeptoError SQL_NAME, SQL_TYPE, SQL_UNSUPPORTED before a row is read; the snapshot is released then too.
 */
export async function execute(
  statement: Statement,
  snapshot: Snapshot,
  options: ExecuteOptions,
): Promise<ResultSet> {
  const stats = emptyStats();
  const run = new Run(snapshot, options, stats);
  try {
    if (statement.kind === 'describe') {
      const catalog = await catalogWith([statement.table], run);
      const described = describeTable(statement, catalog, options.clickhouseType ?? null);
      run.end();
      return described;
    }
    const explained = statement.kind === 'explain' ? statement.statement : statement;
    const { plan, columns } = await planned(await queryOf(explained, run), snapshot, run);
    if (statement.kind !== 'explain') return new Reading(columns, flowOf(plan, run), run);
    return new Reading([{ name: 'plan', type: STRING }], explainFlow(plan, run, statement.analyze), run);
  } catch (error) {
    run.end();
    throw error;
  }
}

async function queryOf(statement: Statement, run: Run): Promise<Query> {
  if (statement.kind === 'select') return statement.query;
  if (statement.kind === 'show')
    return showQuery(statement, await catalogWith(statement.table === null ? [] : [statement.table], run));
  throw new ZeptoError('SQL_UNSUPPORTED', 'stop', `${statement.kind} is not a query`, {
    context: { position: statement.at },
  });
}

/** Knows the columns of these tables if they are registered files. */
async function catalogWith(names: readonly TableName[], run: Run): Promise<Catalog> {
  const sources = names.map(
    (table): TableReference => ({
      ...{ kind: 'table', at: table.at, table },
      ...{ alias: null, sampleRatio: null },
    }),
  );
  return catalogFor(run, await filesFor(sources, run));
}

/** The signal, which is dear, is only made for a query that has files to wait for. */
async function filesFor(
  sources: readonly (TableReference | TableFunction)[],
  run: Run,
): Promise<FileColumns> {
  if (pathsOf(sources, run.options).size === 0) return noFiles;
  return filesOf(sources, run.options, run.signal);
}

function catalogFor(run: Run, files: FileColumns): Catalog {
  const { views, system, registered } = run.options;
  return catalogOf(run.snapshot.tables, files, views, system, registered);
}

async function planned(
  query: Query,
  snapshot: Snapshot,
  run: Run,
): Promise<{ plan: QueryPlan; columns: readonly OutputColumn[] }> {
  const files = await filesFor(sourcesOf(query), run);
  const { views = noViews, isViewRewriteOn = true, group = null, asParts = false } = run.options;
  const analysis = analyzeQuery(query, catalogFor(run, files));
  if (asParts) {
    const plan = planGroups(query, analysis, snapshot.tables);
    return { plan, columns: plan.root.types.map((type, i) => ({ name: String(i), type })) };
  }
  const plan = planQuery(
    query,
    analysis,
    snapshot.tables,
    views,
    // A view keeps groups of this member's rows.
    isViewRewriteOn && group === null ? views : noViews,
    group,
  );
  return { plan, columns: analysis.columns };
}

function* flowOf(plan: QueryPlan, run: Run): Flow {
  yield* runSubqueries(plan.subqueries, run);
  yield* plan.root.open(run);
}

function* explainFlow(plan: QueryPlan, run: Run, analyze: boolean): Flow {
  if (analyze) for (const item of flowOf(plan, run)) if (item instanceof Promise) yield item;
  const lines = explainPlan(plan, analyze ? run.stats : null);
  const codes = Uint32Array.from(lines, (line) => run.texts.codeOf(line));
  yield new Columns(lines.length, [textVector(codes)]);
}

/** A query that is read. As a class: generators that are made anew for each query fill the memory of old objects. */
class Reading implements ResultSet {
  readonly columns: readonly OutputColumn[];
  private readonly flow: Flow;
  private readonly run: Run;
  private isOpen = true;

  constructor(columns: readonly OutputColumn[], flow: Flow, run: Run) {
    this.columns = columns;
    this.flow = flow;
    this.run = run;
  }

  get stats(): QueryStats {
    return this.run.stats;
  }

  async next(): Promise<ResultBlock | null> {
    if (!this.isOpen) return null;
    try {
      for (;;) {
        const item = this.flow.next();
        if (item.done === true) {
          this.close();
          return null;
        }
        if (!(item.value instanceof Promise)) return this.counted(item.value);
        await item.value;
        if (!this.isOpen) return null;
      }
    } catch (error) {
      this.close();
      throw error;
    }
  }

  close(): void {
    if (!this.isOpen) return;
    this.isOpen = false;
    this.flow.return();
    this.run.end();
  }

  async *[Symbol.asyncIterator](): AsyncGenerator<ResultBlock> {
    try {
      for (let block = await this.next(); block !== null; block = await this.next()) yield block;
    } finally {
      this.close();
    }
  }

  private counted(made: Block): ResultBlock {
    const { stats, texts, options } = this.run;
    const block = resultBlock(made, this.columns.length, texts);
    stats.rowsReturned += block.rows;
    const { rowsMax } = options.limits;
    if (stats.rowsReturned > rowsMax)
      throw new ZeptoError(
        'LIMIT_EXCEEDED',
        'stop',
        `the result has more than ${rowsMax} rows (limit rowsMax): add a LIMIT`,
        { context: { limit: 'rowsMax', rowsMax } },
      );
    return block;
  }
}
