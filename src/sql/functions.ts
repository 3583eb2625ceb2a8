// What: every function of the language: its kind, arguments, result type and what it does with NULL.
// Why: type checks, documentation, views and the executors read one list, so that none of them knows a function that another does not.
// Invariant: data only. A name or alias occurs once; an executor implements the `name`, never the alias.

import type { ArgumentRule, FunctionKind, FunctionSpec, ResultRule } from './function-spec.ts';
import { BOOL, FLOAT64, INT64, STRING, TIMESTAMP } from './types.ts';

export * from './function-spec.ts';

type Options = Partial<Omit<FunctionSpec, 'name' | 'kind' | 'args' | 'result' | 'note'>>;

function define(
  kind: FunctionKind,
  name: string,
  args: readonly ArgumentRule[],
  result: ResultRule,
  note: string,
  options: Options = {},
): FunctionSpec {
  return {
    name,
    kind,
    args,
    result,
    note,
    aliases: [],
    required: args.length,
    variadic: false,
    constants: {},
    nulls: kind === 'scalar' ? 'propagate' : kind === 'aggregate' ? 'skip' : 'special',
    distinct: false,
    incremental: kind === 'aggregate',
    windowJoinOnly: false,
    ...options,
  };
}

const scalar = define.bind(null, 'scalar');
const aggregate = define.bind(null, 'aggregate');
const window = define.bind(null, 'window');

const numeric: readonly FunctionSpec[] = [
  scalar('abs', ['number'], 'first', 'absolute value'),
  scalar('sign', ['number'], INT64, '-1, 0 or 1'),
  scalar(
    'round',
    ['number', 'integer'],
    'first',
    'nearest value with n decimals (0), halves away from zero',
    {
      required: 1,
      constants: { 1: 'decimals' },
    },
  ),
  scalar('floor', ['number'], 'first', 'largest whole number not above x'),
  scalar('ceil', ['number'], 'first', 'smallest whole number not below x', { aliases: ['ceiling'] }),
  scalar('trunc', ['number'], 'first', 'x without its decimals'),
  scalar('mod', ['number', 'number'], 'remainder', 'x % y; NULL when y is 0', { nulls: 'special' }),
  scalar('sqrt', ['number'], FLOAT64, 'square root; NULL below zero', { nulls: 'special' }),
  scalar('ln', ['number'], FLOAT64, 'natural logarithm; NULL at or below zero', { nulls: 'special' }),
  scalar('log10', ['number'], FLOAT64, 'decimal logarithm; NULL at or below zero', {
    aliases: ['log'],
    nulls: 'special',
  }),
  scalar('log2', ['number'], FLOAT64, 'binary logarithm; NULL at or below zero', { nulls: 'special' }),
  scalar('exp', ['number'], FLOAT64, 'e to the power of x'),
  scalar('power', ['number', 'number'], FLOAT64, 'x to the power of y', { aliases: ['pow'] }),
];

const conditional: readonly FunctionSpec[] = [
  scalar('coalesce', ['common'], 'common', 'the first argument that is not NULL', {
    aliases: ['ifnull'],
    variadic: true,
    nulls: 'special',
  }),
  scalar('nullif', ['common', 'common'], 'first', 'NULL when the two are equal, else the first', {
    nulls: 'special',
  }),
  scalar('greatest', ['common'], 'common', 'the largest; NULLs are left out', {
    variadic: true,
    nulls: 'special',
  }),
  scalar('least', ['common'], 'common', 'the smallest; NULLs are left out', {
    variadic: true,
    nulls: 'special',
  }),
  scalar(
    'if',
    ['boolean', 'common', 'common'],
    'common',
    'the second when the first is true, else the third',
    {
      nulls: 'special',
    },
  ),
];

const text: readonly FunctionSpec[] = [
  scalar('lower', ['text'], STRING, 'in lower case'),
  scalar('upper', ['text'], STRING, 'in upper case'),
  scalar('length', ['text'], INT64, 'number of characters'),
  scalar(
    'substr',
    ['printable', 'integer', 'integer'],
    STRING,
    'from character n (from 1), m characters or the rest',
    {
      aliases: ['substring'],
      required: 2,
    },
  ),
  scalar('concat', ['any'], STRING, 'the texts of all arguments in a row; NULLs are left out', {
    variadic: true,
    nulls: 'never',
  }),
  scalar('trim', ['text'], STRING, 'without blanks at both ends'),
  scalar('ltrim', ['text'], STRING, 'without blanks at the start'),
  scalar('rtrim', ['text'], STRING, 'without blanks at the end'),
  scalar('replace', ['text', 'text', 'text'], STRING, 'every occurrence of y in x by z'),
  scalar('starts_with', ['text', 'text'], BOOL, 'whether x begins with y'),
  scalar('strpos', ['text', 'text'], INT64, 'where y first occurs in x, from 1; 0 when nowhere', {
    aliases: ['position'],
  }),
  scalar('symbol_id', ['symbol'], INT64, 'the number of a symbol'),
];

