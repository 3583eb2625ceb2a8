// What: one JSON record into one row, plainly: any valid document, any spelling of its values, exact.
// Why: the scanner reads only what ticks usually look like and leaves the rest to this, so it can stay small and fast.
// Invariant: this decides what a JSON record means; the scanner gives the same row or gives the record up.

import type { RowBuffer } from '../../src/columns/batch.ts';
import type { SymbolTable } from '../../src/columns/symbols.ts';
import { jsonMembers, stringValue } from './json-members.ts';
import { type Cause, storeBoolean, storeMissing, storeNumber, storeQuoted, storeTexts } from './store.ts';
import { isText, type Target } from './target.ts';

/** Fills row `row`, for which there is room. The cause when the record is undecodable; the row then holds rubbish. */
export function decodeJson(
  target: Target,
  symbols: SymbolTable,
  document: Uint8Array,
  timestampMs: number,
  rows: RowBuffer,
  row: number,
): Cause {
  const members = jsonMembers(document);
  if (typeof members === 'string') return members;
  const texts: (string | null)[] = [];
  for (const column of target.columns) {
    const buffer = rows.columns[column.index]!;
    const token = members.get(column.field) ?? 'null';
    const first = token[0]!;
    let cause: Cause;
    if (first === 'n') cause = storeMissing(column, buffer, row, timestampMs);
    else if (first === 't' || first === 'f') cause = storeBoolean(column, buffer, row, first === 't');
    else if (first === '{' || first === '[') cause = `${column.label} is nested`;
    else if (first !== '"') cause = storeNumber(column, buffer, row, token);
    else if (isText(column)) {
      texts[column.index] = stringValue(token);
      cause = null;
    } else cause = storeQuoted(column, buffer, row, stringValue(token));
    if (cause !== null) return cause;
  }
  return storeTexts(target, rows, row, texts, symbols);
}
