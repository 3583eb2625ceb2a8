// What: one record of the symbol topic: which name it takes in, if any.
// Why: ids are counted over valid records, so what counts as valid must be the same for every member and every version.
// Invariant: a record is valid when its key is UTF-8 and its value a JSON object whose `symbol` is the key. This never changes.

import type { OutgoingRecord } from './record-write.ts';

const strict = new TextDecoder('utf-8', { fatal: true, ignoreBOM: true });

/** Key = name; value = the name with who assigned it, and when. */
export function symbolRecord(name: string, group: string, timeMs: number): OutgoingRecord {
  const value = JSON.stringify({ symbol: name, group, time: new Date(timeMs).toISOString() });
  return { key: Buffer.from(name), value: Buffer.from(value), headers: [] };
}

/** The name, or null for a record that is not of this format. */
export function symbolOf(key: Uint8Array | null, value: Uint8Array | null): string | null {
  if (key === null || value === null) return null;
  try {
    const name = strict.decode(key);
    const content: unknown = JSON.parse(strict.decode(value));
    return typeof content === 'object' &&
      content !== null &&
      (content as { symbol?: unknown }).symbol === name
      ? name
      : null;
  } catch {
    return null;
  }
}