const time: readonly FunctionSpec[] = [
  scalar('now', [], TIMESTAMP, 'when the query began, the same in all its rows', { nulls: 'never' }),
  scalar(
    'xbar',
    ['measure', 'number'],
    'first',
    'x rounded down to a multiple of n; of a timestamp, n in nanoseconds',
    {
      constants: { 1: 'positive' },
    },
  ),
  scalar('time_bucket', ['integer', 'timestamp'], TIMESTAMP, 'xbar with its arguments swapped', {
    constants: { 0: 'positive' },
  }),
  scalar(
    'date_trunc',
    ['text', 'timestamp'],
    TIMESTAMP,
    'start of the ns, us, ms, s, min, hour, day, week (from Monday), month, quarter or year',
    {
      constants: { 0: 'trunc-unit' },
    },
  ),
  scalar(
    'date_part',
    ['text', 'timestamp'],
    INT64,
    'a number from the UTC calendar: year to nanosecond, dow, doy, epoch',
    {
      constants: { 0: 'part-unit' },
    },
  ),
  scalar('epoch_s', ['timestamp'], INT64, 'seconds since 1970 UTC, rounded down', { aliases: ['epoch'] }),
  scalar('epoch_ms', ['timestamp'], INT64, 'milliseconds since 1970 UTC, rounded down'),
  scalar('epoch_us', ['timestamp'], INT64, 'microseconds since 1970 UTC, rounded down'),
  scalar('epoch_ns', ['timestamp'], INT64, 'nanoseconds since 1970 UTC'),
  scalar('make_timestamp', ['integer'], TIMESTAMP, 'the timestamp of microseconds since 1970 UTC'),
  scalar('make_timestamp_ns', ['integer'], TIMESTAMP, 'the timestamp of nanoseconds since 1970 UTC'),
];

const place: readonly FunctionSpec[] = [
  scalar(
    'haversine',
    ['number', 'number', 'number', 'number'],
    FLOAT64,
    'metres from (lat, lon) to (lat, lon), Earth radius 6,371,008.8',
    {
      aliases: ['st_distance'],
    },
  ),
  scalar(
    'st_within',
    ['number', 'number', 'number', 'number', 'number'],
    BOOL,
    'whether (lat, lon) is at most r metres from (lat, lon)',
  ),
];

const server: readonly FunctionSpec[] = [
  scalar('version', [], STRING, 'version of the server', { nulls: 'never' }),
  scalar('timezone', [], STRING, 'UTC', { nulls: 'never' }),
  scalar('current_database', [], STRING, 'default', {
    aliases: ['currentdatabase', 'database'],
    nulls: 'never',
  }),
  scalar('host_name', [], STRING, 'the machine that answers', { aliases: ['hostname'], nulls: 'never' }),
  scalar('uptime', [], INT64, 'seconds since the process started', { nulls: 'never' }),
];

