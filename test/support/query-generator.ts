// What: random queries of the dialect over the test tables.
// Why: nobody thinks of every combination of clauses, types, NULLs and tiers; twenty thousand of them find what was forgotten.
// Invariant: the same seed gives the same query; each has one right answer: LIMIT stands only after an ORDER BY that `seq` completes.

import { seededRandom } from './query-data.ts';

type Kind = 'int' | 'decimal' | 'float' | 'bool' | 'text' | 'time';

interface Source {
  readonly table: string;
  readonly columns: Readonly<Record<Kind, readonly string[]>>;
}

const sources: Readonly<Record<string, Source>> = {
  ticks: {
    table: 'ticks',
    columns: {
      int: ['seq', 'volume', 'flags'],
      decimal: ['price'],
      float: ['ratio'],
      bool: ['side'],
      text: ['symbol', 'venue'],
      time: ['timestamp'],
    },
  },
  quotes: {
    table: 'quotes',
    columns: {
      int: ['seq', 'size'],
      decimal: ['bid', 'ask'],
      float: [],
      bool: [],
      text: ['symbol'],
      time: ['timestamp'],
    },
  },
  fills: {
    table: 'fills',
    columns: {
      int: ['seq'],
      decimal: [],
      float: ['fee'],
      bool: [],
      text: ['symbol', 'venue'],
      time: ['timestamp', 'sent'],
    },
  },
};

export function generateQuery(seed: number): string {
  return new Generator(seededRandom(Math.imul(seed + 1, 0x9e3779b1))).query();
}

class Generator {
  private readonly random: () => number;
  /** Columns in sight, qualified where they must be. */
  private scope: Readonly<Record<Kind, readonly string[]>> = sources.ticks!.columns;

  constructor(random: () => number) {
    this.random = random;
    for (let i = 0; i < 8; i++) random();
  }

  query(): string {
    return this.pick<() => string>([
      () => this.rows(),
      () => this.rows(),
      () => this.distinct(),
      () => this.totals(),
      () => this.groups(),
      () => this.groups(),
      () => this.bars(),
      () => this.bars(),
      () => this.windows(),
      () => this.windows(),
      () => this.join(),
      () => this.join(),
      () => this.asof(),
      () => this.windowJoin(),
      () => this.sampleBy(),
      () => this.latest(),
      () => this.setOperation(),
      () => this.nested(),
    ])();
  }

  // ---------------------------------------------------------------------------------------------------------
  // Shapes

  private rows(): string {
    const { table } = this.enter();
    const items = ['seq', ...this.list(1, 4, () => this.any(3))];
    return `SELECT ${items.join(', ')} FROM ${table}${this.where()}${this.orderAndLimit()}`;
  }

  private distinct(): string {
    const { table } = this.enter();
    return `SELECT DISTINCT ${this.list(1, 3, () => this.exact(2)).join(', ')} FROM ${table}${this.where()}`;
  }

  private totals(): string {
    const { table } = this.enter();
    return `SELECT ${this.list(1, 5, () => this.aggregate()).join(', ')} FROM ${table}${this.where()}`;
  }

  private groups(): string {
    const { table } = this.enter();
    const keys = this.list(1, 3, () => this.exact(2));
    const aggregates = this.list(0, 4, () => this.aggregate());
    const having = this.chance(0.25)
      ? ` HAVING count(*) ${this.pick(['>', '<=', '<>'])} ${this.whole(0, 12)}`
      : '';
    const numbers = keys.map((_, i) => i + 1).join(', ');
    return `SELECT ${[...keys, ...aggregates].join(', ')} FROM ${table}${this.where()} GROUP BY ${numbers}${having}`;
  }

