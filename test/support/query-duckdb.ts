// What: an analysed query of our dialect → DuckDB's SQL for the same question.
// Why: every query, written or generated, can be asked of the oracle; what DuckDB lacks is said in its own words.
// Invariant: times are BIGINT nanoseconds there; storage order is `_place`. What has no translation throws `Untranslatable`.

import type { QueryAnalysis, SelectAnalysis } from '../../src/sql/analysis.ts';
import type {
  Call,
  ColumnReference,
  Expression,
  Frame,
  FrameBound,
  Join,
  OrderItem,
  Query,
  QueryBody,
  Select,
  TableExpression,
  TableSource,
} from '../../src/sql/ast.ts';
import { constantOf } from '../../src/sql/constant.ts';
import { functionByName, partUnits, truncUnits } from '../../src/sql/functions.ts';
import { printLiteral } from '../../src/sql/print-expression.ts';
import type { ScopeColumn } from '../../src/sql/scope.ts';
import { parseTimestamp } from '../../src/sql/timestamp.ts';
import { isFloat, isNumber, isText } from '../../src/sql/type-rules.ts';
import { type SqlType, typeText } from '../../src/sql/types.ts';

export class Untranslatable extends Error {}

export function toDuckdb(query: Query, analysis: QueryAnalysis): string {
  return new Translator(analysis).query(query);
}

const fixedUnits: Readonly<Record<string, bigint>> = {
  nanosecond: 1n,
  microsecond: 1_000n,
  millisecond: 1_000_000n,
  second: 1_000_000_000n,
  minute: 60_000_000_000n,
  hour: 3_600_000_000_000n,
  day: 86_400_000_000_000n,
};

class Translator {
  private readonly analysis: QueryAnalysis;
  private readonly names = new Map<TableSource, string>();
  /** The SELECT whose expressions are written. */
  private select: { node: Select; analysis: SelectAnalysis } | null = null;

  constructor(analysis: QueryAnalysis) {
    this.analysis = analysis;
  }

  query(query: Query): string {
    const outer = this.select;
    this.select = null;
    const withs = query.with.map(({ name, columns, query: inner }) => {
      const list = columns.length === 0 ? '' : ` (${columns.map(quote).join(', ')})`;
      return `${quote(name)}${list} AS (${this.query(inner)})`;
    });
    const keys = this.analysis.orders.get(query)!;
    let sql = this.body(query.body);
    if (keys.length > 0) {
      const orders = keys.map((key, i) => {
        const text =
          key.kind === 'output' ? String(key.index + 1) : this.orderExpression(query, key.expression);
        return this.ordered(query.orderBy[i]!, text);
      });
      sql += ` ORDER BY ${orders.join(', ')}`;
    }
    if (query.limit !== null) sql += ` LIMIT ${countOf(query.limit)}`;
    if (query.offset !== null) sql += ` OFFSET ${countOf(query.offset)}`;
    this.select = outer;
    return withs.length === 0 ? sql : `WITH ${withs.join(', ')} ${sql}`;
  }

  private orderExpression(query: Query, e: Expression): string {
    if (query.body.kind !== 'select') throw new Untranslatable('ORDER BY over a set operation');
    this.enter(query.body);
    return this.expression(e);
  }

  private enter(select: Select): void {
    this.select = { node: select, analysis: this.analysis.selects.get(select)! };
  }

  private body(body: QueryBody): string {
    switch (body.kind) {
      case 'query':
        return `(${this.query(body)})`;
      case 'values':
        return `(VALUES ${body.rows.map((row) => `(${row.map((e) => this.expression(e)).join(', ')})`).join(', ')})`;
      case 'set-operation': {
        const operator = `${body.operator}${body.all ? ' ALL' : ''}`;
        return body.operands
          .map((operand) => `(${this.body(operand)})`)
          .reduce((left, right) => `(${left} ${operator} ${right})`);
      }
      case 'select': {
        const outer = this.select;
        this.enter(body);
        const sql = this.selectText(body);
        this.select = outer;
        return sql;
      }
    }
  }

