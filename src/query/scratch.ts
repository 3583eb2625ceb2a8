// What: the arrays that one node of a compiled expression writes its results into, block after block.
// Why: an array per block and node would cost more than the arithmetic that fills it.
// Invariant: each array belongs to one node; what it holds is valid until that node runs again.

const ROWS_LEAST = 64;

const roundUp = (rows: number): number => Math.max(ROWS_LEAST, 2 ** Math.ceil(Math.log2(rows)));

const NO_FLOATS = new Float64Array(0);
const NO_BIGINTS = new BigInt64Array(0);
const NO_CODES = new Uint32Array(0);
const NO_INTEGERS = new Int32Array(0);
const NO_BYTES = new Uint8Array(0);

export class Scratch {
  private f64 = NO_FLOATS;
  private i64 = NO_BIGINTS;
  private u32 = NO_CODES;
  private i32 = NO_INTEGERS;
  private u8 = NO_BYTES;

  floats(rows: number): Float64Array {
    if (this.f64.length < rows) this.f64 = new Float64Array(roundUp(rows));
    return this.f64;
  }

  bigints(rows: number): BigInt64Array {
    if (this.i64.length < rows) this.i64 = new BigInt64Array(roundUp(rows));
    return this.i64;
  }

  codes(rows: number): Uint32Array {
    if (this.u32.length < rows) this.u32 = new Uint32Array(roundUp(rows));
    return this.u32;
  }

  integers(rows: number): Int32Array {
    if (this.i32.length < rows) this.i32 = new Int32Array(roundUp(rows));
    return this.i32;
  }

  bytes(rows: number): Uint8Array {
    if (this.u8.length < rows) this.u8 = new Uint8Array(roundUp(rows));
    return this.u8;
  }
}