  /** What the kernels take: plain columns by symbol and bucket, under time and symbol conditions. */
  private bars(): string {
    const source = this.enter();
    const { int, decimal, float, text, time } = source.columns;
    const column = (): string => this.pick([...int, ...decimal, ...float]);
    const exact = (): string => this.pick([...int, ...decimal]);
    const keys = this.pick<readonly string[]>([
      [],
      ['symbol'],
      [this.bucket()],
      ['symbol', this.bucket()],
      [this.bucket(), 'symbol'],
    ]);
    // Groups of which nothing is wanted but that they are.
    const least = keys.length === 0 ? 1 : 0;
    const aggregates = this.list(least, 5, () =>
      this.pick([
        () => 'count(*)',
        () => `count(${column()})`,
        () => `sum(${column()})`,
        () => `avg(${column()})`,
        () => `min(${this.pick([...int, ...decimal, ...float, ...time])})`,
        () => `max(${this.pick([...int, ...decimal, ...float, ...time])})`,
        () => `first(${this.pick([...int, ...decimal, ...float, ...text])})`,
        () => `last(${this.pick([...int, ...decimal, ...float, ...time])})`,
        () => `vwap(${exact()}, ${exact()})`,
      ])(),
    );
    const conditions = this.list(0, 3, () =>
      this.pick([() => this.timeCondition(), () => this.valueCondition(), () => this.symbolCondition()])(),
    );
    const where = conditions.length === 0 ? '' : ` WHERE ${conditions.join(' AND ')}`;
    const group = keys.length === 0 ? '' : ` GROUP BY ${keys.map((_, i) => i + 1).join(', ')}`;
    return `SELECT ${[...keys, ...aggregates].join(', ')} FROM ${source.table}${where}${group}`;
  }

  private windows(): string {
    const { table } = this.enter();
    const calls = this.list(1, 3, () => this.windowCall());
    const inner = `SELECT seq, ${calls.join(', ')} FROM ${table}${this.where()}`;
    return this.chance(0.2) ? `${inner} ORDER BY seq LIMIT ${this.whole(1, 40)}` : inner;
  }

  private join(): string {
    const [left, right] = this.pick([
      ['ticks', 'fills'],
      ['ticks', 'quotes'],
      ['quotes', 'fills'],
      ['fills', 'ticks'],
    ]) as [string, string];
    this.enterBoth(left, right);
    const on = this.list(1, 2, () =>
      this.pick([
        () => 'a.symbol = b.symbol',
        () => 'a.seq = b.seq',
        () => 'a.seq % 7 = b.seq % 5',
        () => `a.symbol = b.symbol AND a.seq % ${this.whole(2, 9)} = b.seq % ${this.whole(2, 9)}`,
        () => 'a.seq = b.seq AND a.timestamp < b.timestamp',
      ])(),
    );
    const kind = this.pick(['JOIN', 'LEFT JOIN', 'RIGHT JOIN', 'FULL JOIN', 'INNER JOIN']);
    // A full join of DuckDB takes comparisons of both sides only, and so do ours.
    const condition = `a.seq % 3 = b.seq % 3 AND ${on.join(' AND ')}`;
    const from = `${left} a ${kind} ${right} b ON ${condition}`;
    if (this.chance(0.4)) {
      const keys = this.list(1, 2, () => this.exact(1));
      const aggregates = ['count(*)', ...this.list(0, 2, () => this.orderFreeAggregate())];
      return `SELECT ${[...keys, ...aggregates].join(', ')} FROM ${from}${this.where()} GROUP BY ${keys.map((_, i) => i + 1).join(', ')}`;
    }
    return `SELECT a.seq, b.seq, ${this.list(1, 2, () => this.any(2)).join(', ')} FROM ${from}${this.where()}`;
  }

