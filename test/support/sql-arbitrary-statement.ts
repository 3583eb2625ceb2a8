// What: random statements of every kind for property tests.
// Why: the parser and the printer must agree on all of them.
// Invariant: every tree is canonical, as in sql-arbitrary.ts.

import fc from 'fast-check';
import type { AlterAction, Option, ParsedStatement, Statement } from '../../src/sql/ast.ts';
import {
  dataType,
  decimalLiteral,
  expression,
  few,
  floatLiteral,
  integer,
  name,
  orNull,
  query,
  string,
} from './sql-arbitrary.ts';

const at = 0;
const word = fc.constantFrom('JSON', 'CSVWithNames', 'Null', 'a1');

const tableName = fc.record({ at: fc.constant(at), schema: orNull(name), name });
const option: fc.Arbitrary<Option> = fc.record({
  at: fc.constant(at),
  name,
  value: fc.oneof(
    string,
    integer,
    floatLiteral(-1e9),
    decimalLiteral(-999n),
    fc.boolean().map((value) => ({ kind: 'boolean' as const, at, value })),
  ),
});
const options = fc.uniqueArray(option, { maxLength: 3, selector: (o) => o.name });
const columnDefinition = fc.record({ at: fc.constant(at), name, type: dataType });
const ageMinutes = fc.integer({ min: 0, max: 10_000_000 });

const alterAction: fc.Arbitrary<AlterAction> = fc.oneof(
  columnDefinition.map((c) => ({ kind: 'add-column' as const, column: c })),
  name.map((n) => ({ kind: 'drop-column' as const, at, name: n })),
  ageMinutes.map((age) => ({ kind: 'set-ttl' as const, at, ageMinutes: age })),
  few(
    fc.record({
      at: fc.constant(at),
      tier: fc.constantFrom('HOT' as const, 'WARM' as const, 'COLD' as const, 'DROP' as const),
      ageMinutes,
    }),
    1,
  ).map((rules) => ({ kind: 'set-storage-policy' as const, at, rules })),
);

const plainStatement: fc.Arbitrary<Exclude<Statement, { kind: 'explain' }>> = fc.oneof(
  { weight: 6, arbitrary: query.map((q) => ({ kind: 'select' as const, at, query: q })) },
  {
    weight: 1,
    arbitrary: fc
      .record({
        table: tableName,
        ifNotExists: fc.boolean(),
        columns: fc.uniqueArray(columnDefinition, { minLength: 1, maxLength: 4, selector: (c) => c.name }),
        options,
      })
      .map((s) => ({ kind: 'create-table' as const, at, ...s })),
  },
  {
    weight: 1,
    arbitrary: fc
      .record({ table: tableName, ifNotExists: fc.boolean(), option })
      .map(({ option: one, ...s }) => ({
        ...{ kind: 'create-table' as const, at, columns: [], options: [one] },
        ...s,
      })),
  },
  {
    weight: 1,
    arbitrary: fc
      .record({ table: tableName, ifExists: fc.boolean() })
      .map((s) => ({ kind: 'drop-table' as const, at, ...s })),
  },
  {
    weight: 1,
    arbitrary: fc
      .record({ table: tableName, action: alterAction })
      .map((s) => ({ kind: 'alter-table' as const, at, ...s })),
  },
  {
    weight: 1,
    arbitrary: fc
      .record({ view: tableName, orReplace: fc.boolean(), ifNotExists: fc.boolean(), query, options })
      .map((s) => ({ kind: 'create-view' as const, at, ...s, ifNotExists: s.ifNotExists && !s.orReplace })),
  },
  {
    weight: 1,
    arbitrary: fc
      .record({ view: tableName, ifExists: fc.boolean() })
      .map((s) => ({ kind: 'drop-view' as const, at, ...s })),
  },
  {
    weight: 1,
    arbitrary: fc
      .record({ table: tableName, columns: fc.uniqueArray(name, { maxLength: 3 }), query: orNull(query) })
      .map((s) => ({ kind: 'insert' as const, at, ...s })),
  },
  {
    weight: 1,
    arbitrary: fc
      .record({
        table: tableName,
        assignments: few(fc.record({ column: name, value: expression }), 1),
        where: orNull(expression),
      })
      .map((s) => ({ kind: 'update' as const, at, ...s })),
  },
  {
    weight: 1,
    arbitrary: fc
      .record({ table: tableName, where: orNull(expression) })
      .map((s) => ({ kind: 'delete' as const, at, ...s })),
  },
  {
    weight: 1,
    arbitrary: fc.oneof(
      fc
        .constantFrom('TABLES' as const, 'MATERIALIZED VIEWS' as const, 'KAFKA LAG' as const)
        .map((subject) => ({ kind: 'show' as const, at, subject, table: null })),
      fc
        .record({
          subject: fc.constantFrom('STORAGE POLICY' as const, 'TIERS' as const, 'SEGMENTS' as const),
          table: orNull(tableName),
        })
        .map((s) => ({ kind: 'show' as const, at, ...s })),
    ),
  },
  { weight: 1, arbitrary: tableName.map((table) => ({ kind: 'describe' as const, at, table })) },
);

const anyStatement: fc.Arbitrary<Statement> = fc.oneof(
  { weight: 8, arbitrary: plainStatement },
  {
    weight: 1,
    arbitrary: fc
      .record({ analyze: fc.boolean(), statement: plainStatement })
      .map((s) => ({ kind: 'explain' as const, at, ...s })),
  },
);

export const statement: fc.Arbitrary<ParsedStatement> = fc
  .record({ statement: anyStatement, format: orNull(word), settings: options })
  .map((s) => {
    // An INSERT without rows of its own says by FORMAT how they come.
    const needsFormat = s.statement.kind === 'insert' && s.statement.query === null;
    return needsFormat && s.format === null ? { ...s, format: 'JSONEachRow' } : s;
  });
