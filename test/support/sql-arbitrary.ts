// What: random expressions and queries for property tests.
// Why: a person writes the queries that come to mind; the printer and the parser must agree on all of them.
// Invariant: every tree is canonical (see src/sql/ast.ts): it is what the parser would build, positions (all 0) apart.

import fc from 'fast-check';
import type {
  BinaryOperator,
  Expression,
  Frame,
  FrameBound,
  JoinKind,
  Logical,
  Query,
  QueryBody,
  Select,
  SetOperation,
  TableExpression,
  TableSource,
} from '../../src/sql/ast.ts';
import { type DataType, decimal, type ParameterType, typesByName } from '../../src/sql/types.ts';

const at = 0;
const INT64_MAX = 2n ** 63n - 1n;

/** Names that need quotes, that are keywords, or that a clause could be mistaken for. */
export const name: fc.Arbitrary<string> = fc.oneof(
  {
    weight: 6,
    arbitrary: fc.constantFrom('price', 'volume', 'symbol', 'ts', 'a', 'T', '_x1', 'trades', 'b$'),
  },
  {
    weight: 3,
    arbitrary: fc.constantFrom(
      ...`timestamp interval date first sample latest window asof over filter format settings rows
      range if set fill partition plus tolerance natural escape nulls column for`.split(/\s+/),
    ),
  },
  {
    weight: 2,
    arbitrary: fc.constantFrom(
      'select',
      'FROM',
      'null',
      'true',
      'case',
      'end',
      'table',
      'values',
      'left',
      'union',
    ),
  },
  { weight: 2, arbitrary: fc.string({ minLength: 1, maxLength: 6 }) },
  {
    weight: 1,
    arbitrary: fc.constantFrom('größe', 'a"b', "a'b", 'a`b', '--', '/*', '1a', 'a b', '日本', '😀'),
  },
);
const functionName = fc.constantFrom(
  'sum',
  'min',
  'first',
  'ema',
  'coalesce',
  'xbar',
  'if',
  'replace',
  'date',
  'f_2',
);
const text = fc.oneof(
  fc.string({ maxLength: 8 }),
  fc.constantFrom("it's", '"', '--', "''", '\\', '5 minutes', '2024-01-01', '\n'),
);
export const orNull = <T>(arbitrary: fc.Arbitrary<T>): fc.Arbitrary<T | null> =>
  fc.option(arbitrary, { nil: null, freq: 2 });
export const few = <T>(arbitrary: fc.Arbitrary<T>, minLength = 0): fc.Arbitrary<T[]> =>
  fc.array(arbitrary, { minLength, maxLength: 3 });

const int64 = fc.oneof(
  fc.bigInt({ min: -INT64_MAX - 1n, max: INT64_MAX }),
  fc.bigInt({ min: -20n, max: 20n }),
);
const nonNegative = fc.oneof(fc.bigInt({ min: 0n, max: INT64_MAX }), fc.bigInt({ min: 0n, max: 20n }));

export const integer = int64.map((value) => ({ kind: 'integer' as const, at, value }));
export const decimalLiteral = (min: bigint) =>
  fc
    .record({ unscaled: fc.bigInt({ min, max: 10n ** 18n - 1n }), scale: fc.integer({ min: 1, max: 18 }) })
    .map(({ unscaled, scale }) => ({ kind: 'decimal' as const, at, unscaled, scale }));
export const floatLiteral = (min: number) =>
  fc
    .double({ noNaN: true, noDefaultInfinity: true, min })
    .map((value) => ({ kind: 'float' as const, at, value }));
const interval = (ns: fc.Arbitrary<bigint>) =>
  ns.map((value) => ({ kind: 'interval' as const, at, ns: value }));
export const string = text.map((value) => ({ kind: 'string' as const, at, value }));

const literal: fc.Arbitrary<Expression> = fc.oneof(
  fc.constant({ kind: 'null' as const, at }),
  fc.boolean().map((value) => ({ kind: 'boolean' as const, at, value })),
  integer,
  decimalLiteral(-(10n ** 18n) + 1n),
  floatLiteral(-Number.MAX_VALUE),
  string,
  int64.map((ns) => ({ kind: 'timestamp' as const, at, ns })),
  interval(int64),
);

const decimalType = fc
  .integer({ min: 1, max: 18 })
  .chain((precision) => fc.integer({ min: 0, max: precision }).map((scale) => decimal(precision, scale)));
export const dataType: fc.Arbitrary<DataType> = fc.oneof(
  fc.constantFrom(...typesByName.values()),
  decimalType,
);
const parameterType: fc.Arbitrary<ParameterType> = fc.oneof(
  dataType,
  dataType.map((element) => ({ name: 'ARRAY' as const, element })),
  fc.constant({ name: 'IDENTIFIER' as const }),
);
const parameter = fc
  .record({ name: fc.constantFrom('p', 'from', 'x_1'), type: parameterType })
  .map((p) => ({ kind: 'parameter' as const, at, ...p }));