  private asof(): string {
    const [left, right] = this.pick([
      ['ticks', 'quotes'],
      ['fills', 'ticks'],
      ['quotes', 'ticks'],
      ['ticks', 'fills'],
    ]) as [string, string];
    this.enterBoth(left, right);
    const keys = this.pick(['a.symbol = b.symbol AND ', 'a.symbol = b.symbol AND ', '']);
    const shift = this.pick(['', '', ` + ${this.interval()}`, ` - ${this.interval()}`]);
    const on = `${keys}a.timestamp${shift} ${this.pick(['>=', '>'])} b.timestamp`;
    const tolerance = this.chance(0.4) ? ` TOLERANCE ${this.interval()}` : '';
    const from = `${left} a ${this.pick(['ASOF JOIN', 'ASOF LEFT JOIN', 'AJ0 JOIN'])} ${right} b ON ${on}${tolerance}`;
    if (this.chance(0.3))
      return `SELECT a.symbol, count(*), count(b.seq), sum(b.seq) FROM ${from}${this.where()} GROUP BY a.symbol`;
    return `SELECT a.seq, b.seq, ${this.list(1, 2, () => this.any(2)).join(', ')} FROM ${from}${this.where()}`;
  }

  private windowJoin(): string {
    const [left, right] = this.pick([
      ['ticks', 'quotes'],
      ['fills', 'ticks'],
      ['quotes', 'ticks'],
    ]) as [string, string];
    this.scope = qualified(sources[left]!.columns, 'a');
    const where = this.where();
    this.scope = qualified(sources[right]!.columns, 'b');
    const calls = this.list(1, 3, () => this.orderFreeAggregate());
    const keys = this.pick(['a.symbol = b.symbol AND ', 'a.symbol = b.symbol AND ', '']);
    const on = `${keys}b.timestamp BETWEEN a.timestamp - ${this.interval()} AND a.timestamp${this.pick(['', ` + ${this.interval()}`, ' - 10s'])}`;
    return `SELECT a.seq, ${calls.join(', ')} FROM ${left} a WINDOW JOIN ${right} b ON ${on}${where}`;
  }

  private sampleBy(): string {
    const { table } = this.enter();
    const keys = this.pick<readonly string[]>([['timestamp'], ['timestamp', 'symbol'], ['symbol'], []]);
    const aggregates = this.list(1, 3, () => this.aggregate());
    return `SELECT ${[...keys, ...aggregates].join(', ')} FROM ${table}${this.where()} SAMPLE BY ${this.interval()}`;
  }

  private latest(): string {
    const source = this.enter();
    const keys = this.pick([
      ['symbol'],
      ['symbol'],
      [this.pick(source.columns.text)],
      [this.pick(source.columns.int)],
    ]);
    const where = this.chance(0.5)
      ? this.where()
      : ` WHERE ${this.pick([() => this.timeCondition(), () => this.symbolCondition()])()}`;
    return `SELECT seq, ${this.any(1)} FROM ${source.table}${where} LATEST ON timestamp PARTITION BY ${keys.join(', ')}`;
  }

  private setOperation(): string {
    const kinds = this.list(1, 2, () => this.pick<Kind>(['int', 'text', 'bool', 'time', 'decimal']));
    const side = (): string => {
      const { table } = this.enter();
      return `SELECT ${kinds.map((kind) => this.expression(kind, 1)).join(', ')} FROM ${table}${this.where()}`;
    };
    const operators = this.list(1, 2, () => this.pick(['UNION', 'UNION ALL', 'INTERSECT', 'EXCEPT']));
    return operators.reduce((left, operator) => `(${left}) ${operator} (${side()})`, side());
  }