  private selectText(select: Select): string {
    const { analysis } = this.select!;
    if (select.sampleBy?.fill.some(({ kind }) => kind !== 'none')) throw new Untranslatable('FILL');
    const from = select.from === null ? '' : ` FROM ${this.table(select.from)}`;
    this.inItem = true;
    const items = analysis.items.map(({ expression }) => this.expression(expression));
    this.inItem = false;
    let sql = `SELECT ${select.distinct ? 'DISTINCT ' : ''}${items.join(', ')}${from}`;
    if (select.where !== null) sql += ` WHERE ${this.expression(select.where)}`;
    this.inItem = true;
    const keys = analysis.groupKeys.map((key) => this.expression(key));
    this.inItem = false;
    if (select.sampleBy !== null) keys.push(this.sampleBucket());
    if (keys.length > 0) sql += ` GROUP BY ${[...new Set(keys)].join(', ')}`;
    if (select.having !== null) sql += ` HAVING ${this.expression(select.having)}`;
    if (select.latestOn !== null) {
      const { column, partitionBy } = select.latestOn;
      const by = partitionBy.map((key) => this.expression(key)).join(', ');
      sql += ` QUALIFY row_number() OVER (PARTITION BY ${by} ORDER BY ${this.expression(column)} DESC NULLS LAST, ${this.place()} DESC) = 1`;
    }
    return sql;
  }

  /** The storage order's column of the first source. */
  private place(): string {
    const source = this.select?.analysis.scope.sources[0]?.source;
    if (source === undefined || source.kind !== 'table' || this.analysis.commonTables.has(source))
      throw new Untranslatable('storage order of a subquery');
    return `${this.nameOf(source)}._place`;
  }

  private hasPlace(): boolean {
    const { grouping, scope } = this.select!.analysis;
    const source = scope.sources[0]?.source;
    return grouping === 'rows' && source?.kind === 'table' && !this.analysis.commonTables.has(source);
  }

  private eventTime(): string {
    const source = this.select!.analysis.scope.sources[0]!;
    if (source.timestamp === null) throw new Untranslatable('no event time');
    return `${this.nameOf(source.source)}.${quote(source.timestamp)}`;
  }

  private sampleBucket(): string {
    const { node, analysis } = this.select!;
    return xbar(this.column(analysis.timeColumn!), String(node.sampleBy!.everyNs));
  }

  // ---------------------------------------------------------------------------------------------------------
  // FROM

  private nameOf(source: TableSource): string {
    const known = this.names.get(source);
    if (known !== undefined) return known;
    const made = `s${this.names.size}`;
    this.names.set(source, made);
    return made;
  }

  private table(table: TableExpression): string {
    if (table.kind === 'join') return this.join(table);
    return this.source(table);
  }

  private source(source: TableSource): string {
    const name = this.nameOf(source);
    switch (source.kind) {
      case 'table': {
        if (source.sampleRatio !== null) throw new Untranslatable('SAMPLE');
        const columns = this.analysis.sources.get(source)!.columns;
        const isCommon = this.analysis.commonTables.has(source);
        return isCommon
          ? `${quote(source.table.name)} AS ${name}(${columns.map((column) => quote(column.name)).join(', ')})`
          : `${quote(source.table.name)} AS ${name}`;
      }
      case 'derived': {
        const columns = this.analysis.sources.get(source)!.columns;
        return `(${this.query(source.query)}) AS ${name}(${columns.map((column, i) => unique(column.name, i, columns)).join(', ')})`;
      }
      default:
        throw new Untranslatable('table function');
    }
  }

  private join(join: Join): string {
    const left = this.table(join.left);
    const { equalities, asof, window, residual } = this.analysis.joins.get(join)!;
    const on = [
      ...equalities.map((pair) => `${this.expression(pair.left)} = ${this.expression(pair.right)}`),
      ...residual.map((e) => this.expression(e)),
    ];
    switch (join.join) {
      case 'CROSS':
        return `${left} CROSS JOIN ${this.source(join.right)}`;
      case 'INNER':
      case 'LEFT':
      case 'RIGHT':
      case 'FULL':
        return `${left} ${join.join} JOIN ${this.source(join.right)} ON ${on.join(' AND ')}`;
      case 'ASOF':
      case 'AJ0':
      case 'ASOF LEFT':
      case 'AJ0 LEFT': {
        const right = this.source(join.right);
        const name = this.nameOf(join.right);
        const [l, r] = [this.expression(asof!.left), this.expression(asof!.right)];
        on.push(`${l} ${asof!.strict ? '>' : '>='} ${r}`);
        const isBase = join.right.kind === 'table' && !this.analysis.commonTables.has(join.right);
        const order = isBase ? `${r} DESC, ${name}._place DESC` : `${r} DESC`;
        const last = `SELECT ${name}.* FROM ${right} WHERE ${on.join(' AND ')} ORDER BY ${order} LIMIT 1`;
        const close =
          join.toleranceNs === null
            ? last
            : `SELECT * FROM (${last}) AS ${name} WHERE ${l} - ${r} <= ${join.toleranceNs}`;
        return `${left} ${join.join.endsWith('LEFT') ? 'LEFT' : 'INNER'} JOIN LATERAL (${close}) AS ${name} ON true`;
      }
      case 'WINDOW':
        void window;
        return left;
      default:
        throw new Untranslatable(`${join.join} JOIN`);
    }
  }

