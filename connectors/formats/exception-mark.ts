// What: the end of an answer that broke off after its first byte, as ClickHouse marks it since 25.11.
// Why: the status is sent by then; a client that knows the tag from the header finds the error's number and text.
// Invariant: the mark is the last of the bytes; no row and no block of any format reads like it.

import { clickhouseError } from '../../src/kernel/clickhouse-error.ts';
import { asZeptoError } from '../../src/kernel/errors.ts';

/**
 * `\r\n__exception__\r\n{tag}\r\n{message}\n{bytes of message and \n} {tag}\r\n__exception__\r\n`: the length stands
 * behind the message, because the end of a stream is what a client has at hand.
 */
export function exceptionMark(error: unknown, tag: string): Uint8Array {
  const message = `${exceptionText(error)}\n`;
  const bytes = Buffer.byteLength(message);
  return Buffer.from(`\r\n__exception__\r\n${tag}\r\n${message}${bytes} ${tag}\r\n__exception__\r\n`, 'utf8');
}

export const exceptionText = (error: unknown): string => clickhouseError(asZeptoError(error)).text;