  private nested(): string {
    const outer = this.enter();
    const inner = this.pick(Object.values(sources));
    return this.pick([
      () => {
        const condition = this.pick([
          `symbol ${this.pick(['IN', 'NOT IN'])} (SELECT symbol FROM ${inner.table} WHERE seq % ${this.whole(2, 40)} = 1)`,
          `seq ${this.pick(['IN', 'NOT IN'])} (SELECT seq * 3 FROM ${inner.table})`,
          `seq ${this.pick(['<', '>='])} (SELECT avg(seq) FROM ${inner.table})`,
          `timestamp ${this.pick(['<', '>='])} (SELECT ${this.pick(['min', 'max'])}(timestamp) FROM ${inner.table} WHERE seq > 20)`,
          `EXISTS (SELECT 1 FROM ${inner.table} WHERE seq > ${this.whole(0, 300)})`,
        ]);
        return `SELECT seq, ${this.any(1)} FROM ${outer.table} WHERE ${condition} AND ${this.bool(2)}`;
      },
      () => {
        const key = this.exact(2);
        const measure = this.orderFreeAggregate();
        return `SELECT k, n FROM (SELECT ${key}, count(*), ${measure} FROM ${outer.table}${this.where()} GROUP BY 1) AS t(k, n, m) WHERE n % 2 = ${this.whole(0, 1)}`;
      },
      () => {
        const filter = this.where();
        return `WITH w AS (SELECT * FROM ${outer.table}${filter}) SELECT x.seq, y.seq FROM w x JOIN w y ON x.seq = y.seq + ${this.whole(0, 3)} WHERE x.symbol = y.symbol`;
      },
    ])();
  }

  // ---------------------------------------------------------------------------------------------------------
  // Clauses

  private enter(): Source {
    const source = this.pick([sources.ticks!, sources.ticks!, sources.quotes!, sources.fills!]);
    this.scope = source.columns;
    return source;
  }

  private enterBoth(left: string, right: string): void {
    const l = qualified(sources[left]!.columns, 'a');
    const r = qualified(sources[right]!.columns, 'b');
    this.scope = Object.fromEntries(
      (Object.keys(l) as Kind[]).map((kind) => [kind, [...l[kind], ...r[kind]]]),
    ) as unknown as Source['columns'];
  }

  private where(): string {
    if (this.chance(0.35)) return '';
    return ` WHERE ${this.list(1, 2, () => this.pick([() => this.bool(3), () => this.timeCondition(), () => this.valueCondition(), () => this.symbolCondition()])()).join(' AND ')}`;
  }

  private timeCondition(): string {
    const time = this.pick(this.scope.time.filter((name) => name.endsWith('timestamp')));
    return this.pick([
      () => `${time} ${this.pick(['>=', '>', '<', '<='])} ${this.instant()}`,
      () => `${this.instant()} ${this.pick(['>=', '>', '<', '<='])} ${time}`,
      () => `${time} BETWEEN ${this.instant()} AND ${this.instant()}`,
      () => `${time} >= now() - ${this.whole(1, 9)}h`,
    ])();
  }

  /** A plain column beside a literal: compared as it is stored. */
  private valueCondition(): string {
    const { int, decimal, float, text } = this.scope;
    const whole = (): string => this.pick([...int, ...decimal]);
    const exact = (): string => this.literal(this.pick<Kind>(['int', 'decimal']));
    const operator = (): string => this.pick(['=', '<', '<=', '>', '>=']);
    return this.pick([
      () => `${whole()} ${operator()} ${exact()}`,
      () => `${exact()} ${operator()} ${whole()}`,
      () => `${whole()} BETWEEN ${exact()} AND ${exact()}`,
      () => `${this.pick([...float, ...int])} ${operator()} ${this.pick([exact(), this.literal('float')])}`,
      () => `${this.pick(text)} = ${this.literal('text')}`,
    ])();
  }

  private symbolCondition(): string {
    const symbol = this.pick(this.scope.text.filter((name) => name.endsWith('symbol')));
    return this.pick([
      () => `${symbol} = ${this.symbol()}`,
      () => `${symbol} <> ${this.symbol()}`,
      () => `${symbol} IN (${this.list(1, 4, () => this.symbol()).join(', ')})`,
      () => `${symbol} NOT IN (${this.list(1, 4, () => this.symbol()).join(', ')})`,
      () => `${symbol} LIKE ${this.pick(["'%S%'", "'A%'", "'_S%'", "'%A'"])}`,
      () => `${symbol} ${this.pick(['<', '>='])} ${this.symbol()}`,
    ])();
  }

