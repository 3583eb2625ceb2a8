// What: what a result format is.
// Why: whoever answers a statement writes any format through it.
// Invariant: an error before the first piece is thrown; a later one is marked in the bytes where the format has a place for it, then thrown.

import type { ResultSet } from '../../src/http-port.ts';

export interface AboutResult {
  /** Since the statement arrived, microseconds. */
  elapsedUs(): number;
  /** Lower-case ClickHouse setting names. */
  readonly settings: Readonly<Record<string, string>>;
  /** Told before the first byte: clients find an error in the stream by it. */
  readonly exceptionTag: string;
}

export interface ResultFormat {
  readonly name: string;
  readonly contentType: string;
  write(result: ResultSet, about: AboutResult): AsyncIterable<Uint8Array>;
}

export const isOn = (value: string | undefined): boolean => value === '1' || value === 'true';
