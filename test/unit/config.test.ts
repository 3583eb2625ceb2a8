// What: flags, environment and file become one Config, or one list of all problems.
// Why: an operator's mistake must be met at start, with its fix, and never as a silent default.
// Invariant: no test reads the machine's environment or files.

import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { coldTierLine } from '../../src/config/announce.ts';
import { effectiveConfigFile } from '../../src/config/describe.ts';
import { legacySettings } from '../../src/config/legacy.ts';
import { type LoadedConfig, loadConfig } from '../../src/config/load.ts';
import { settingByName, settingNames } from '../../src/config/settings.ts';
import { formatBytes, formatDurationMs, parseBytes, parseDurationMs } from '../../src/config/units.ts';
import { ZeptoError } from '../../src/kernel/errors.ts';

const NEEDED = ['--brokers', 'localhost:9092', '--group', 'g', '--topics', 'trades=ticks'];

interface Given {
  readonly env?: Record<string, string>;
  readonly files?: Record<string, string>;
}

function load(argv: readonly string[], { env = {}, files = {} }: Given = {}): LoadedConfig {
  return loadConfig({
    argv,
    env,
    readText(path) {
      const text = files[path];
      if (text === undefined) throw Object.assign(new Error('no'), { code: 'ENOENT' });
      return text;
    },
  });
}

function problemsOf(argv: readonly string[], given: Given = {}): readonly string[] {
  try {
    load(argv, given);
  } catch (error) {
    if (error instanceof ZeptoError && error.code === 'CONFIG_INVALID')
      return error.context.problems as string[];
    throw error;
  }
  return [];
}

const needed = (...more: string[]): string[] => [...NEEDED, ...more];

describe('precedence', () => {
  it('flags beat the environment, which beats the file, which beats the default', () => {
    const files = { 'z.yaml': 'port: 1\nshards: 2\nencode-threads: 3\n' };
    const env = { ZEPTO_CONFIG: 'z.yaml', ZEPTO_SHARDS: '4', ZEPTO_PORT: '5' };
    const { config } = load(needed('--port', '6'), { env, files });
    expect(config.http.port).toBe(6);
    expect(config.engine).toEqual({ shards: 4, encodeThreads: 3 });
    expect(config.http.bind).toBe('127.0.0.1');
  });

  it('--config beats ZEPTO_CONFIG', () => {
    const files = { 'a.yaml': 'port: 1', 'b.yaml': 'port: 2' };
    expect(
      load(needed('--config', 'b.yaml'), { env: { ZEPTO_CONFIG: 'a.yaml' }, files }).config.http.port,
    ).toBe(2);
  });

  it('an empty variable counts as not set', () => {
    expect(
      load(NEEDED, { env: { ZEPTO_PORT: '', ZEPTO_COLD_TIER_S3_ENDPOINT_URL: '' } }).config.http.port,
    ).toBe(8123);
  });

  it('JSON is read as a config file too', () => {
    const files = { 'z.json': '{"brokers": ["a:1", "b:2"], "group": "g", "topics": {"trades": "ticks"}}' };
    const { config } = load(['--config', 'z.json'], { files });
    expect(config.kafka.brokers).toEqual(['a:1', 'b:2']);
    expect(config.tables.map(({ table, topic }) => [table.name, topic])).toEqual([['trades', 'ticks']]);
  });
});

