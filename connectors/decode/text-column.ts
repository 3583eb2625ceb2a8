// What: a column's texts, known by where they lie, on their way to codes.
// Why: texts come plain or as a dictionary; an entry is looked up once, not once per row, and no string is made on the way.
// Invariant: nothing enters the dictionary before the whole message is known to be good, and only what rows use.

import { isUtf8 } from 'node:buffer';
import type { RowBuffer } from '../../src/columns/batch.ts';
import { UNTOUCHED } from '../../src/columns/column-loops.ts';
import type { SymbolTable } from '../../src/columns/symbols.ts';
import { type Cause, storeMissing, textFault } from './store.ts';
import type { TargetColumn } from './target.ts';

/** Texts by index: where each lies in the view. */
export interface Texts {
  readonly view: DataView;
  readonly count: number;
  readonly start: Int32Array;
  /** −1: null. */
  readonly length: Int32Array;
}

/** A text column's rows [row, row + rows) on their way to codes. */
export interface TextColumn {
  /** Stores codes of known names; the cause when a text cannot become one. */
  check(): Cause;
  /** Stores codes of the names that nobody knew. To be called after every check of the message passed. */
  assign(): void;
}

const UNKNOWN = -1;

/**
 * `indices` null: row i of `count` has text i. `codes`: room for as many as there are texts, until `assign`. The buffer may
 * grow between check and assign.
 */
export function textColumn(
  texts: Texts,
  indices: Int32Array | null,
  codes: Int32Array,
  count: number,
  target: TargetColumn,
  rows: RowBuffer,
  row: number,
  timestampMs: number,
  symbols: SymbolTable,
): TextColumn {
  const { view, start, length } = texts;
  codes.fill(UNTOUCHED);
  let unknown = 0;

  function lookUp(entry: number): Cause {
    const from = start[entry]!;
    const bytes = length[entry]!;
    const code = symbols.find(view, from, bytes);
    // A provisional code is as good as an id here; only −1 means that nobody knows the name.
    codes[entry] = code;
    if (code >= 0 && bytes > 0) return null;
    const fault = textFault(target, bytes);
    if (fault !== null) return fault;
    if (!isUtf8(new Uint8Array(view.buffer, view.byteOffset + from, bytes)))
      return `${target.label} is not UTF-8`;
    if (code < 0) unknown++;
    return null;
  }

  return {
    check() {
      const column = rows.columns[target.index]!;
      const { i32, loops } = column;
      /** Rows from there on have their codes up to the one that is returned. */
      const storeKnown = (from: number): number =>
        indices === null ? from : loops.mapKnown(indices, codes, i32, row, from, count);
      for (let i = storeKnown(0); i < count; ) {
        const entry = indices === null ? i : indices[i]!;
        const isMissing = entry < 0 || length[entry]! < 0;
        const cause = isMissing ? storeMissing(target, column, row + i, timestampMs) : lookUp(entry);
        if (cause !== null) return cause;
        if (!isMissing) i32[row + i] = codes[entry]!;
        i = storeKnown(i + 1);
      }
      return null;
    },
    assign() {
      if (unknown === 0) return;
      const { i32 } = rows.columns[target.index]!;
      for (let entry = 0; entry < codes.length; entry++)
        if (codes[entry] === UNKNOWN) codes[entry] = symbols.codeIn(view, start[entry]!, length[entry]!);
      for (let i = 0; i < count; i++) {
        const entry = indices === null ? i : indices[i]!;
        if (entry >= 0 && length[entry]! >= 0) i32[row + i] = codes[entry]!;
      }
    },
  };
}
