// What: a plan as lines of text.
// Why: whoever wonders why a query is slow sees which steps it takes and what they read.
// Invariant: inputs stand below their operator, indented by two blanks.

import type { Operator } from './block.ts';
import type { QueryPlan } from './plan.ts';
import type { QueryStats } from './result.ts';

/** `stats`: of a run of the plan, for EXPLAIN ANALYZE. */
export function explainPlan(plan: QueryPlan, stats: QueryStats | null): string[] {
  const lines: string[] = [];
  plan.subqueries.forEach(({ operator }, i) => {
    lines.push(`Subquery ${i + 1}`);
    describe(operator, 1, lines);
  });
  describe(plan.root, 0, lines);
  if (stats !== null) {
    const { tiers } = stats;
    lines.push(
      `parts: ${stats.partsRead} read (${tiers.hot} hot, ${tiers.warm} warm, ${tiers.cold} cold), ${stats.partsPruned} pruned`,
      `rows: ${stats.rowsScanned} scanned, ${stats.rowsKnown} known without reading`,
    );
  }
  return lines;
}

function describe(operator: Operator, depth: number, lines: string[]): void {
  const details = operator.details();
  const shown = details.length === 0 ? '' : `: ${details.join('; ')}`;
  lines.push(`${'  '.repeat(depth)}${operator.label}${shown}`);
  for (const input of operator.inputs) describe(input, depth + 1, lines);
}