  private column(column: ScopeColumn): string {
    const parts = column.places.map(({ source, index }) => {
      const { columns } = this.analysis.sources.get(source)!;
      return `${this.nameOf(source)}.${unique(columns[index]!.name, index, columns)}`;
    });
    if (parts.length === 1) return parts[0]!;
    return column.combine === 'first'
      ? `coalesce(${parts.join(', ')})`
      : `(${parts[0]} + coalesce(${parts[1]}, 0))`;
  }

  // ---------------------------------------------------------------------------------------------------------
  // Expressions

  private type(e: Expression): SqlType {
    return this.analysis.types.get(e)!;
  }

  private expression(e: Expression): string {
    switch (e.kind) {
      case 'string':
        if (this.type(e).name === 'TIMESTAMP_NS') return `${parseTimestamp(e.value)}::BIGINT`;
        return printLiteral(e);
      case 'timestamp':
      case 'interval':
        return `${e.ns}::BIGINT`;
      case 'integer':
        return `(${e.value})::BIGINT`;
      case 'null':
      case 'boolean':
      case 'decimal':
      case 'float':
        return `(${printLiteral(e)})`;
      case 'column':
        return this.reference(e);
      case 'parameter':
        throw new Untranslatable('parameter');
      case 'negate':
        return `(-${this.expression(e.operand)})`;
      case 'not':
        return `(NOT ${this.expression(e.operand)})`;
      case 'logical':
        return `(${e.operands.map((operand) => this.expression(operand)).join(` ${e.operator} `)})`;
      case 'binary':
        return this.binary(e);
      case 'is-null':
        return `(${this.expression(e.operand)} IS ${not(e.negated)}NULL)`;
      case 'between':
        return `(${this.expression(e.operand)} ${not(e.negated)}BETWEEN ${this.expression(e.low)} AND ${this.expression(e.high)})`;
      case 'in-list':
        return `(${this.expression(e.operand)} ${not(e.negated)}IN (${e.items.map((item) => this.expression(item)).join(', ')}))`;
      case 'in-query':
        return `(${this.expression(e.operand)} ${not(e.negated)}IN (${this.query(e.query)}))`;
      case 'like': {
        const operand = isText(this.type(e.operand))
          ? this.expression(e.operand)
          : `CAST(${this.expression(e.operand)} AS VARCHAR)`;
        const escaped = e.escape === null ? '' : ` ESCAPE '${e.escape}'`;
        return `(${operand} ${not(e.negated)}${e.ignoreCase ? 'ILIKE' : 'LIKE'} ${this.expression(e.pattern)}${escaped})`;
      }
      case 'case': {
        const operand = e.operand === null ? '' : ` ${this.expression(e.operand)}`;
        const branches = e.branches.map(
          ({ when, result }) => ` WHEN ${this.expression(when)} THEN ${this.expression(result)}`,
        );
        const otherwise = e.otherwise === null ? '' : ` ELSE ${this.expression(e.otherwise)}`;
        return `(CASE${operand}${branches.join('')}${otherwise} END)`;
      }
      case 'cast':
        return this.cast(this.expression(e.operand), this.type(e.operand), e.type);
      case 'call':
        return this.call(e);
      case 'scalar-query':
        return `(${this.query(e.query)})`;
      case 'exists':
        return `(EXISTS (${this.query(e.query)}))`;
    }
  }

  private reference(e: ColumnReference): string {
    const reference = this.analysis.references.get(e)!;
    if (reference.kind === 'item')
      return this.expression(this.select!.analysis.items[reference.index]!.expression);
    const { column } = reference;
    const time = this.select?.analysis.timeColumn ?? null;
    const isBucket =
      this.inItem &&
      !this.inAggregate &&
      time !== null &&
      time.places[0]!.index === column.places[0]!.index &&
      time.places[0]!.source === column.places[0]!.source;
    return isBucket ? this.sampleBucket() : this.column(column);
  }