describe('spelling', () => {
  it.each([
    [['--duckdb=false'], false],
    [['--no-duckdb'], false],
    [['--duckdb'], true],
    [['--no-duckdb', '--duckdb'], true],
  ])('a switch is read from %j', (argv, expected) => {
    expect(load(needed(...argv)).config.query.duckdb.enabled).toBe(expected);
  });

  it.each(['true', '1', 'yes', 'ON'])('a switch in the environment is on by %s', (value) => {
    const env = { ZEPTO_COLD_TIER_ENABLED: value, ZEPTO_COLD_TIER_S3_BUCKET: 'ticks' };
    expect(load(NEEDED, { env }).config.coldTier?.s3.bucket).toBe('ticks');
  });

  it('a value that starts with a dash is given with =', () => {
    expect(load(needed('--client-id=-x')).config.kafka.clientId).toBe('-x');
    expect(problemsOf(needed('--client-id', '-x'))).toContain('--client-id needs a value');
  });

  it('a list adds up when its flag is repeated', () => {
    expect(load(needed('--topics', 'quotes')).config.tables.map(({ topic }) => topic)).toEqual([
      'ticks',
      'quotes',
    ]);
  });

  it('choices are read whatever the letter case', () => {
    const argv = needed(
      '--cold-tier-enabled',
      '--cold-tier-s3-bucket',
      'ticks',
      '--cold-tier-parquet-codec',
      'zstd',
    );
    expect(load(argv).config.coldTier?.parquetCodec).toBe('ZSTD');
  });

  it('the ten ZEPTO_COLD_TIER_ variables of the original work', () => {
    const env = {
      ZEPTO_COLD_TIER_ENABLED: 'true',
      ZEPTO_COLD_TIER_FORMAT: 'both',
      ZEPTO_COLD_TIER_LAYOUT: 'flat',
      ZEPTO_COLD_TIER_AGE_HOURS: '48',
      ZEPTO_COLD_TIER_DELETE_LOCAL_AFTER_S3: 'false',
      ZEPTO_COLD_TIER_S3_BUCKET: 'ticks',
      ZEPTO_COLD_TIER_S3_REGION: 'eu-central-1',
      ZEPTO_COLD_TIER_S3_PREFIX: '/a/b/',
      ZEPTO_COLD_TIER_S3_ENDPOINT_URL: 'http://127.0.0.1:9000',
      ZEPTO_COLD_TIER_S3_USE_PATH_STYLE: 'yes',
    };
    expect(load(needed('--hdb-dir', '/hdb'), { env }).config.coldTier).toMatchObject({
      format: 'both',
      layout: 'flat',
      ageHours: 48,
      deleteLocalAfterS3: false,
      s3: {
        bucket: 'ticks',
        region: 'eu-central-1',
        prefix: 'a/b',
        endpointUrl: 'http://127.0.0.1:9000',
        usePathStyle: true,
      },
    });
  });

  it('variables that Kubernetes makes for a service named zepto are not settings', () => {
    const env = {
      ZEPTO_PORT: 'tcp://10.0.0.1:8123',
      ZEPTO_SERVICE_HOST: '10.0.0.1',
      ZEPTO_SERVICE_PORT: '8123',
      ZEPTO_SERVICE_PORT_HTTP: '8123',
      ZEPTO_PORT_8123_TCP: 'tcp://10.0.0.1:8123',
      ZEPTO_PORT_8123_TCP_ADDR: '10.0.0.1',
      ZEPTO_HEADLESS_PORT: 'tcp://10.0.0.1:8123',
    };
    expect(load(NEEDED, { env }).config.http.port).toBe(8123);
  });

  it('flags of the original without effect here are accepted and said', () => {
    const { notices } = load(needed('--acknowledge-incomplete-durability', '--drain-threads', '4'));
    expect(notices.join('\n')).toContain('--acknowledge-incomplete-durability has no effect');
    expect(notices.join('\n')).toContain('use --shards');
  });

  it('no name is a setting and a legacy flag at once', () => {
    expect(settingNames.filter((name) => Object.hasOwn(legacySettings, name))).toEqual([]);
  });
});

