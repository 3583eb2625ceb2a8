// What: memory for what is large and short-lived, as answers of brokers and compressed columns are, used again and again.
// Why: new memory for each costs the clearing of its pages and, every few of them, a run of the garbage collector.
// Invariant: memory belongs to one borrower at a time; what is never given back is left to the garbage collector.

/** What is smaller gets memory of its own: it costs nothing. */
const BYTES_MIN = 65_536;
const KEPT_BYTES_MAX = 2 ** 23;
/** One is read while the next waits and another is filled. */
const KEPT_MAX = 3;
const STEP_BYTES = 2 ** 20;

export class LentMemory {
  private readonly keptBytesMax: number;
  private readonly free: ArrayBuffer[] = [];
  private readonly lent = new WeakSet<ArrayBufferLike>();

  /** What needs more is extraordinary, and must not hold its memory for ever. */
  constructor(keptBytesMax = KEPT_BYTES_MAX) {
    this.keptBytesMax = keptBytesMax;
  }

  /** At least `bytes`; the content is undefined. */
  take(bytes: number): Buffer {
    if (bytes < BYTES_MIN) return Buffer.allocUnsafeSlow(bytes);
    const memory = this.kept(bytes) ?? allocate(bytes);
    this.lent.add(memory);
    return Buffer.from(memory);
  }

  /** Nobody reads in it any more. What is not from here, or was given back before, is ignored. */
  give(memory: ArrayBufferLike): void {
    if (!this.lent.delete(memory) || memory.byteLength > this.keptBytesMax) return;
    this.free.push(memory as ArrayBuffer);
    this.free.sort((a, b) => a.byteLength - b.byteLength);
    if (this.free.length > KEPT_MAX) this.free.shift();
  }

  /** The smallest that is large enough. */
  private kept(bytes: number): ArrayBuffer | null {
    const at = this.free.findIndex(({ byteLength }) => byteLength >= bytes);
    return at < 0 ? null : this.free.splice(at, 1)[0]!;
  }
}

function allocate(bytes: number): ArrayBuffer {
  return Buffer.allocUnsafeSlow(Math.ceil(bytes / STEP_BYTES) * STEP_BYTES).buffer as ArrayBuffer;
}
