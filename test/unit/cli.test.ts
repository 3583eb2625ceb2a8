// What: commands, help and exit statuses of `zepto` and `zepto_http_server`.
// Why: scripts depend on statuses, people on help.
// Invariant: no command runs for real here.

import { spawnSync } from 'node:child_process';
import { join } from 'node:path';
import { describe, expect, it } from 'vitest';
import { type Commands, runServe, runZepto } from '../../src/cli.ts';
import { envOf, settingByName, settingNames } from '../../src/config/settings.ts';
import { ZeptoError } from '../../src/kernel/errors.ts';

const SERVE = ['serve', '--brokers', 'localhost:9092', '--group', 'g', '--topics', 'trades=ticks'];

interface Outcome {
  readonly status: number;
  readonly out: string;
  readonly err: string;
  readonly calls: readonly unknown[][];
}

async function run(
  argv: readonly string[],
  { env = {}, result = () => 0 }: { env?: Record<string, string>; result?: () => number } = {},
): Promise<Outcome> {
  let out = '';
  let err = '';
  const calls: unknown[][] = [];
  const command =
    (name: string) =>
    async (given: unknown): Promise<number> => {
      calls.push([name, given]);
      return result();
    };
  const commands: Commands = {
    serve: command('serve'),
    demo: command('demo'),
    verify: command('verify'),
    inspect: command('inspect'),
  };
  const terminal = { env, out: (text: string) => (out += text), err: (text: string) => (err += text) };
  const status =
    argv[0] === 'zepto_http_server'
      ? await runServe('zepto_http_server', argv.slice(1), terminal, async () => commands)
      : await runZepto(argv, terminal, async () => commands);
  return { status, out, err, calls };
}

describe('commands', () => {
  it('serve gets the loaded configuration, and its status is the process’s', async () => {
    const { status, calls } = await run(SERVE, { result: () => 1 });
    expect(status).toBe(1);
    expect(calls).toEqual([['serve', expect.objectContaining({ config: expect.anything() })]]);
  });

  it.each(['demo', 'verify', 'inspect'])('%s gets its arguments as they are', async (name) => {
    expect((await run([name, '--once', 'x'])).calls).toEqual([[name, ['--once', 'x']]]);
  });

  it('zepto_http_server is zepto serve', async () => {
    const { calls } = await run(['zepto_http_server', ...SERVE.slice(1), '-p', '9000']);
    expect(calls).toEqual([
      [
        'serve',
        expect.objectContaining({
          config: expect.objectContaining({ http: expect.objectContaining({ port: 9000 }) }),
        }),
      ],
    ]);
  });

  it.each([['version'], ['--version'], ['-V']])('%s prints name and version', async (argument) => {
    const { status, out } = await run([argument]);
    expect(status).toBe(0);
    expect(out).toMatch(/^zeptodb-kafka \d+\.\d+\.\d+ \(node v/);
  });

  it('--print-config prints and does not serve', async () => {
    const { status, out, calls } = await run([...SERVE, '--print-config']);
    expect([status, calls]).toEqual([0, []]);
    expect(out).toContain('brokers: localhost:9092  # flag');
  });
});

describe('mistakes', () => {
  it('serve without any setting says what it needs and shows an example that works', async () => {
    const { status, err, calls } = await run(['serve']);
    expect([status, calls]).toEqual([2, []]);
    const example = /^ {2}zepto (serve .*)$/m.exec(err)![1]!;
    expect((await run(example.split(' '))).status).toBe(0);
  });

  it('a wrong configuration ends with status 2 and all problems on standard error', async () => {
    const { status, out, err, calls } = await run(['serve', '--port', 'x']);
    expect([status, out, calls]).toEqual([2, '', []]);
    expect(err).toMatch(/^Error: 4 problems with the configuration:\n {2}- --port/);
  });

  it('one problem stands on the line of the error, as the original prints it', async () => {
    expect((await run([...SERVE, '--cold-tier-enabled'])).err).toBe(
      'Error: --cold-tier-enabled requires --cold-tier-s3-bucket (or ZEPTO_COLD_TIER_S3_BUCKET)\n',
    );
  });

  it.each([
    [['sevre'], /unknown command "sevre"; did you mean serve\?/],
    [['--brokers', 'x:1'], /a command comes first, such as `zepto serve --brokers …`/],
    [[], /^zepto – /],
  ])('%j is a usage error', async (argv, expected) => {
    const { status, err } = await run(argv);
    expect(status).toBe(2);
    expect(err).toMatch(expected);
  });

  it('a failure while running ends with status 1, a usage error of a command with 2', async () => {
    const failing = (error: Error) => ({
      result: () => {
        throw error;
      },
    });
    const broker = new ZeptoError('KAFKA_UNREACHABLE', 'retry', 'no broker answers');
    const usage = new ZeptoError('CONFIG_INVALID', 'stop', 'unknown flag --twice');
    expect(await run(SERVE, failing(broker))).toMatchObject({ status: 1, err: 'Error: no broker answers\n' });
    expect(await run(['demo'], failing(usage))).toMatchObject({ status: 2 });
    const defect = await run(SERVE, failing(new TypeError('x is undefined')));
    expect(defect.status).toBe(1);
    expect(defect.err).toContain('cli.test.ts');
  });
});

describe('help', () => {
  it.each([
    [['--help']],
    [['help']],
    [['serve', '--help']],
    [['help', 'serve']],
    [['zepto_http_server', '-h']],
    [['serve', '--port', 'x', '--help']],
  ])('%j goes to standard output, fits 100 columns, and ends with status 0', async (argv) => {
    const { status, out, err } = await run(argv);
    expect([status, err]).toEqual([0, '']);
    expect(out.split('\n').filter((line) => line.length > 100)).toEqual([]);
  });

  it('of serve lists every setting with its variable', async () => {
    const { out } = await run(['serve', '--help']);
    const text = out.replaceAll(/\s+/g, ' ');
    for (const name of settingNames) {
      expect(text).toContain(`--${name}${settingByName[name]!.isSecret ? '-file' : ''}`);
      expect(text).toContain(envOf(name));
    }
    expect(out.indexOf('Examples:')).toBeLessThan(out.indexOf('Kafka:'));
  });

  it('shows examples that load', async () => {
    const { out } = await run(['serve', '--help']);
    const examples = [...out.replaceAll(/\\\n\s+/g, '').matchAll(/^ {2}zepto (serve .*)$/gm)].map(
      (match) => match[1]!,
    );
    expect(examples).toHaveLength(4);
    for (const example of examples.filter((text) => !text.includes('--config')))
      expect((await run(example.split(/ +/))).err).toBe('');
  });
});

describe('the executables', () => {
  const execute = (
    name: string,
    ...args: string[]
  ): { status: number | null; stdout: string; stderr: string } => {
    const file = join(import.meta.dirname, '../../src/bin', name);
    const env = Object.fromEntries(Object.entries(process.env).filter(([key]) => !key.startsWith('ZEPTO_')));
    return spawnSync(process.execPath, ['--import', 'tsx', file, ...args], { encoding: 'utf8', env });
  };

  it('zepto prints its version and ends with the status', () => {
    expect(execute('zepto.ts', 'version')).toMatchObject({
      status: 0,
      stdout: expect.stringMatching(/^zeptodb-kafka /),
    });
  });

  it('zepto_http_server without flags says what it needs', () => {
    expect(execute('zepto_http_server.ts')).toMatchObject({
      status: 2,
      stdout: '',
      stderr: expect.stringMatching(/^zepto_http_server needs three things/),
    });
  });
});