describe('problems', () => {
  it('are listed all at once, each with flag, variable and what is expected', () => {
    const problems = problemsOf(
      ['--port', 'x', '--seal-interval', '5', '--brokers', 'nowhere', '--shard', '2'],
      {
        env: { ZEPTO_MEMORY_BUDGET: '1MiB', ZEPTO_GRUOP: 'g' },
      },
    );
    expect(problems).toEqual([
      'unknown flag --shard; did you mean --shards?',
      'unknown environment variable ZEPTO_GRUOP; did you mean ZEPTO_GROUP?',
      '--brokers (or ZEPTO_BROKERS) is "nowhere" on the command line: expects a list of HOST:PORT, such as localhost:9092',
      '--seal-interval (or ZEPTO_SEAL_INTERVAL) is "5" on the command line: expects a duration with its unit, such as 500ms, 5s, 1h',
      '--memory-budget (or ZEPTO_MEMORY_BUDGET) is "1MiB" in the environment: expects a size such as 64MiB or 1GB, at least 16MiB',
      '--port (or ZEPTO_PORT) is "x" on the command line: expects a whole number from 0 to 65535',
      '--group (or ZEPTO_GROUP) is required, such as --group ticks-to-s3',
      '--topics (or ZEPTO_TOPICS) is required, such as --topics trades=ticks,quotes=quotes, or tables in the config file',
    ]);
  });

  it.each<[string, string[], string | RegExp]>([
    ['a value that is missing', ['--hdb-dir', '--duckdb'], '--hdb-dir needs a value'],
    ['a value at the end that is missing', ['--hdb-dir'], '--hdb-dir needs a value'],
    ['a value after a switch', ['--duckdb', 'false'], /unexpected argument "false"/],
    ['a value of a negated switch', ['--no-duckdb=1'], '--no-duckdb takes no value'],
    ['a negated setting that is no switch', ['--no-port'], /unknown flag --no-port/],
    [
      'a secret on the command line',
      ['--kafka-sasl-password', 'hunter2'],
      /use --kafka-sasl-password-file FILE or ZEPTO_KAFKA_SASL_PASSWORD/,
    ],
    ['a flag that went', ['--jwt-secret', 'x'], /use --api-keys-file/],
    [
      'a config file that is missing',
      ['--config', 'no.yaml'],
      '--config (or ZEPTO_CONFIG): cannot read no.yaml: there is no such file',
    ],
    [
      'the cold tier without a bucket',
      ['--cold-tier-enabled'],
      '--cold-tier-enabled requires --cold-tier-s3-bucket (or ZEPTO_COLD_TIER_S3_BUCKET)',
    ],
    ['tiered without a place', ['--storage-mode', 'tiered'], /--storage-mode tiered requires --hdb-dir/],
    ['disk without a folder', ['--storage-mode', 'disk'], /--storage-mode disk requires --hdb-dir/],
    ['pure with a folder', ['--storage-mode', 'pure', '--hdb-dir', 'd'], /pure writes no files/],
    [
      'commit after S3 without S3',
      ['--hdb-dir', 'd', '--commit-after', 's3'],
      /--commit-after s3 requires --cold-tier-enabled/,
    ],
    [
      'commit after local in pure mode',
      ['--commit-after', 'local'],
      /requires --storage-mode tiered or disk/,
    ],
    [
      'commit after local without a folder',
      ['--commit-after', 'local', '--cold-tier-enabled', '--cold-tier-s3-bucket', 'ticks'],
      /--commit-after local requires --hdb-dir/,
    ],
    [
      'commit after local without local files',
      ['--commit-after', 'local', '--cold-tier-enabled', '--cold-tier-s3-bucket', 'ticks', '--hdb-dir', 'd'],
      /--commit-after local requires --cold-tier-format .* both/,
    ],
    [
      'commit after S3 that gets nothing',
      [
        '--commit-after',
        's3',
        '--cold-tier-enabled',
        '--cold-tier-s3-bucket',
        'ticks',
        '--hdb-dir',
        'd',
        '--cold-tier-format',
        'binary',
      ],
      /binary uploads nothing/,
    ],
    [
      'both formats without a folder',
      ['--cold-tier-enabled', '--cold-tier-s3-bucket', 'ticks', '--cold-tier-format', 'both'],
      /--cold-tier-format both requires --hdb-dir/,
    ],
    ['the network without keys', ['--bind', '0.0.0.0', '--allow-plaintext-http'], /requires --api-keys-file/],
    [
      'the network with --no-auth said once',
      ['--bind', '0.0.0.0', '--allow-plaintext-http', '--no-auth'],
      /--no-auth twice/,
    ],
    [
      'the network without TLS',
      ['--bind', '::', '--api-keys-file', 'k'],
      /requires --tls-cert .* or --allow-plaintext-http/,
    ],
    ['a certificate without its key', ['--tls-cert', 'c'], /--tls-cert .* requires --tls-key/],
    ['keys and no keys', ['--api-keys-file', 'k', '--no-auth'], /contradicts/],
    ['Kafka certificates without TLS', ['--kafka-tls-ca', 'c'], /--kafka-tls-ca .* requires --kafka-tls /],
    [
      'SASL without a password',
      ['--kafka-sasl-mechanism', 'plain', '--kafka-sasl-username', 'u'],
      '--kafka-sasl-mechanism plain requires --kafka-sasl-password-file (or ZEPTO_KAFKA_SASL_PASSWORD)',
    ],
    ['a user without SASL', ['--kafka-sasl-username', 'u'], /requires --kafka-sasl-mechanism/],
    [
      'oauthbearer without a token',
      ['--kafka-sasl-mechanism', 'oauthbearer'],
      /requires --kafka-sasl-token-file .* or --kafka-sasl-token-url/,
    ],
    ['Avro without a registry', ['--format', 'avro'], /avro \(trades\) requires --schema-registry/],
    [
      'a registry address with a password',
      ['--schema-registry', 'http://u:p@h'],
      /without user and password in it/,
    ],
    ['a heartbeat as long as the session', ['--heartbeat-interval', '30s'], /at most a third/],
    [
      'a table nobody declared',
      ['--topics', 'tarde=x'],
      /the table "tarde" has no columns.*; did you mean trades\?/,
    ],
    [
      'a table without a table name',
      ['--topics', 'ticks.us'],
      /"ticks.us" is no table name .* write TABLE=ticks.us/,
    ],
    ['a topic for two tables', ['--topics', 'quotes=ticks'], /share the topic "ticks"/],
    ['a format for an unknown table', ['--format', 'qoutes=json'], /names the table "qoutes"/],
    ['symbols from a file that is not named', ['--symbol-ids', 'file'], /requires --symbols-file/],
    ['ticks in the symbol topic', ['--symbols-topic', 'ticks'], /is also a topic of ticks/],
  ])('%s is one, and the only one', (_, argv, expected) => {
    const problems = problemsOf(needed(...argv));
    expect(problems).toHaveLength(1);
    if (typeof expected === 'string') expect(problems[0]).toBe(expected);
    else expect(problems[0]).toMatch(expected);
  });

  it('every setting names itself when its value is wrong', () => {
    for (const name of settingNames) {
      const setting = settingByName[name]!;
      const wrong = ',=,';
      if (setting.parse(wrong) !== undefined) continue;
      const variable = `ZEPTO_${name.toUpperCase().replaceAll('-', '_')}`;
      expect(problemsOf([], { env: { [variable]: wrong } })[0]).toContain(
        `--${name} (or ${variable}) is ",=,"`,
      );
    }
  });
});