const column = fc.record({ table: orNull(name), name }).map((c) => ({ kind: 'column' as const, at, ...c }));

const binaryOperators: readonly BinaryOperator[] = [
  '+',
  '-',
  '*',
  '/',
  '//',
  '%',
  '||',
  '=',
  '<>',
  '<',
  '<=',
  '>',
  '>=',
  'IS DISTINCT FROM',
  'IS NOT DISTINCT FROM',
];

const frameOffset = { ROWS: nonNegative.map((value) => ({ kind: 'integer' as const, at, value })) };
const rangeOffset = fc.oneof(
  frameOffset.ROWS,
  decimalLiteral(0n),
  floatLiteral(0).filter(({ value }) => !Object.is(value, -0)),
  interval(nonNegative),
);

const boundOrder = [
  'unbounded-preceding',
  'preceding',
  'current-row',
  'following',
  'unbounded-following',
] as const;

const frame: fc.Arbitrary<Frame> = fc
  .record({
    unit: fc.constantFrom('ROWS' as const, 'RANGE' as const),
    start: fc.integer({ min: 0, max: 3 }),
    end: fc.integer({ min: 1, max: 4 }),
  })
  .filter(({ start, end }) => start <= end)
  .chain(({ unit, start, end }) => {
    const bound = (index: number): fc.Arbitrary<FrameBound> => {
      const kind = boundOrder[index]!;
      if (kind !== 'preceding' && kind !== 'following') return fc.constant({ kind });
      return (unit === 'ROWS' ? frameOffset.ROWS : rangeOffset).map((offset) => ({ kind, offset }));
    };
    return fc.record({ start: bound(start), end: bound(end) }).map((bounds) => ({ at, unit, ...bounds }));
  });

interface Trees {
  expression: Expression;
  query: Query;
  select: Select;
  source: TableSource;
}