  private orderAndLimit(): string {
    if (this.chance(0.5)) return '';
    const keys = this.list(
      0,
      2,
      () => `${this.exact(1)}${this.pick(['', ' DESC', ' NULLS FIRST', ' DESC NULLS FIRST'])}`,
    );
    const limit = this.chance(0.6) ? ` LIMIT ${this.whole(0, 60)}` : '';
    const offset = this.chance(0.2) ? ` OFFSET ${this.whole(0, 60)}` : '';
    return ` ORDER BY ${[...keys.filter((key) => !/^-?\d/.test(key)), 'seq'].join(', ')}${limit}${offset}`;
  }

  private windowCall(): string {
    const order = this.pick([
      'ORDER BY seq',
      'ORDER BY timestamp',
      'ORDER BY timestamp, seq',
      'ORDER BY seq DESC',
    ]);
    const partition = this.pick(['', 'PARTITION BY symbol ', `PARTITION BY ${this.exact(1)} `]);
    const rows = this.rowsFrame();
    return this.pick([
      () => `${this.pick(['row_number', 'rank', 'dense_rank'])}() OVER (${partition}${order})`,
      () =>
        `${this.pick(['rank', 'dense_rank'])}() OVER (${partition}ORDER BY ${this.exact(1)} ${this.pick(['', 'DESC', 'NULLS FIRST'])})`,
      () => `${this.pick(['lag', 'lead'])}(${this.any(1)}, ${this.whole(0, 4)}) OVER (${partition}${order})`,
      () => `${this.pick(['first_value', 'last_value'])}(${this.any(1)}) OVER (${partition}${order} ${rows})`,
      () => `nth_value(${this.any(1)}, ${this.whole(1, 4)}) OVER (${partition}${order} ${rows})`,
      () => `${this.frameAggregate()} OVER (${partition}${order} ${rows})`,
      () => `${this.frameAggregate()} OVER (${partition}${order} ${rows})`,
      () => `${this.frameAggregate()} OVER (${partition}${order})`,
      () => `${this.frameAggregate()} OVER (${partition.trim()})`,
      () => `${this.frameAggregate()} OVER (${partition}ORDER BY timestamp ${this.rangeFrame()})`,
      () =>
        `delta(${this.pick([...this.scope.int, ...this.scope.decimal, 'timestamp'])}) OVER (${partition}${order})`,
    ])();
  }

  private rowsFrame(): string {
    const before = this.pick(['UNBOUNDED PRECEDING', `${this.whole(0, 9)} PRECEDING`, 'CURRENT ROW']);
    const after = this.pick(['CURRENT ROW', `${this.whole(0, 9)} FOLLOWING`, 'UNBOUNDED FOLLOWING']);
    return this.chance(0.15)
      ? `ROWS BETWEEN ${this.whole(3, 9)} PRECEDING AND ${this.whole(0, 3)} PRECEDING`
      : `ROWS BETWEEN ${before} AND ${after}`;
  }

  private rangeFrame(): string {
    return `RANGE BETWEEN ${this.pick([`${this.interval()} PRECEDING`, 'UNBOUNDED PRECEDING', 'CURRENT ROW'])} AND ${this.pick(['CURRENT ROW', `${this.interval()} FOLLOWING`])}`;
  }

  private frameAggregate(): string {
    const number = (): string => this.pick([...this.scope.int, ...this.scope.decimal, ...this.scope.float]);
    return this.pick([
      () => 'count(*)',
      () => `count(${this.any(1)})`,
      () => `sum(${this.exactNumber(1)})`,
      () => `avg(${number()})`,
      () => `min(${this.any(1)})`,
      () => `max(${this.any(1)})`,
      () => `sum(${number()}) FILTER (WHERE ${this.bool(1)})`,
    ])();
  }

  private aggregate(): string {
    return this.pick([
      () => this.orderFreeAggregate(),
      () => this.orderFreeAggregate(),
      () => this.orderFreeAggregate(),
      () => `${this.pick(['first', 'last'])}(${this.any(1)})`,
      () => `${this.pick(['arg_min', 'arg_max'])}(seq, ${this.exact(1)})`,
    ])();
  }