const aggregates: readonly FunctionSpec[] = [
  aggregate('count', ['any'], INT64, 'rows whose argument is not NULL; count(*) counts all', {
    nulls: 'never',
    distinct: true,
  }),
  aggregate('sum', ['number'], 'sum', 'exact for integers and decimals; an error when it leaves INT64', {
    distinct: true,
  }),
  aggregate('avg', ['number'], FLOAT64, 'mean', { aliases: ['mean'], distinct: true }),
  aggregate('min', ['any'], 'first', 'smallest value', { aliases: ['low'], distinct: true }),
  aggregate('max', ['any'], 'first', 'largest value', { aliases: ['high'], distinct: true }),
  aggregate('first', ['any'], 'first', 'value of the earliest row by event time, ties by offset', {
    aliases: ['open'],
  }),
  aggregate('last', ['any'], 'first', 'value of the latest row by event time, ties by offset', {
    aliases: ['close'],
  }),
  aggregate('any_value', ['any'], 'first', 'the value of some row'),
  aggregate(
    'vwap',
    ['number', 'number'],
    FLOAT64,
    'sum(price × volume) / sum(volume); rows with a NULL in either are skipped; NULL when the volumes add up to 0',
    {
      nulls: 'special',
    },
  ),
  aggregate(
    'arg_min',
    ['any', 'any'],
    'first',
    'x where y is smallest, ties: the earliest row; rows with a NULL in either are skipped',
    {
      nulls: 'special',
    },
  ),
  aggregate(
    'arg_max',
    ['any', 'any'],
    'first',
    'x where y is largest, ties: the earliest row; rows with a NULL in either are skipped',
    {
      nulls: 'special',
    },
  ),
  aggregate('bool_and', ['boolean'], BOOL, 'whether all are true'),
  aggregate('bool_or', ['boolean'], BOOL, 'whether one is true'),
  aggregate('var_pop', ['number'], FLOAT64, 'variance of the population: divided by n', {
    aliases: ['variance', 'variance_pop'],
  }),
  aggregate('var_samp', ['number'], FLOAT64, 'variance of a sample: divided by n − 1; NULL for one row', {
    aliases: ['variance_samp'],
  }),
  aggregate('stddev_pop', ['number'], FLOAT64, 'square root of var_pop', { aliases: ['stddev'] }),
  aggregate('stddev_samp', ['number'], FLOAT64, 'square root of var_samp'),
  aggregate(
    'median',
    ['number'],
    FLOAT64,
    'middle value; of an even number of values the mean of the middle two',
    {
      incremental: false,
    },
  ),
  aggregate(
    'percentile',
    ['number', 'number'],
    'first',
    'the value at index floor(N × (n − 1) / 100) of the n sorted values; N from 0 to 100',
    {
      constants: { 1: 'percent' },
      incremental: false,
    },
  ),
  aggregate(
    'percentile_cont',
    ['number', 'number'],
    FLOAT64,
    'the N-th percentile, interpolated between neighbours; N from 0 to 100',
    {
      constants: { 1: 'percent' },
      incremental: false,
    },
  ),
  aggregate('wj_avg', ['number'], FLOAT64, 'avg over the window of a WINDOW JOIN', { windowJoinOnly: true }),
  aggregate('wj_sum', ['number'], 'sum', 'sum over the window of a WINDOW JOIN', { windowJoinOnly: true }),
  aggregate('wj_count', ['any'], INT64, 'count over the window of a WINDOW JOIN', {
    windowJoinOnly: true,
    nulls: 'never',
  }),
  aggregate('wj_min', ['any'], 'first', 'min over the window of a WINDOW JOIN', { windowJoinOnly: true }),
  aggregate('wj_max', ['any'], 'first', 'max over the window of a WINDOW JOIN', { windowJoinOnly: true }),
];

const windows: readonly FunctionSpec[] = [
  window('row_number', [], INT64, 'number of the row in its partition, from 1', { nulls: 'never' }),
  window('rank', [], INT64, 'from 1; peers share a rank, and leave a gap', { nulls: 'never' }),
  window('dense_rank', [], INT64, 'from 1; peers share a rank, without a gap', { nulls: 'never' }),
  window(
    'lag',
    ['common', 'integer', 'common'],
    'common',
    'value n (1) rows before; the third argument (NULL) when there is none',
    {
      required: 1,
      constants: { 1: 'count' },
    },
  ),
  window(
    'lead',
    ['common', 'integer', 'common'],
    'common',
    'value n (1) rows after; the third argument (NULL) when there is none',
    {
      required: 1,
      constants: { 1: 'count' },
    },
  ),
  window('first_value', ['any'], 'first', 'value of the first row of the frame'),
  window('last_value', ['any'], 'first', 'value of the last row of the frame'),
  window(
    'nth_value',
    ['any', 'integer'],
    'first',
    'value of the n-th row of the frame, from 1; NULL when there is none',
    {
      constants: { 1: 'ordinal' },
    },
  ),
  window(
    'ema',
    ['number', 'number'],
    FLOAT64,
    'exponential mean: alpha when below 1, else of a period N, alpha = 2 / (N + 1); begins with the first value; NULLs leave it as it is',
    {
      constants: { 1: 'positive' },
    },
  ),
  window(
    'delta',
    ['measure'],
    'sum',
    'x minus the x of the row before; NULL in the first row; of timestamps, nanoseconds',
  ),
  window(
    'ratio',
    ['number'],
    FLOAT64,
    'x divided by the x of the row before; NULL in the first row and when that is 0',
  ),
];

/** In the order of the documentation. */
export const functions: readonly FunctionSpec[] = [
  ...aggregates,
  ...windows,
  ...time,
  ...numeric,
  ...conditional,
  ...text,
  ...place,
  ...server,
];

const byName = new Map<string, FunctionSpec>();
for (const spec of functions) for (const name of [spec.name, ...spec.aliases]) byName.set(name, spec);

/** By name or alias, lower case. */
export function functionByName(name: string): FunctionSpec | undefined {
  return byName.get(name);
}

/** Names and aliases. */
export const functionNames: readonly string[] = [...byName.keys()];