const trees = fc.letrec<Trees>((tie: fc.LetrecTypedTie<Trees>) => {
  const e = tie('expression');
  const query = tie('query');
  const orderItem = fc.record({
    at: fc.constant(at),
    expression: e,
    descending: fc.boolean(),
    nullsFirst: fc.boolean(),
  });
  const windowSpec = fc.record({
    at: fc.constant(at),
    partitionBy: few(e),
    orderBy: few(orderItem),
    frame: orNull(frame),
  });

  const logical = fc
    .record({
      operator: fc.constantFrom('AND' as const, 'OR' as const),
      operands: fc.array(e, { minLength: 2, maxLength: 4 }),
    })
    .map(({ operator, operands }) => logicalOf(operator, operands));

  const composite: fc.Arbitrary<Expression> = fc.oneof(
    column,
    parameter,
    e.map((operand) => ({ kind: 'negate' as const, at, operand })),
    e.map((operand) => ({ kind: 'not' as const, at, operand })),
    logical,
    fc
      .record({ operator: fc.constantFrom(...binaryOperators), left: e, right: e })
      .map((b) => ({ kind: 'binary' as const, at, ...b })),
    fc.record({ operand: e, negated: fc.boolean() }).map((n) => ({ kind: 'is-null' as const, at, ...n })),
    fc
      .record({ operand: e, low: e, high: e, negated: fc.boolean() })
      .map((b) => ({ kind: 'between' as const, at, ...b })),
    fc
      .record({ operand: e, items: few(e, 1), negated: fc.boolean() })
      .map((i) => ({ kind: 'in-list' as const, at, ...i })),
    fc
      .record({ operand: e, query, negated: fc.boolean() })
      .map((i) => ({ kind: 'in-query' as const, at, ...i })),
    fc
      .record({
        operand: e,
        pattern: e,
        escape: orNull(fc.constantFrom('\\', '!', "'", '😀')),
        ignoreCase: fc.boolean(),
        negated: fc.boolean(),
      })
      .map((l) => ({ kind: 'like' as const, at, ...l })),
    fc
      .record({
        operand: orNull(e),
        branches: few(fc.record({ when: e, result: e }), 1),
        otherwise: orNull(e),
      })
      .map((c) => ({ kind: 'case' as const, at, ...c })),
    fc.record({ operand: e, type: dataType }).map((c) => ({ kind: 'cast' as const, at, ...c })),
    fc
      .record({
        name: functionName,
        args: few(e),
        distinct: fc.boolean(),
        filter: orNull(e),
        over: orNull(windowSpec),
      })
      .map((c) => ({
        kind: 'call' as const,
        at,
        star: false,
        ...c,
        distinct: c.distinct && c.args.length > 0,
      })),
    fc.record({ filter: orNull(e), over: orNull(windowSpec) }).map((c) => ({
      kind: 'call' as const,
      at,
      name: 'count',
      args: [],
      star: true,
      distinct: false,
      ...c,
    })),
    query.map((q) => ({ kind: 'scalar-query' as const, at, query: q })),
    query.map((q) => ({ kind: 'exists' as const, at, query: q })),
  );

  const source: fc.Arbitrary<TableSource> = fc.oneof(
    { depthSize: 'small', withCrossShrink: true },
    fc
      .record({
        table: fc.record({ at: fc.constant(at), schema: orNull(name), name }),
        alias: orNull(name),
        sampleRatio: orNull(fc.double({ min: 1e-9, max: 1, noNaN: true })),
      })
      .map((t) => ({ kind: 'table' as const, at, ...t })),
    fc
      .record({ query, alias: orNull(name), columns: few(name) })
      .map((d) => ({ kind: 'derived' as const, at, ...d, columns: d.alias === null ? [] : d.columns })),
    fc
      .record({
        name: fc.constant('duckdb'),
        args: fc.array(string, { minLength: 1, maxLength: 1 }),
        alias: orNull(name),
      })
      .map((f) => ({ kind: 'table-function' as const, at, ...f })),
  );

  const joined = fc.record({
    join: fc.constantFrom<JoinKind>(
      'INNER',
      'LEFT',
      'RIGHT',
      'FULL',
      'CROSS',
      'ASOF',
      'ASOF LEFT',
      'AJ0',
      'AJ0 LEFT',
      'WINDOW',
      'UNION',
      'PLUS',
    ),
    right: tie('source'),
    on: e,
    using: orNull(few(name, 1)),
    tolerance: orNull(nonNegative),
  });
  const tableExpression = fc.record({ first: tie('source'), joins: fc.array(joined, { maxLength: 2 }) }).map(
    ({ first, joins }): TableExpression =>
      joins.reduce<TableExpression>((left, j) => {
        const plain = j.join === 'CROSS' || j.join === 'UNION';
        const using = j.using !== null && j.join !== 'WINDOW';
        return {
          kind: 'join',
          at,
          join: j.join,
          left,
          right: j.right,
          condition: plain
            ? null
            : using
              ? { kind: 'using', columns: j.using! }
              : { kind: 'on', expression: j.on },
          toleranceNs: j.join.startsWith('A') ? j.tolerance : null,
        };
      }, first),
  );

  const item = fc.oneof(
    { weight: 1, arbitrary: orNull(name).map((table) => ({ kind: 'star' as const, at, table })) },
    {
      weight: 4,
      arbitrary: fc
        .record({ expression: e, alias: orNull(name) })
        .map((i) => ({ kind: 'expression' as const, at, ...i })),
    },
  );
  const fill = fc.oneof(
    fc
      .constantFrom('none' as const, 'prev' as const, 'null' as const, 'linear' as const)
      .map((kind) => ({ at, kind, value: null })),
    fc.oneof(integer, floatLiteral(-1e300)).map((value) => ({ at, kind: 'value' as const, value })),
  );
  const select: fc.Arbitrary<Select> = fc
    .record({
      distinct: fc.boolean(),
      items: few(item, 1),
      from: orNull(tableExpression),
      where: orNull(e),
      sampleBy: orNull(
        fc.record({ at: fc.constant(at), everyNs: fc.bigInt({ min: 1n, max: INT64_MAX }), fill: few(fill) }),
      ),
      latestOn: orNull(fc.record({ at: fc.constant(at), column, partitionBy: few(column, 1) })),
      groupBy: few(e),
      having: orNull(e),
    })
    .map((s) => ({ kind: 'select' as const, at, ...s, groupBy: s.sampleBy === null ? s.groupBy : [] }));

  const values = fc.integer({ min: 1, max: 3 }).chain((length) =>
    few(fc.array(e, { minLength: length, maxLength: length }), 1).map((rows) => ({
      kind: 'values' as const,
      at,
      rows,
    })),
  );

  const body: fc.Arbitrary<QueryBody> = fc.oneof(
    { weight: 6, arbitrary: tie('select') },
    { weight: 1, arbitrary: values },
    {
      weight: 1,
      arbitrary: fc
        .record({
          operator: fc.constantFrom('UNION' as const, 'INTERSECT' as const, 'EXCEPT' as const),
          all: fc.boolean(),
          operands: fc.array(query, { minLength: 2, maxLength: 3 }),
        })
        .map(({ operator, all, operands }): SetOperation => {
          const bodies = operands.map(unwrapped);
          const first = bodies[0]!;
          const same =
            first.kind === 'set-operation' &&
            first.operator === operator &&
            first.all === (all && operator === 'UNION');
          return {
            kind: 'set-operation',
            at,
            operator,
            all: all && operator === 'UNION',
            operands: same ? [...first.operands, ...bodies.slice(1)] : bodies,
          };
        }),
    },
  );

  const rowCount = fc.oneof(
    nonNegative.map((value) => ({ kind: 'integer' as const, at, value })),
    parameter.filter((p) => p.type.name !== 'ARRAY'),
  );
  const anyQuery: fc.Arbitrary<Query> = fc
    .record({
      with: fc.uniqueArray(fc.record({ at: fc.constant(at), name, columns: few(name), query }), {
        maxLength: 2,
        selector: (table) => table.name,
      }),
      body,
      orderBy: few(orderItem),
      limit: orNull(rowCount),
      offset: orNull(rowCount),
    })
    .map((q) => ({ kind: 'query' as const, at, ...q }));

  return {
    expression: fc.oneof(
      { depthSize: 'small', maxDepth: 4, withCrossShrink: true, depthIdentifier: 'sql' },
      literal,
      column,
      composite,
    ),
    query: fc.oneof(
      { maxDepth: 4, withCrossShrink: true, depthIdentifier: 'sql' },
      fc.record({ expression: literal }).map(({ expression }) => selectOf(expression)),
      anyQuery,
    ),
    select,
    source,
  };
});

