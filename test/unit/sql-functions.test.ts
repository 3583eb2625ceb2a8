// What: the registry of functions is sound, and docs/sql.md tells of each.
// Why: executors, views and the documentation trust it blindly.
// Invariant: one meaning for each name.

import { readFileSync } from 'node:fs';
import { describe, expect, test } from 'vitest';
import { functionByName, functionNames, functions } from '../../src/sql/functions.ts';
import { quoteName } from '../../src/sql/keywords.ts';

describe('functions', () => {
  test('no name or alias is there twice, and none needs quotes', () => {
    const names = functions.flatMap((spec) => [spec.name, ...spec.aliases]);
    expect(new Set(names).size).toBe(names.length);
    expect(functionNames).toEqual(expect.arrayContaining(names));
    for (const name of names) expect(quoteName(name)).toBe(name.toLowerCase());
    for (const spec of functions) expect(functionByName(spec.name)).toBe(spec);
  });

  test('arities, constants and result rules refer to arguments that exist', () => {
    for (const spec of functions) {
      expect(spec.required, spec.name).toBeLessThanOrEqual(spec.args.length);
      for (const index of Object.keys(spec.constants))
        expect(Number(index), spec.name).toBeLessThan(spec.args.length);
      if (spec.result === 'first' || spec.result === 'sum')
        expect(spec.required, spec.name).toBeGreaterThan(0);
      if (spec.result === 'common') expect(spec.args, spec.name).toContain('common');
      if (spec.variadic) expect(spec.args.length, spec.name).toBeGreaterThan(0);
      if (spec.kind !== 'aggregate')
        expect(spec.incremental || spec.distinct || spec.windowJoinOnly, spec.name).toBe(false);
    }
  });

  test('the functions that the language promises are there', () => {
    const promised =
      `count sum min max avg first last vwap stddev stddev_samp variance var_samp median percentile percentile_cont open high
      low close xbar date_trunc now epoch_s epoch_ms abs round floor ceil sqrt ln exp power coalesce nullif greatest least lower upper
      substr length concat ema delta ratio row_number rank dense_rank lag lead first_value last_value haversine st_distance st_within
      wj_avg wj_sum wj_count wj_min wj_max`.split(/\s+/);
    for (const name of promised) expect(functionByName(name), name).toBeDefined();
  });

  test('median and percentiles cannot be kept by a view', () => {
    const refused = functions
      .filter((spec) => spec.kind === 'aggregate' && !spec.incremental)
      .map((spec) => spec.name);
    expect(refused).toEqual(['median', 'percentile', 'percentile_cont']);
  });

  test('docs/sql.md has a row for each, with its aliases and its note', () => {
    const docs = readFileSync(new URL('../../docs/sql.md', import.meta.url), 'utf8');
    for (const spec of functions) {
      const row = docs.split('\n').find((line) => line.startsWith(`| \`${spec.name}(`));
      expect(row, `a row for ${spec.name}`).toBeDefined();
      expect(row).toContain(spec.note);
      for (const alias of spec.aliases) expect(row, spec.name).toContain(`\`${alias}\``);
    }
  });
});
