// What: the texts of one row, by position, until the row is known to be good; then their codes.
// Why: a record that is set aside must leave no name in the group's dictionary.
// Invariant: a name enters the dictionary only as valid UTF-8 of bounded length.

import { isUtf8 } from 'node:buffer';
import type { ColumnBuffer } from '../../src/columns/batch.ts';
import type { SymbolTable } from '../../src/columns/symbols.ts';
import { type Cause, textFault } from './store.ts';
import type { Target } from './target.ts';

/** By column index. A length of −1: the column has its code already, or NULL. */
export class TextSlots {
  private readonly target: Target;
  private readonly symbols: SymbolTable;
  private readonly start: Int32Array;
  private readonly length: Int32Array;
  private readonly hash: Int32Array;

  constructor(target: Target, symbols: SymbolTable) {
    this.target = target;
    this.symbols = symbols;
    this.start = new Int32Array(target.columns.length);
    this.length = new Int32Array(target.columns.length).fill(-1);
    this.hash = new Int32Array(target.columns.length);
  }

  /** `hash` as hashOf would make it. */
  put(column: number, start: number, length: number, hash: number): void {
    this.start[column] = start;
    this.length[column] = length;
    this.hash[column] = hash;
  }

  clear(): void {
    const { texts } = this.target;
    for (let i = 0; i < texts.length; i++) this.length[texts[i]!] = -1;
  }

  /** Gives all texts their codes and clears the slots. At least 3 bytes must follow each text in the view. */
  store(view: DataView, columns: readonly ColumnBuffer[], row: number): Cause {
    const { texts } = this.target;
    let unknown = 0;
    for (let i = 0; i < texts.length; i++) {
      const column = texts[i]!;
      const length = this.length[column]!;
      if (length < 0) continue;
      const code =
        length === 0 ? -1 : this.symbols.findHashed(view, this.start[column]!, length, this.hash[column]!);
      if (code >= 0) {
        columns[column]!.i32[row] = code;
        this.length[column] = -1;
      } else unknown++;
    }
    return unknown === 0 ? null : this.storeUnknown(view, columns, row);
  }

  private storeUnknown(view: DataView, columns: readonly ColumnBuffer[], row: number): Cause {
    let cause: Cause = null;
    for (const column of this.target.texts) {
      const length = this.length[column]!;
      if (length < 0) continue;
      const target = this.target.columns[column]!;
      cause ??= textFault(target, length);
      if (!isUtf8(new Uint8Array(view.buffer, view.byteOffset + this.start[column]!, length)))
        cause ??= `${target.label} is not UTF-8`;
    }
    for (const column of this.target.texts) {
      const length = this.length[column]!;
      this.length[column] = -1;
      if (length < 0 || cause !== null) continue;
      columns[column]!.i32[row] = this.symbols.codeIn(view, this.start[column]!, length);
    }
    return cause;
  }
}