/** As the parser does: an operand of the same operator gives its operands. */
function logicalOf(operator: Logical['operator'], operands: readonly Expression[]): Logical {
  const flat = operands.flatMap((o) => (o.kind === 'logical' && o.operator === operator ? o.operands : [o]));
  return { kind: 'logical', at, operator, operands: flat };
}

function selectOf(expression: Expression): Query {
  const select: Select = {
    kind: 'select',
    at,
    distinct: false,
    items: [{ kind: 'expression', at, expression, alias: null }],
    from: null,
    where: null,
    sampleBy: null,
    latestOn: null,
    groupBy: [],
    having: null,
  };
  return { kind: 'query', at, with: [], body: select, orderBy: [], limit: null, offset: null };
}

/** Parentheses around a query that says nothing of its own leave no trace. */
function unwrapped(query: Query): QueryBody {
  const plain =
    query.with.length === 0 && query.orderBy.length === 0 && query.limit === null && query.offset === null;
  return plain ? query.body : query;
}

/** Nothing but operators over one column, deeply mixed: what the parentheses of the printer are about. */
export const operators: fc.Arbitrary<Expression> = fc.letrec<{ tree: Expression }>(
  (tie: fc.LetrecTypedTie<{ tree: Expression }>) => {
    const tree = tie('tree');
    const leaf: fc.Arbitrary<Expression> = fc.constantFrom<Expression>(
      { kind: 'column', at, table: null, name: 'x' },
      { kind: 'integer', at, value: 1n },
      { kind: 'integer', at, value: -1n },
    );
    return {
      tree: fc.oneof(
        { maxDepth: 6, depthSize: 'medium', withCrossShrink: true },
        { weight: 2, arbitrary: leaf },
        {
          weight: 6,
          arbitrary: fc
            .record({ operator: fc.constantFrom(...binaryOperators), left: tree, right: tree })
            .map((b) => ({ kind: 'binary' as const, at, ...b })),
        },
        {
          weight: 2,
          arbitrary: fc
            .record({ operator: fc.constantFrom('AND' as const, 'OR' as const), left: tree, right: tree })
            .map(({ operator, left, right }) => logicalOf(operator, [left, right])),
        },
        { weight: 1, arbitrary: tree.map((operand) => ({ kind: 'negate' as const, at, operand })) },
        { weight: 1, arbitrary: tree.map((operand) => ({ kind: 'not' as const, at, operand })) },
        {
          weight: 1,
          arbitrary: fc
            .record({ operand: tree, negated: fc.boolean() })
            .map((n) => ({ kind: 'is-null' as const, at, ...n })),
        },
        {
          weight: 1,
          arbitrary: fc
            .record({ operand: tree, low: tree, high: tree, negated: fc.boolean() })
            .map((b) => ({ kind: 'between' as const, at, ...b })),
        },
        {
          weight: 1,
          arbitrary: fc
            .record({ operand: tree, items: few(tree, 1), negated: fc.boolean() })
            .map((i) => ({ kind: 'in-list' as const, at, ...i })),
        },
      ),
    };
  },
).tree;

export const expression = trees.expression;
export const query = trees.query;

/** The tree with every position set to 0, to compare trees that were read from different texts. */
export function withoutPositions<T>(node: T): T {
  if (Array.isArray(node)) return node.map(withoutPositions) as T;
  if (typeof node !== 'object' || node === null) return node;
  return Object.fromEntries(
    Object.entries(node).map(([key, value]) => [key, key === 'at' ? at : withoutPositions(value)]),
  ) as T;
}
