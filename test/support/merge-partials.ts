// What: the SQL that merges partials of a view, made from the view's columns as its files describe them.
// Why: docs/views.md says how each part merges; the tests merge so, in a database of another make, and in no other way.
// Invariant: only what is documented is used: the files, their columns and the symbol of their path.

import type { PartialColumn } from '../../src/query/view/partial.ts';

/** Among equal event times: symbols, then Kafka partitions, then offsets. */
const TIES = 'symbol, kafka_partition, offset_next';
const CARRY = '9223372036854775808::HUGEINT';

/**
 * Columns: the symbol by name (`hasSymbol`: it is a key), the other keys, the aggregates; integers and decimals as stored
 * integers, times as nanoseconds. `files`: a pattern. Needs the table `names` (id, name).
 */
export function mergingSql(columns: readonly PartialColumn[], hasSymbol: boolean, files: string): string {
  const calls = new Map<string, Parts>();
  const keys = hasSymbol ? ['symbol'] : [];
  for (const { name, of, part, type, scale = 0 } of columns) {
    if (part === 'key') keys.push(type === TIMESTAMP_NS ? `epoch_ns(${quoted(name)})` : quoted(name));
    else if (of !== 'plan')
      calls.set(of, (calls.get(of) ?? new Map()).set(part, { column: quoted(name), scale }));
  }
  const over = keys.length === 0 ? '()' : `(PARTITION BY ${keys.join(', ')})`;
  const means = [...calls.values()].flatMap((parts, i) => {
    if (!parts.has('m2')) return [];
    const [count, mean] = [parts.get('count')!.column, parts.get('mean')!.column];
    return `, sum(${count} * ${mean}) OVER ${over} / sum(${count}) OVER ${over} AS mean_${i}`;
  });
  const selected = [
    ...keys.map((key) => (key === 'symbol' ? '(SELECT name FROM names WHERE id = symbol)' : key)),
    ...[...calls].map(([call, parts], i) => merged(call, parts, `mean_${i}`)),
  ];
  return `SELECT ${selected.join(', ')}
FROM (SELECT *${means.join('')} FROM read_parquet('${files}', hive_partitioning = true))
${keys.length === 0 ? '' : `GROUP BY ${keys.join(', ')}`}`;
}

const TIMESTAMP_NS = 4;
const quoted = (name: string): string => `"${name.replaceAll('"', '""')}"`;

/** By the name of the part. */
type Parts = Map<string, { readonly column: string; readonly scale: number }>;

function merged(call: string, parts: Parts, wholeMean: string): string {
  const part = (name: string): string => parts.get(name)!.column;
  const value = parts.get('')?.column;
  const count = `sum(${parts.get('count')?.column})`;
  /** An integer of two columns; floats have one. */
  const whole = (name: string): string => {
    const carry = parts.get(name === '' ? 'carry' : `${name}_carry`)?.column;
    const sum = `sum(${part(name)})`;
    return carry === undefined ? sum : `(${sum} + sum(${carry}) * ${CARRY})`;
  };
  const ratio = (over: string, under: string, scale: number): string =>
    `CAST(${over} AS DOUBLE) / nullif(${under}, 0) / 1e${scale}`;
  const picked = (which: 'first' | 'last', order: string): string =>
    `${which}(${value} ORDER BY ${order}, ${TIES}) FILTER (WHERE ${value} IS NOT NULL)`;
  const variance = (divisor: string): string =>
    `CASE WHEN ${divisor} > 0 THEN sum(${part('m2')} + ${part('count')} * (${part('mean')} - ${wholeMean}) ** 2) / (${divisor}) END`;
  switch (/^\w+/.exec(call)![0]) {
    case 'count':
      return `CAST(sum(${value}) AS BIGINT)`;
    case 'sum':
      return whole('');
    case 'avg':
      return ratio(whole('sum'), count, parts.get('sum')!.scale);
    case 'vwap':
      return ratio(
        whole('products'),
        whole('weights'),
        parts.get('products')!.scale - parts.get('weights')!.scale,
      );
    case 'min':
    case 'bool_and':
      return `min(${value})`;
    case 'max':
    case 'bool_or':
      return `max(${value})`;
    case 'first':
      return picked('first', part('time'));
    case 'last':
      return picked('last', part('time'));
    case 'arg_min':
      return picked('first', `${part('by')}, ${part('time')}`);
    case 'arg_max':
      return picked('first', `${part('by')} DESC, ${part('time')}`);
    case 'any_value':
      return `any_value(${value})`;
    case 'var_pop':
      return variance(count);
    case 'var_samp':
      return variance(`${count} - 1`);
    case 'stddev_pop':
      return `sqrt(${variance(count)})`;
    case 'stddev_samp':
      return `sqrt(${variance(`${count} - 1`)})`;
    default:
      throw new Error(`no rule merges ${call}`);
  }
}