  private inAggregate = false;
  /** Where SAMPLE BY's event time means its bucket. */
  private inItem = false;

  private binary(e: Extract<Expression, { kind: 'binary' }>): string {
    const [left, right] = [this.expression(e.left), this.expression(e.right)];
    if (e.operator === '/') return `(CAST(${left} AS DOUBLE) / CAST(${right} AS DOUBLE))`;
    if (e.operator === '||') return `(${this.text(e.left)} || ${this.text(e.right)})`;
    if (isFloat(this.type(e)) && isNumber(this.type(e)))
      return `(CAST(${left} AS DOUBLE) ${e.operator} CAST(${right} AS DOUBLE))`;
    const type = this.type(e);
    const text = `(${left} ${e.operator} ${right})`;
    // DuckDB widens with each operation, and gives up decimals for it in the end.
    return type.name === 'DECIMAL' ? `CAST(${text} AS DECIMAL(18, ${type.scale}))` : text;
  }

  private text(e: Expression): string {
    const type = this.type(e);
    if (type.name === 'TIMESTAMP_NS' || isFloat(type)) throw new Untranslatable('text of a time or float');
    return `CAST(${this.expression(e)} AS VARCHAR)`;
  }

  private cast(text: string, from: SqlType, to: SqlType): string {
    if (to.name === 'STRING' && (from.name === 'TIMESTAMP_NS' || isFloat(from)))
      throw new Untranslatable('text of a time or float');
    const names: Readonly<Record<string, string>> = {
      INT64: 'BIGINT',
      INT32: 'INTEGER',
      FLOAT64: 'DOUBLE',
      FLOAT32: 'FLOAT',
      TIMESTAMP_NS: 'BIGINT',
      STRING: 'VARCHAR',
      BOOL: 'BOOLEAN',
    };
    const name = to.name === 'DECIMAL' ? typeText(to) : names[to.name];
    if (name === undefined || (from.name === 'STRING' && to.name === 'TIMESTAMP_NS'))
      throw new Untranslatable(`cast to ${to.name}`);
    return `CAST(${text} AS ${name})`;
  }

  private call(call: Call): string {
    const spec = functionByName(call.name)!;
    if (call.over !== null) return this.windowCall(call, spec.name);
    if (spec.kind === 'aggregate') {
      const { grouping, scope } = this.select!.analysis;
      this.inAggregate = true;
      const text = this.aggregate(call, spec.name);
      this.inAggregate = false;
      if (grouping !== 'window-join') return text;
      const join = this.select!.node.from as Join;
      const { equalities, window } = this.analysis.joins.get(join)!;
      const conditions = [
        ...equalities.map((pair) => `${this.expression(pair.left)} = ${this.expression(pair.right)}`),
        `${this.expression(window!.time)} BETWEEN ${this.expression(window!.low)} AND ${this.expression(window!.high)}`,
      ];
      return `(SELECT ${text} FROM ${this.source(scope.windowSource!)} WHERE ${conditions.join(' AND ')})`;
    }
    return this.scalar(spec.name, call);
  }