describe('derived settings', () => {
  it('the cold tier promotes the storage mode, also from an explicit pure', () => {
    const { config, notices } = load(
      needed('--storage-mode', 'pure', '--cold-tier-enabled', '--cold-tier-s3-bucket', 'ticks'),
    );
    expect(config.storage).toMatchObject({ mode: 'tiered', commitAfter: 's3', hdbDirectory: null });
    expect(notices.join('\n')).toContain('promotes');
  });

  it.each([
    [[], 'pure', 'memory'],
    [['--hdb-dir', '/d'], 'tiered', 'local'],
    [['--hdb-dir', '/d', '--storage-mode', 'disk'], 'disk', 'local'],
    [['--cold-tier-enabled', '--cold-tier-s3-bucket', 'ticks'], 'tiered', 's3'],
    [
      [
        '--hdb-dir',
        '/d',
        '--cold-tier-enabled',
        '--cold-tier-s3-bucket',
        'ticks',
        '--cold-tier-format',
        'binary',
      ],
      'tiered',
      'local',
    ],
    [
      [
        '--hdb-dir',
        '/d',
        '--cold-tier-enabled',
        '--cold-tier-s3-bucket',
        'ticks',
        '--cold-tier-format',
        'both',
        '--commit-after',
        'local',
      ],
      'tiered',
      'local',
    ],
  ])('%j commits in mode %s after %s', (argv, mode, commitAfter) => {
    expect(load(needed(...argv)).config.storage).toMatchObject({ mode, commitAfter });
  });

  it('the symbol topic is named after the group', () => {
    expect(load(NEEDED).config.symbols).toMatchObject({ source: 'topic', topic: 'g-symbols' });
    expect(load(needed('--symbols-file', '/s')).config.symbols).toMatchObject({ source: 'file', file: '/s' });
  });

  it('duckdb() reaches what the process writes, or the roots that are set', () => {
    const bucket = ['--cold-tier-enabled', '--cold-tier-s3-bucket', 'ticks'];
    const roots = (...flags: string[]): readonly string[] => load(needed(...flags)).config.query.duckdb.roots;
    expect(roots()).toEqual([]);
    expect(roots('--hdb-dir', '/hdb')).toEqual(['/hdb']);
    expect(roots(...bucket)).toEqual(['s3://ticks/hdb', 's3://ticks/hdb-*']);
    expect(roots(...bucket, '--cold-tier-s3-prefix', '')).toEqual(['s3://ticks']);
    expect(roots(...bucket, '--duckdb-roots', '/a,s3://bb', '--duckdb-roots', 's3://cc/d*')).toEqual([
      '/a',
      's3://bb',
      's3://cc/d*',
    ]);
    const { notices } = load(
      needed('--duckdb-roots', 's3://bb', '--cold-tier-s3-region', 'r', '--cold-tier-age-hours', '2'),
    );
    expect(notices.filter((text) => text.startsWith('no effect'))).toEqual([
      expect.stringMatching(/: --cold-tier-age-hours$/),
    ]);
  });

  it.each([
    ['--duckdb-roots', 'http://host/x'],
    ['--duckdb-roots', 'file:///x'],
    ['--duckdb-roots', 's3://bb/*/x'],
    ['--duckdb-memory-limit-mb', '16'],
  ])('%s %s is refused', (flag, value) => {
    expect(problemsOf(needed(flag, value))).toEqual([expect.stringContaining(flag)]);
  });

  it('--no-auth said twice opens the network', () => {
    const argv = needed('--bind', '0.0.0.0', '--allow-plaintext-http', '--no-auth', '--no-auth');
    expect(load(argv).config.http).toMatchObject({ bind: '0.0.0.0', apiKeysFile: null, tls: null });
  });

  it('a Config is frozen to its leaves', () => {
    const { config } = load(NEEDED);
    expect(Object.isFrozen(config.tables[0]?.table.columns[0])).toBe(true);
    expect(() => {
      (config.http as { port: number }).port = 1;
    }).toThrow(TypeError);
  });

  it('a Config survives being sent to a thread', () => {
    const { config } = load(needed('--cold-tier-enabled', '--cold-tier-s3-bucket', 'ticks'));
    expect(structuredClone(config)).toEqual(config);
  });
});

