// What: rows that come symbol by symbol, taken in batches of whole symbols.
// Why: windows and joins within a symbol then keep the rows of a few symbols at a time: less memory, most of it in the processor's caches.
// Invariant: batches follow one another in the flow's order, and no symbol is in two of them.

import type { Block, Flow } from './block.ts';
import type { TextVector } from './vector.ts';

/** Of a flow whose symbols' ids ascend; each block is of one symbol. */
export class SymbolBatches {
  /** Of the next row; null at the end. Known after `begin`. */
  symbol: number | null = null;
  private readonly flow: Flow;
  private readonly slot: number;
  private next: Block | null = null;
  private isBegun = false;

  /** `slot`: of the symbol. */
  constructor(flow: Flow, slot: number) {
    this.flow = flow;
    this.slot = slot;
  }

  *begin(): Flow {
    if (this.isBegun) return;
    this.isBegun = true;
    yield* this.advance();
  }

  /** Leaves out the rows of symbols below this one. */
  *skipTo(symbol: number): Flow {
    yield* this.begin();
    while (this.symbol !== null && this.symbol < symbol) yield* this.advance();
  }

  /** The next symbol's rows, and those of further symbols as long as there are fewer than `rowsLeast`. To be read to the end. */
  *rows(rowsLeast: number): Flow {
    let rows = 0;
    let last = this.symbol;
    while (this.next !== null && (this.symbol === last || rows < rowsLeast)) {
      last = this.symbol;
      rows += this.next.rows;
      yield this.next;
      yield* this.advance();
    }
  }

  close(): void {
    this.flow.return();
  }

  private *advance(): Flow {
    for (;;) {
      const { done, value } = this.flow.next();
      if (value instanceof Promise) {
        yield value;
        continue;
      }
      this.next = done === true ? null : (value as Block);
      this.symbol = this.next === null ? null : (this.next.column(this.slot) as TextVector).values[0]!;
      return;
    }
  }
}

/** What `of` makes of each batch, one after the other. */
export function* inBatches(flow: Flow, slot: number, rowsLeast: number, of: (batch: Flow) => Flow): Flow {
  const batches = new SymbolBatches(flow, slot);
  try {
    yield* batches.begin();
    while (batches.symbol !== null) yield* of(batches.rows(rowsLeast));
  } finally {
    batches.close();
  }
}