  private scalar(name: string, call: Call): string {
    const args = call.args.map((arg) => this.expression(arg));
    const [a, b] = args;
    const unit = (units: Readonly<Record<string, string>>): string =>
      units[String(constantOf(call.args[0]!)).toLowerCase()]!;
    switch (name) {
      case 'xbar':
      case 'time_bucket': {
        const [x, n] = name === 'xbar' ? [0, 1] : [1, 0];
        const type = this.type(call.args[x]!);
        if (isFloat(type) || type.name === 'DECIMAL')
          return `(floor(CAST(${args[x]} AS DOUBLE) / ${args[n]}) * ${args[n]})`;
        return xbar(args[x]!, args[n]!);
      }
      case 'date_trunc': {
        const to = unit(truncUnits);
        const fixed = fixedUnits[to];
        if (fixed !== undefined) return xbar(b!, String(fixed));
        return `(epoch_us(CAST(date_trunc('${to}', make_timestamp(${b} // 1000)) AS TIMESTAMP)) * 1000)`;
      }
      case 'date_part': {
        const part = unit(partUnits);
        if (part === 'nanosecond') return `(${b} % 60000000000)`;
        if (part === 'epoch') return `(${b} // 1000000000)`;
        return `CAST(date_part('${part}', make_timestamp(${b} // 1000)) AS BIGINT)`;
      }
      case 'epoch_s':
        return `(${a} // 1000000000)`;
      case 'epoch_ms':
        return `(${a} // 1000000)`;
      case 'epoch_us':
        return `(${a} // 1000)`;
      case 'epoch_ns':
      case 'make_timestamp_ns':
        return a!;
      case 'make_timestamp':
        return `(${a} * 1000)`;
      case 'now':
        return '1711013400000000000';
      case 'mod':
        return `(${a} % ${b})`;
      case 'ln':
      case 'log10':
      case 'log2':
        return `(CASE WHEN ${a} > 0 THEN ${name}(CAST(${a} AS DOUBLE)) END)`;
      case 'sqrt':
        return `(CASE WHEN ${a} >= 0 THEN sqrt(CAST(${a} AS DOUBLE)) END)`;
      case 'if':
        return `(CASE WHEN ${args[0]} THEN ${args[1]} ELSE ${args[2]} END)`;
      case 'concat':
        return `concat(${call.args.map((arg) => this.text(arg)).join(', ')})`;
      case 'round':
        return `round(${a}, CAST(${b ?? 0} AS INTEGER))`;
      case 'sign':
        return `CAST(sign(${a}) AS BIGINT)`;
      case 'substr':
        return isText(this.type(call.args[0]!))
          ? `substr(${args.join(', ')})`
          : `substr(CAST(${a} AS VARCHAR), ${args.slice(1).join(', ')})`;
      case 'haversine':
      case 'st_within':
      case 'version':
      case 'timezone':
      case 'current_database':
      case 'symbol_id':
        throw new Untranslatable(name);
      default:
        return `${name}(${args.join(', ')})`;
    }
  }

  /** `over`: written after the aggregate. */
  private aggregate(call: Call, name: string, over = ''): string {
    const args = call.args.map((arg) => this.expression(arg));
    const [x, y] = args;
    const filters = call.filter === null ? [] : [this.expression(call.filter)];
    const filtered = (text: string, more: readonly string[] = []): string => {
      const all = [...filters, ...more];
      return `${text}${all.length === 0 ? '' : ` FILTER (WHERE ${all.join(' AND ')})`}${over}`;
    };
    if (call.star) return filtered('count(*)');
    const distinct = call.distinct ? 'DISTINCT ' : '';
    const known = (...texts: string[]): string[] => texts.map((text) => `${text} IS NOT NULL`);
    const double = (text: string): string => `CAST(${text} AS DOUBLE)`;
    switch (name.replace(/^wj_/, '')) {
      case 'count':
      case 'min':
      case 'max':
        return filtered(`${name.replace(/^wj_/, '')}(${distinct}${x})`);
      case 'sum':
        return filtered(
          isFloat(this.type(call.args[0]!)) ? `sum(${distinct}${double(x!)})` : `sum(${distinct}${x})`,
        );
      case 'avg':
        return isFloat(this.type(call.args[0]!))
          ? filtered(`avg(${distinct}${double(x!)})`)
          : `(${double(filtered(`sum(${distinct}${x})`))} / ${filtered(`count(${distinct}${x})`)})`;
      case 'first':
        return filtered(`arg_min(${x}, ${this.rowOrder()})`, known(x!));
      case 'last':
        return filtered(`arg_max(${x}, ${this.rowOrder()})`, known(x!));
      case 'any_value':
        return filtered(
          `arg_min(${x}, ${this.select!.analysis.grouping === 'window-join' ? this.rowOrder() : this.place()})`,
          known(x!),
        );
      case 'vwap': {
        const isExact = !call.args.some((arg) => isFloat(this.type(arg)));
        const product = isExact ? `${x}::DECIMAL(38, 8) * ${y}` : `${double(x!)} * ${double(y!)}`;
        return `(${double(filtered(`sum(${product})`, known(x!, y!)))} / nullif(${double(filtered(`sum(${y})`, known(x!, y!)))}, 0))`;
      }
      case 'arg_min':
        return filtered(`arg_min(${x}, row(${y}, ${this.eventTime()}, ${this.place()}))`, known(x!, y!));
      case 'arg_max':
        return filtered(`arg_max(${x}, row(${y}, -${this.eventTime()}, -${this.place()}))`, known(x!, y!));
      case 'bool_and':
      case 'bool_or':
        return filtered(`${name}(${x})`);
      case 'var_pop':
      case 'var_samp':
      case 'stddev_pop':
      case 'stddev_samp':
        return filtered(`${name}(${double(x!)})`);
      case 'median':
        return filtered(`median(${double(x!)})`);
      case 'percentile_cont':
        return filtered(`quantile_cont(${double(x!)}, ${Number(constantOf(call.args[1]!)) / 100})`);
      case 'percentile': {
        const list = filtered(`list(${x})`, known(x!));
        const count = filtered(`count(${x})`);
        return `(list_sort(${list}))[CAST(floor(${Number(constantOf(call.args[1]!))} * (${count} - 1) / 100) AS BIGINT) + 1]`;
      }
      default:
        throw new Untranslatable(name);
    }
  }

