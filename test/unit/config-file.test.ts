// What: tables and settings of the config file, good and bad.
// Why: tables decide how bytes become columns; a mistake there must be found before the first record.
// Invariant: arbitrary text ends as a Config or as CONFIG_INVALID, never otherwise.

import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { ColumnType } from '../../src/columns/types.ts';
import type { Config } from '../../src/config/config.ts';
import { loadConfig } from '../../src/config/load.ts';
import { defaultTables } from '../../src/config/tables.ts';
import { ZeptoError } from '../../src/kernel/errors.ts';

const argv = ['--brokers', 'b:1', '--group', 'g', '--config', 'z.yaml'];

const load = (file: string, ...more: string[]): Config =>
  loadConfig({ argv: [...argv, ...more], env: {}, readText: () => file }).config;

function problemsOf(file: string): readonly string[] {
  try {
    load(file);
  } catch (error) {
    if (error instanceof ZeptoError && error.code === 'CONFIG_INVALID')
      return error.context.problems as string[];
    throw error;
  }
  return [];
}

const BARS = `
tables:
  bars:
    topic: minute-bars
    format: json
    time-unit: ms
    scaled-numbers: scaled
    fields: {close: c}
    columns:
      - {name: at, type: TIMESTAMP_NS}
      - {name: sym, type: SYMBOL}
      - {name: close, type: INT64, scale: 6}
      - {name: note, type: STRING}
`;

describe('tables', () => {
  it('a declaration becomes a table, its topic and its format', () => {
    expect(load(BARS).tables).toEqual([
      {
        table: {
          name: 'bars',
          columns: [
            { name: 'at', type: ColumnType.TIMESTAMP_NS },
            { name: 'sym', type: ColumnType.SYMBOL },
            { name: 'close', type: ColumnType.INT64, scale: 6 },
            { name: 'note', type: ColumnType.STRING },
          ],
          timestampColumn: 0,
          symbolColumn: 1,
        },
        topic: 'minute-bars',
        format: { kind: 'json', fields: { names: { close: 'c' }, timeUnit: 'ms', scaledNumbers: 'scaled' } },
      },
    ]);
  });

  it('--topics adds tables and overrides their topics', () => {
    const topics = load(BARS, '--topics', 'trades=ticks,bars=other').tables.map((t) => [
      t.table.name,
      t.topic,
    ]);
    expect(topics).toEqual([
      ['bars', 'other'],
      ['trades', 'ticks'],
    ]);
  });

  it('a format for one table beats the declaration, a format for all does not', () => {
    expect(load(BARS, '--format', 'binary', '--time-unit', 'bars=us').tables[0]?.format).toMatchObject({
      kind: 'json',
      fields: { timeUnit: 'us' },
    });
    expect(
      load('tables: {trades: {topic: a}, quotes: {topic: b}}', '--format', 'binary,quotes=arrow').tables.map(
        (t) => t.format.kind,
      ),
    ).toEqual(['binary', 'arrow']);
  });

  it('trades and quotes need no columns, and keep prices as integers', () => {
    expect(load('tables: {trades: {}, quotes: {topic: q}}').tables.map((t) => t.table)).toEqual(
      defaultTables,
    );
    for (const table of defaultTables)
      expect(table.columns.filter((c) => /price|bid$|ask$/.test(c.name)).every((c) => c.scale === 4)).toBe(
        true,
      );
  });

  it.each([
    ['tables: {bars: {topic: b}}', /the table "bars" has no columns/],
    ['tables: {bars: {topci: b}}', /unknown key tables\.bars\.topci in z\.yaml; did you mean topic\?/],
    ['tables: {"a b": {topic: b}}', /table name/],
    ['tables: {__proto__x: {topic: b}}', /table name/],
    ['tables: [1]', /tables in z\.yaml/],
    [
      'tables: {trades: {format: jsno}}',
      /tables\.trades\.format.* expects one of json, .*; did you mean json\?/,
    ],
    ['tables: {trades: {topic: "a b"}}', /tables\.trades\.topic/],
    ['tables: {trades: {fields: {pric: p}}}', /no column "pric"; did you mean price\?/],
    ['tables: {trades: {format: binary, fields: {price: p}}}', /binary have no field names/],
    [BARS.replace('INT64', 'int64'), /expects one of INT32, .*; did you mean INT64\?/],
    [BARS.replace('scale: 6', 'scale: 19'), /scale/],
    [BARS.replace('type: INT64', 'type: INT32').replace('scale: 6', 'scale: 10'), /a scale up to 9/],
    [BARS.replace('type: INT64', 'type: FLOAT64'), /takes no scale/],
    [BARS.replace('name: note', 'name: close'), /"close" stands twice/],
    [BARS.replace('type: SYMBOL', 'type: STRING'), /one must be SYMBOL/],
    [BARS.replace('type: STRING', 'type: SYMBOL'), /symbol-column must say which: sym, note/],
    [`${BARS}    timestamp-column: att\n`, /there is no TIMESTAMP_NS column "att"; did you mean at\?/],
  ])('%j is refused', (file, expected) => {
    const problems = problemsOf(file);
    expect(problems.join('\n')).toMatch(expected);
    expect(problems).toHaveLength(1);
  });
});