  private orderFreeAggregate(): string {
    const filter = this.chance(0.15) ? ` FILTER (WHERE ${this.bool(1)})` : '';
    const text = this.pick([
      () => 'count(*)',
      () => `count(${this.any(2)})`,
      () => `count(DISTINCT ${this.exact(2)})`,
      () => `sum(${this.exactNumber(2)})`,
      () => `avg(${this.number(2)})`,
      () => `min(${this.any(2)})`,
      () => `max(${this.any(2)})`,
      () => `vwap(${this.exactNumber(1)}, ${this.expression('int', 1)})`,
      () =>
        `${this.pick(['stddev', 'var_samp', 'stddev_samp', 'var_pop'])}(${this.pick([...this.scope.int, ...this.scope.decimal])})`,
      () => `median(${this.exactNumber(1)})`,
      () => `percentile(${this.exactNumber(1)}, ${this.pick(['0', '25', '50', '90', '99.5', '100'])})`,
      () => `percentile_cont(${this.exactNumber(1)}, ${this.pick(['0', '25', '37.5', '50', '100'])})`,
      () => `${this.pick(['bool_and', 'bool_or'])}(${this.bool(1)})`,
      () => `sum(DISTINCT ${this.pick(this.scope.int)})`,
    ])();
    return `${text}${filter}`;
  }

  // ---------------------------------------------------------------------------------------------------------
  // Expressions

  private any(depth: number): string {
    return this.expression(
      this.pick<Kind>(['int', 'int', 'decimal', 'float', 'bool', 'text', 'time']),
      depth,
    );
  }

  /** Of a type whose values are equal or not without a doubt. */
  private exact(depth: number): string {
    return this.expression(this.pick<Kind>(['int', 'decimal', 'bool', 'text', 'text', 'time']), depth);
  }

  private number(depth: number): string {
    return this.expression(this.pick<Kind>(['int', 'decimal', 'float']), depth);
  }

  private exactNumber(depth: number): string {
    return this.expression(this.pick<Kind>(['int', 'decimal']), depth);
  }