  private rowOrder(): string {
    const { grouping, scope } = this.select!.analysis;
    if (grouping === 'window-join') {
      const join = this.select!.node.from as Join;
      const name = this.nameOf(scope.windowSource!);
      return `row(${this.expression(this.analysis.joins.get(join)!.window!.time)}, ${name}._place)`;
    }
    return `row(${this.eventTime()}, ${this.place()})`;
  }

  private windowCall(call: Call, name: string): string {
    const over = call.over!;
    const frame = over.frame === null ? '' : ` ${frameText(over.frame)}`;
    const partition =
      over.partitionBy.length === 0
        ? ''
        : `PARTITION BY ${over.partitionBy.map((e) => this.expression(e)).join(', ')} `;
    const orders = over.orderBy.map((item) => this.ordered(item, this.expression(item.expression)));
    // Where single rows matter and not peers, ties go by storage order.
    const byRow =
      ['row_number', 'lag', 'lead', 'delta', 'ratio'].includes(name) || over.frame?.unit === 'ROWS';
    if (byRow && this.hasPlace()) orders.push(this.place());
    const spec = ` OVER (${partition}${orders.length === 0 ? '' : `ORDER BY ${orders.join(', ')}`}${frame})`;
    const args = call.args.map((arg) => this.expression(arg));
    switch (name) {
      case 'row_number':
      case 'rank':
      case 'dense_rank':
      case 'lag':
      case 'lead':
      case 'first_value':
      case 'last_value':
      case 'nth_value':
        return `${name}(${args.join(', ')})${spec}`;
      case 'delta':
        return `(${args[0]} - lag(${args[0]})${spec})`;
      case 'ratio':
        return `(CAST(${args[0]} AS DOUBLE) / CAST(lag(${args[0]})${spec} AS DOUBLE))`;
      case 'first':
      case 'last':
      case 'any_value':
      case 'arg_min':
      case 'arg_max':
      case 'ema':
      case 'percentile':
        throw new Untranslatable(`${name} OVER`);
      default:
        return this.aggregate(call, name, spec);
    }
  }

  private ordered(item: OrderItem, text: string): string {
    return `${text}${item.descending ? ' DESC' : ''} NULLS ${item.nullsFirst ? 'FIRST' : 'LAST'}`;
  }
}

const quote = (name: string): string => `"${name.replaceAll('"', '""')}"`;
const not = (negated: boolean): string => (negated ? 'NOT ' : '');

/** Columns of one name get their place behind it. */
function unique(name: string, index: number, columns: readonly { name: string }[]): string {
  return quote(columns.findIndex((column) => column.name === name) === index ? name : `${name}#${index}`);
}

const xbar = (x: string, n: string): string => `(${x} - ((${x} % ${n}) + ${n}) % ${n})`;

function countOf(count: NonNullable<Query['limit']>): string {
  if (count.kind !== 'integer') throw new Untranslatable('parameter');
  return String(count.value);
}

function frameText(frame: Frame): string {
  return `${frame.unit} BETWEEN ${boundText(frame.start)} AND ${boundText(frame.end)}`;
}

function boundText(bound: FrameBound): string {
  switch (bound.kind) {
    case 'preceding':
    case 'following': {
      const offset = bound.offset.kind === 'interval' ? String(bound.offset.ns) : printLiteral(bound.offset);
      return `${offset} ${bound.kind.toUpperCase()}`;
    }
    default:
      return bound.kind.toUpperCase().replace('-', ' ');
  }
}