describe('secrets', () => {
  const sasl = needed('--kafka-tls', '--kafka-sasl-mechanism', 'scram-sha-512', '--kafka-sasl-username', 'u');

  it('come from the environment or from a file of their own, without its last line end', () => {
    const fromEnvironment = load(sasl, { env: { ZEPTO_KAFKA_SASL_PASSWORD: 'hunter2' } });
    const fromFile = load([...sasl, '--kafka-sasl-password-file', 'p'], { files: { p: 'hunter2\n' } });
    const expected = { mechanism: 'scram-sha-512', username: 'u', password: 'hunter2' };
    expect(fromEnvironment.config.kafka.sasl).toEqual(expected);
    expect(fromFile.config.kafka.sasl).toEqual(expected);
  });

  it('a flag beats the variable, the variable beats the config file', () => {
    const files = { p: 'from-flag', q: 'from-file', 'z.yaml': 'kafka-sasl-password-file: q' };
    const env = { ZEPTO_KAFKA_SASL_PASSWORD: 'from-env', ZEPTO_CONFIG: 'z.yaml' };
    const password = ({ config }: LoadedConfig): unknown =>
      config.kafka.sasl !== null && 'password' in config.kafka.sasl ? config.kafka.sasl.password : null;
    expect(password(load([...sasl, '--kafka-sasl-password-file', 'p'], { env, files }))).toBe('from-flag');
    expect(password(load(sasl, { env, files }))).toBe('from-env');
    expect(password(load(sasl, { env: { ZEPTO_CONFIG: 'z.yaml' }, files }))).toBe('from-file');
  });

  it('are never shown', () => {
    const env = { ZEPTO_KAFKA_SASL_PASSWORD: 'hunter2' };
    const shown = effectiveConfigFile(load(sasl, { env }));
    expect(shown).toContain('# kafka-sasl-password: ********');
    expect(shown).not.toContain('hunter2');
    expect(problemsOf(['--kafka-sasl-password=hunter2'], { env }).join('\n')).not.toContain('hunter2');
  });

  it('are not shown of an address that is refused for having some', () => {
    for (const [address, shown] of [
      ['https://user:hunter2@registry:8081/', 'https://…@registry:8081/'],
      ['HTTPS://user:hun/ter2,hunter2@x@registry', 'HTTPS://…@registry'],
      ['user:hunter2@registry:8081', '…@registry:8081'],
    ]) {
      const [problem] = problemsOf(needed('--schema-registry', address!));
      expect(problem).toContain(`--schema-registry (or ZEPTO_SCHEMA_REGISTRY) is "${shown}"`);
    }
  });

  it('are refused in the config file and when empty', () => {
    expect(
      problemsOf([...sasl, '--config', 'z'], { files: { z: 'kafka-sasl-password: hunter2' } })[0],
    ).toMatch(/a secret belongs into a file of its own/);
    expect(problemsOf([...sasl, '--kafka-sasl-password-file', 'p'], { files: { p: '\n' } })).toHaveLength(1);
    expect(
      problemsOf(sasl, { env: { ZEPTO_KAFKA_SASL_PASSWORD: 'a', ZEPTO_KAFKA_SASL_PASSWORD_FILE: 'b' } }),
    ).toEqual([expect.stringContaining('are both set')]);
  });

  it('a token server takes client id and secret', () => {
    const argv = needed(
      '--kafka-sasl-mechanism',
      'oauthbearer',
      '--kafka-sasl-token-url',
      'https://t/token',
      '--kafka-sasl-username',
      'id',
    );
    expect(load(argv, { env: { ZEPTO_KAFKA_SASL_PASSWORD: 's' } }).config.kafka.sasl).toEqual({
      mechanism: 'oauthbearer',
      token: {
        kind: 'client-credentials',
        tokenUrl: 'https://t/token',
        clientId: 'id',
        clientSecret: 's',
        scope: null,
      },
    });
  });
});

