// What: log lines: their form, their levels, errors and secrets in them, and their way out of worker threads.
// Why: logs are read by machines first, and they leave the machine.
// Invariant: no value of a secret field is ever written.

import { describe, expect, it } from 'vitest';
import { createLogger, type LoggerOptions } from '../../connectors/log/logger.ts';
import { prettyLine } from '../../connectors/log/pretty.ts';
import { type LogMessage, relayLogger, replayLog, withFields } from '../../connectors/log/relay.ts';
import { ZeptoError } from '../../src/kernel/errors.ts';
import type { Logger } from '../../src/ports.ts';

function capture(options: Partial<LoggerOptions> = {}): { logger: Logger; lines: string[] } {
  const lines: string[] = [];
  const logger = createLogger({
    level: 'info',
    format: 'json',
    write: (line) => lines.push(line),
    ...options,
  });
  return { logger, lines };
}

const parsed = (lines: readonly string[]): Record<string, unknown>[] =>
  lines.map((line) => JSON.parse(line) as Record<string, unknown>);

describe('a line', () => {
  it('is one JSON object with level, time, message and fields', () => {
    const { logger, lines } = capture({ fields: { shard: 1 } });
    logger.warn({ rows: 5, offset: 2n ** 60n }, 'two\nlines');
    expect(lines[0]).toMatch(/^[^\n]*\n$/);
    expect(parsed(lines)).toEqual([
      expect.objectContaining({ level: 'warn', message: 'two\nlines', shard: 1, rows: 5 }),
    ]);
    expect(lines[0]).toContain('"offset":1152921504606846976');
    expect(parsed(lines)[0]?.time).toMatch(/^\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d\.\d{3}Z$/);
  });

  it('below the level is not written', () => {
    const { logger, lines } = capture({ level: 'warn' });
    logger.debug({}, 'a');
    logger.info({}, 'b');
    logger.error({}, 'c');
    expect(parsed(lines).map(({ message }) => message)).toEqual(['c']);
  });

  it('masks fields that may hold a secret', () => {
    const { logger, lines } = capture();
    logger.info(
      { password: 'hunter2', sasl: { password: 'hunter2' }, headers: { authorization: 'hunter2' } },
      'm',
    );
    expect(lines[0]).not.toContain('hunter2');
    expect(lines[0]?.match(/\*{8}/g)).toHaveLength(3);
    const error = new ZeptoError('INTERNAL', 'stop', 'm', { context: { token: 'hunter2', topic: 't' } });
    logger.info({ error }, 'm');
    const ofStart = capture({ fields: { secret: 'hunter2', shard: 1 } });
    ofStart.logger.info({}, 'm');
    for (const line of [lines[1], ofStart.lines[0]]) {
      expect(line).not.toContain('hunter2');
      expect(line?.match(/\*{8}/g)).toHaveLength(1);
    }
  });

  it('shows an error with code, action, place and causes, and no stack of our own errors', () => {
    const { logger, lines } = capture();
    const cause = Object.assign(new Error('refused'), { code: 'ECONNREFUSED' });
    const error = new ZeptoError('KAFKA_UNREACHABLE', 'retry', 'no broker', {
      cause,
      context: { topic: 't' },
    });
    logger.error({ error }, 'm');
    expect(parsed(lines)[0]?.error).toEqual({
      message: 'no broker',
      code: 'KAFKA_UNREACHABLE',
      action: 'retry',
      topic: 't',
      cause: {
        message: 'refused',
        name: 'Error',
        code: 'ECONNREFUSED',
        stack: expect.stringContaining('Error'),
      },
    });
  });

  it('for people is one line too, with every field', () => {
    const { logger, lines } = capture({ format: 'pretty' });
    logger.info({ rows: 5, topic: 'ticks', path: 'a b' }, 'sealed');
    expect(lines[0]).toMatch(/^\d\d:\d\d:\d\d\.\d{3} INFO {2}sealed rows=5 topic=ticks path="a b"\n$/);
    expect(prettyLine('no json\n', false)).toBe('no json\n');
    expect(prettyLine('{"level":"warn","message":"m"}\n', true)).toContain('\u001b[33mWARN ');
  });
});

describe('a thread', () => {
  it('sends its entries to the main thread, errors as they are shown there', () => {
    const sent: LogMessage[] = [];
    const thread = withFields(
      relayLogger('info', { shard: 3 }, (entry) => sent.push(structuredClone(entry))),
      { topic: 't' },
    );
    const error = new ZeptoError('FENCED', 'rejoin', 'another owner');
    thread.debug({}, 'not sent');
    thread.warn({ error, run: () => 1, nested: { run: () => 1 } }, 'given up');
    const { logger, lines } = capture();
    for (const entry of sent) replayLog(logger, entry);
    expect(parsed(lines)).toEqual([
      expect.objectContaining({
        level: 'warn',
        message: 'given up',
        shard: 3,
        topic: 't',
        error: { message: 'another owner', code: 'FENCED', action: 'rejoin' },
        nested: '[object Object]',
      }),
    ]);
  });
});