describe('settings', () => {
  const topics = 'topics: {trades: ticks}\n';

  it('are written by flag name, numbers and lists as YAML has them', () => {
    const config = load(
      `${topics}port: 9000\nduckdb: false\nseal-interval: 5s\nno-auth: true\nmemory-budget: 1GiB\n`,
    );
    expect([config.http.port, config.query.duckdb.enabled, config.seal.intervalMs]).toEqual([
      9000,
      false,
      5000,
    ]);
    expect(config.memory.budgetBytes).toBe(2 ** 30);
  });

  it.each([
    [`${topics}prot: 1\n`, 'unknown setting prot in z.yaml; did you mean port?'],
    [
      `${topics}cold_tier_enabled: true\n`,
      'unknown setting cold_tier_enabled in z.yaml; did you mean cold-tier-enabled?',
    ],
    [`${topics}port: {a: {b: 1}}\n`, /port in z\.yaml: expects a whole number/],
    [`${topics}port: 1\nport: 2\n`, /Map keys must be unique/],
    [`${topics}port: *x\n`, /Unresolved alias/],
    [`${topics}jwt-secret: x\n`, /use --api-keys-file/],
    ['- a\n- b\n', /expects settings as "name: value"/],
    ['port: "1', /z\.yaml: /],
  ])('%j is refused', (file, expected) => {
    const problems = problemsOf(file).filter((problem) => !problem.includes('--topics'));
    expect(problems).toHaveLength(1);
    if (typeof expected === 'string') expect(problems[0]).toBe(expected);
    else expect(problems[0]).toMatch(expected);
  });

  it('a file that unfolds without end is refused', () => {
    const lines = ['a0: &a0 [x, x, x, x, x, x, x, x, x]'];
    for (let i = 1; i < 10; i++)
      lines.push(
        `a${i}: &a${i} [${Array(9)
          .fill(`*a${i - 1}`)
          .join(', ')}]`,
      );
    expect(problemsOf(lines.join('\n')).join('\n')).toMatch(/alias/i);
  });

  it('arbitrary text is read or refused, and nothing else happens', () => {
    const yamlish = fc.array(
      fc.oneof(
        fc.string({ maxLength: 20 }),
        fc.constantFrom(
          'tables:',
          '  trades: {',
          '}',
          'port: ',
          'topics:',
          '- ',
          '&a ',
          '*a',
          '  columns: [',
          '"',
          '\n',
        ),
      ),
      { maxLength: 30 },
    );
    fc.assert(
      fc.property(yamlish, (pieces) => {
        problemsOf(pieces.join(''));
      }),
      { numRuns: 500 },
    );
  });

  it('arbitrary values of arbitrary settings are read or refused', () => {
    fc.assert(
      fc.property(
        fc.dictionary(
          fc.constantFrom('port', 'topics', 'tables', 'format', 'brokers', 'no-auth', 'group'),
          fc.jsonValue(),
        ),
        (settings) => {
          problemsOf(JSON.stringify(settings));
        },
      ),
      { numRuns: 500 },
    );
  });
});