describe('--print-config', () => {
  it('prints a file that leads to the same Config', () => {
    const files = {
      'z.yaml':
        'tables:\n  bars:\n    columns:\n      - {name: t, type: TIMESTAMP_NS}\n      - {name: s, type: SYMBOL}\n',
    };
    const argv = needed(
      '--config',
      'z.yaml',
      '--topics',
      'quotes=1e3',
      '--cold-tier-enabled',
      '--cold-tier-s3-bucket',
      '123',
      '--cold-tier-s3-prefix',
      '',
      '--format',
      'quotes=binary',
      '--seal-interval',
      '90s',
      '--no-auth',
    );
    const loaded = load(argv, { files });
    const again = load(['--config', 'p.yaml'], { files: { 'p.yaml': effectiveConfigFile(loaded) } });
    expect(again.config).toEqual(loaded.config);
  });
});

describe('units', () => {
  it.each([
    ['0', 0],
    ['1048576', 1048576],
    ['256MiB', 268435456],
    ['256Mi', 268435456],
    ['1.5 KiB', 1536],
    ['1GB', 1e9],
    ['1b', 1],
    ['256M', undefined],
    ['-1', undefined],
    ['1.5', undefined],
    ['', undefined],
    ['9999999TiB', undefined],
  ])('%s is %s bytes', (text, bytes) => {
    expect(parseBytes(text)).toBe(bytes);
  });

  it.each([
    ['0', 0],
    ['500ms', 500],
    ['1.5s', 1500],
    ['1h30m', 5_400_000],
    ['2d', 172_800_000],
    ['5', undefined],
    ['5 s', undefined],
    ['1.5ms', undefined],
    ['ms', undefined],
  ])('%s is %s milliseconds', (text, ms) => {
    expect(parseDurationMs(text)).toBe(ms);
  });

  it('what is printed is read back', () => {
    fc.assert(
      fc.property(fc.maxSafeNat(), (value) => {
        expect(parseBytes(formatBytes(value))).toBe(value);
        expect(parseDurationMs(formatDurationMs(value))).toBe(value);
      }),
    );
  });
});

it('the start line of the cold tier is the original’s', () => {
  const { config } = load(needed('--cold-tier-enabled', '--cold-tier-s3-bucket', 'ticks'));
  expect(coldTierLine(config.coldTier!)).toBe(
    'Cold tier S3 Parquet sink ENABLED: format=parquet layout=hive age_hours=24 delete_local=true bucket=ticks region=us-east-1 prefix=hdb endpoint=<aws> path_style=false',
  );
});