  private expression(kind: Kind, depth: number): string {
    const columns = this.scope[kind];
    const column = (): string => (columns.length === 0 ? this.literal(kind) : this.pick(columns));
    if (depth <= 0) return this.chance(0.8) ? column() : this.literal(kind);
    if (this.chance(0.3)) return column();
    const sub = (of: Kind): string => wrapped(this.expression(of, depth - 1));
    const chosen = (): string =>
      this.pick([
        () => `CASE WHEN ${this.bool(depth - 1)} THEN ${sub(kind)} ELSE ${sub(kind)} END`,
        () => `CASE WHEN ${this.bool(depth - 1)} THEN ${sub(kind)} END`,
        () => `coalesce(${sub(kind)}, ${sub(kind)})`,
        () => `nullif(${sub(kind)}, ${this.literal(kind)})`,
        () => `if(${this.bool(depth - 1)}, ${sub(kind)}, ${sub(kind)})`,
        () => `${this.pick(['greatest', 'least'])}(${sub(kind)}, ${sub(kind)})`,
      ])();
    switch (kind) {
      case 'int':
        return this.pick([
          () => `${sub('int')} ${this.pick(['+', '-'])} ${sub('int')}`,
          () => `(${sub('int')}) * ${this.whole(-5, 9)}`,
          () =>
            `(${sub('int')}) ${this.pick(['//', '%'])} ${this.pick(['7', '-3', '10', '0', '(flags_or_seq)'])}`,
          () => `-(${sub('int')})`,
          () => this.pick([`abs(${sub('int')})`, `sign(${this.number(depth - 1)})`]),
          () => `length(${sub('text')})`,
          () => `xbar(${sub('int')}, ${this.whole(1, 50)})`,
          () =>
            `date_part('${this.pick(['year', 'month', 'day', 'hour', 'minute', 'second', 'dow', 'doy', 'week', 'ms', 'us'])}', ${this.pick(this.scope.time)})`,
          () =>
            `${this.pick(['epoch_s', 'epoch_ms', 'epoch_us', 'epoch_ns'])}(${this.pick(this.scope.time)})`,
          () => `${sub('time')} - ${sub('time')}`,
          () => `CAST(${sub('bool')} AS INT64)`,
          () => `strpos(${sub('text')}, ${this.pick(["'S'", "'A'", "''"])})`,
          chosen,
        ])().replace('(flags_or_seq)', `(${this.pick(this.scope.int)} + 1)`);
      case 'decimal':
        return this.pick([
          () => `${sub('decimal')} ${this.pick(['+', '-'])} ${wrapped(this.exactNumber(depth - 1))}`,
          () => `${column()} * ${this.pick([this.whole(-3, 9), '0.5', '1.25'])}`,
          () => `-(${sub('decimal')})`,
          () => `abs(${sub('decimal')})`,
          () => `${this.pick(['floor', 'ceil', 'trunc'])}(${column()})`,
          () => `round(${column()}, ${this.whole(-1, 5)})`,
          () => `${column()} % ${this.pick(['7', '0.25', '-3'])}`,
          chosen,
        ])();
      case 'float':
        return this.pick([
          () =>
            `${wrapped(this.number(depth - 1))} / ${this.pick(['3', '0.7', '2e0', wrapped(this.exactNumber(depth - 1))])}`,
          () => `${sub('float')} ${this.pick(['+', '-', '*'])} ${this.pick(['1.5e0', '2', '0.1e0'])}`,
          () => `CAST(${this.exactNumber(depth - 1)} AS FLOAT64)`,
          () => `sqrt(abs(${this.number(depth - 1)}))`,
          () => `abs(${sub('float')})`,
          () => `round(${column()}, 1)`,
          chosen,
        ])();
      case 'bool':
        return this.bool(depth);
      case 'text':
        return this.pick([
          () => `${this.pick(['lower', 'upper', 'trim'])}(${sub('text')})`,
          () => `substr(${sub('text')}, ${this.whole(1, 4)}, ${this.whole(0, 4)})`,
          () => `concat(${sub('text')}, '-', ${this.pick([sub('text'), this.pick(this.scope.int)])})`,
          () => `${sub('text')} || ${sub('text')}`,
          () => `replace(${sub('text')}, 'S', 'x')`,
          () => `CAST(${this.pick(this.scope.int)} AS STRING)`,
          chosen,
        ])();
      case 'time':
        return this.pick([
          () => `${sub('time')} ${this.pick(['+', '-'])} ${this.interval()}`,
          () => `xbar(${this.pick(this.scope.time)}, ${this.interval()})`,
          () =>
            `date_trunc('${this.pick(['us', 'ms', 's', 'min', 'hour', 'day', 'week', 'month', 'quarter', 'year'])}', ${this.pick(this.scope.time)})`,
          chosen,
        ])();
    }
  }

  private bool(depth: number): string {
    if (depth <= 0)
      return this.chance(0.5) && this.scope.bool.length > 0 ? this.pick(this.scope.bool) : this.comparison(0);
    return this.pick([
      () => this.comparison(depth - 1),
      () => this.comparison(depth - 1),
      () => `(${this.bool(depth - 1)} ${this.pick(['AND', 'OR'])} ${this.bool(depth - 1)})`,
      () => `(NOT ${this.bool(depth - 1)})`,
      () => `((${this.any(depth - 1)}) IS ${this.pick(['', 'NOT '])}NULL)`,
    ])();
  }

