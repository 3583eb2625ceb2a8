// What: what publishing a view takes to know: its time bucket and the columns that tell its groups apart.
// Why: a bucket is published when it has closed, and a later value of it must replace the earlier one by its key.
// Invariant: two groups of a view differ in the columns of the key.

import type { TableSchema } from '../../columns/types.ts';
import { analyzeQuery } from '../../sql/analyze.ts';
import type { Select } from '../../sql/ast.ts';
import { nodeError } from '../../sql/errors.ts';
import { printExpression } from '../../sql/print-expression.ts';
import { catalogOf } from '../catalog.ts';
import { bucketOf } from '../kernels/match.ts';
import { Planner } from '../plan.ts';
import { tableOf } from '../table-parts.ts';
import { queryOfView, type ViewDeclaration } from './view.ts';

/** A bucket b covers event times [b, b + stepNs); b − originNs is a multiple of stepNs. */
export interface Buckets {
  readonly stepNs: bigint;
  readonly originNs: bigint;
}

export interface PublishedShape extends Buckets {
  /** Columns of the view, by index: the bucket, and all keys with it. */
  readonly bucket: number;
  readonly keys: readonly number[];
}

/** @throws ZeptoError SQL_UNSUPPORTED with position: the view cannot be published; SQL_*: it does not fit the table. */
export function publishedShape(declaration: ViewDeclaration, schema: TableSchema): PublishedShape {
  const query = queryOfView(declaration);
  const tables = new Map([[schema.name, tableOf(schema, [])]]);
  const planner = new Planner(analyzeQuery(query, catalogOf(tables, new Map())), tables);
  const select = query.body as Select;
  const { items, groupKeys } = planner.analysis.selects.get(select)!;
  const shown = items.map(({ expression }) => printExpression(expression));
  const keys = groupKeys.map((key) => {
    const column = shown.indexOf(printExpression(key));
    if (column < 0)
      throw nodeError(
        'SQL_UNSUPPORTED',
        key.at,
        `a view that is published shows all that it groups by: ${printExpression(key)} is missing from its SELECT`,
      );
    return column;
  });
  const buckets = groupKeys.map((key) => bucketOf(key, schema, (e) => planner.tableColumn(e)));
  const at = buckets.findIndex((bucket) => bucket !== null);
  if (at < 0)
    throw nodeError(
      'SQL_UNSUPPORTED',
      select.at,
      'a view that is published groups by a bucket of the event time, such as xbar(timestamp, 1m): without one nothing of it ever closes',
    );
  return { ...buckets[at]!, bucket: keys[at]!, keys };
}
