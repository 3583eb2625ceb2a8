// What: the Logger port inside a worker thread: sends each entry to the main thread, which writes it.
// Why: two threads that write to one stream tear each other's lines apart, and a thread that ends loses its last ones.
// Invariant: an entry below the level costs no message; what cannot be cloned is sent as text, never lost.

import type { Logger } from '../../src/ports.ts';
import { describeError, type LogLevel } from './logger.ts';

const LEVELS: readonly LogLevel[] = ['debug', 'info', 'warn', 'error'];

/** Plain data, fit for postMessage. */
export interface LogMessage {
  readonly level: LogLevel;
  readonly fields: Readonly<Record<string, unknown>>;
  readonly message: string;
}

export function relayLogger(
  level: LogLevel,
  fields: Readonly<Record<string, unknown>>,
  send: (entry: LogMessage) => void,
): Logger {
  const at =
    (own: LogLevel): Logger['info'] =>
    (more, message) => {
      if (LEVELS.indexOf(own) < LEVELS.indexOf(level)) return;
      const entry = { level: own, fields: { ...fields, ...plainFields(more) }, message };
      send(entry);
    };
  return { debug: at('debug'), info: at('info'), warn: at('warn'), error: at('error') };
}

/** Writes what a thread sent. */
export function replayLog(logger: Logger, { level, fields, message }: LogMessage): void {
  logger[level](fields, message);
}

/** The same logger with more fields in every entry. */
export function withFields(logger: Logger, fields: Readonly<Record<string, unknown>>): Logger {
  return {
    debug: (more, message) => logger.debug({ ...fields, ...more }, message),
    info: (more, message) => logger.info({ ...fields, ...more }, message),
    warn: (more, message) => logger.warn({ ...fields, ...more }, message),
    error: (more, message) => logger.error({ ...fields, ...more }, message),
  };
}

/** Errors become plain data here, since cloning one drops its class, code and context. */
function plainFields(fields: Readonly<Record<string, unknown>>): Record<string, unknown> {
  const plain: Record<string, unknown> = {};
  for (const [name, value] of Object.entries(fields)) plain[name] = plainValue(describeError(value));
  return plain;
}

function plainValue(value: unknown): unknown {
  if (typeof value === 'function' || typeof value === 'symbol') return String(value);
  if (typeof value !== 'object' || value === null) return value;
  try {
    return structuredClone(value);
  } catch {
    return String(value);
  }
}