  private comparison(depth: number): string {
    const operator = this.pick(['=', '<>', '<', '<=', '>', '>=']);
    const pair = (left: Kind, right: Kind): string =>
      `(${wrapped(this.expression(left, depth))} ${operator} ${wrapped(this.expression(right, depth))})`;
    return this.pick([
      () => pair('int', 'int'),
      () => pair('int', 'decimal'),
      () => pair('decimal', 'decimal'),
      () => pair('float', this.pick(['float', 'int', 'decimal'])),
      () => pair('text', 'text'),
      () => pair('time', 'time'),
      () =>
        `(${wrapped(this.expression('int', depth))} ${this.pick(['', 'NOT '])}BETWEEN ${this.whole(-5, 50)} AND ${this.whole(0, 400)})`,
      () =>
        `(${wrapped(this.expression('int', depth))} ${this.pick(['', 'NOT '])}IN (${this.list(1, 8, () => this.pick([this.whole(-4, 300), this.whole(-4, 9), 'NULL', '2.5'])).join(', ')}))`,
      () =>
        `(${wrapped(this.expression('text', depth))} ${this.pick(['', 'NOT '])}IN (${this.list(1, 6, () => this.literal('text')).join(', ')}))`,
      () =>
        `(${wrapped(this.expression('text', depth))} ${this.pick(['', 'NOT '])}${this.pick(['LIKE', 'ILIKE'])} ${this.pick(["'%A%'", "'N%'", "'_%S'", "'a\\_%'", "'%'", "''"])})`,
      () =>
        `(${wrapped(this.expression('decimal', depth))} IS ${this.pick(['', 'NOT '])}DISTINCT FROM ${wrapped(this.expression('int', depth))})`,
    ])();
  }

  private literal(kind: Kind): string {
    switch (kind) {
      case 'int':
        return this.pick([this.whole(-9, 9), this.whole(0, 1000), '0', '1']);
      case 'decimal':
        return this.pick(['150.25', '0.5', '151.0001', '-3.75', '149.999999']);
      case 'float':
        return this.pick(['1.5e0', '-2.25e2', '1e-3']);
      case 'bool':
        return this.pick(['TRUE', 'FALSE']);
      case 'text':
        return this.pick(["'NYSE'", "'AAPL'", "'XETRA'", "''", "'zz'", "'Ärger'"]);
      case 'time':
        return this.instant();
    }
  }

  private symbol(): string {
    return this.pick(["'AAPL'", "'MSFT'", "'TSLA'", "'ZZ'", "'NEW'", "'NONE'", "'Ärger'"]);
  }

  private instant(): string {
    const minute = Math.floor(this.random() * 420) - 30;
    const hour = String(6 + Math.floor(minute / 60)).padStart(2, '0');
    return `TIMESTAMP '2024-03-21 ${hour}:${String(((minute % 60) + 60) % 60).padStart(2, '0')}:${this.pick(['00', '30.5', '59.999999999'])}'`;
  }

  private interval(): string {
    return this.pick(['1s', '30s', '1m', '5m', '7m', '15m', '30m', '1h', '90m', '2h', '1d']);
  }

  private bucket(): string {
    const step = this.interval();
    return this.pick([
      `xbar(timestamp, ${step})`,
      `time_bucket(${step}, timestamp)`,
      `date_trunc('${this.pick(['ms', 's', 'min', 'hour', 'day', 'week'])}', timestamp)`,
    ]);
  }

  // ---------------------------------------------------------------------------------------------------------
  // Chance

  private pick<T>(list: readonly T[]): T {
    return list[Math.floor(this.random() * list.length)]!;
  }

  private chance(share: number): boolean {
    return this.random() < share;
  }

  private whole(from: number, to: number): string {
    return String(from + Math.floor(this.random() * (to - from + 1)));
  }

  private list<T>(least: number, most: number, make: () => T): T[] {
    return Array.from({ length: least + Math.floor(this.random() * (most - least + 1)) }, make);
  }
}

const wrapped = (text: string): string => (text.includes(' ') ? `(${text})` : text);

function qualified(columns: Source['columns'], alias: string): Source['columns'] {
  return Object.fromEntries(
    Object.entries(columns).map(([kind, names]) => [kind, names.map((name) => `${alias}.${name}`)]),
  ) as unknown as Source['columns'];
}
