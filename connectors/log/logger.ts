// What: the Logger port over pino: one JSON object per line on standard output, or text for people.
// Why: log collectors read JSON; a person at a terminal should not have to.
// Invariant: fields that may hold a secret are masked whatever the caller passes.

import { type DestinationStream, pino } from 'pino';
import { ZeptoError } from '../../src/kernel/errors.ts';
import type { Logger } from '../../src/ports.ts';
import { prettyLine } from './pretty.ts';

export type LogLevel = 'debug' | 'info' | 'warn' | 'error';

export interface LoggerOptions {
  readonly level: LogLevel;
  readonly format: 'json' | 'pretty';
  /** Part of every line. */
  readonly fields?: Readonly<Record<string, unknown>>;
  /** Takes each line, its line end included; default standard output, written without delay. */
  readonly write?: (line: string) => void;
  /** Colours in the pretty format. */
  readonly colours?: boolean;
}

const SECRET_FIELDS = [
  'password',
  'secret',
  'token',
  'authorization',
  'secretAccessKey',
  'clientSecret',
  'apiKey',
];

export function createLogger(options: LoggerOptions): Logger {
  const log = pino(
    {
      level: options.level,
      base: options.fields ?? {},
      messageKey: 'message',
      timestamp: pino.stdTimeFunctions.isoTime,
      formatters: { level: (label) => ({ level: label }) },
      serializers: { error: describeError, cause: describeError },
      redact: { paths: SECRET_FIELDS.flatMap((name) => [name, `*.${name}`]), censor: '********' },
    },
    destination(options),
  );
  return {
    debug: (fields, message) => log.debug(fields, message),
    info: (fields, message) => log.info(fields, message),
    warn: (fields, message) => log.warn(fields, message),
    error: (fields, message) => log.error(fields, message),
  };
}

function destination({ format, write, colours = false }: LoggerOptions): DestinationStream {
  const lines: DestinationStream =
    write === undefined ? pino.destination({ dest: 1, sync: true }) : { write };
  if (format === 'json') return lines;
  return { write: (line) => lines.write(prettyLine(line, colours)) };
}

/** An Error as plain data, causes included; a stack only for what is not one of our own errors. */
export function describeError(value: unknown): unknown {
  if (!(value instanceof Error)) return value;
  const { message, cause } = value;
  const more = cause === undefined ? {} : { cause: describeError(cause) };
  if (value instanceof ZeptoError)
    return { message, code: value.code, action: value.action, ...value.context, ...more };
  const code = 'code' in value ? { code: value.code } : {};
  return { message, name: value.name, ...code, stack: value.stack, ...more };
}
