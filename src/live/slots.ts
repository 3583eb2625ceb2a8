// What: places in the row counts of a snapshot, one for each live part.
// Why: counting all parts is one pass over a dense array, whatever comes and goes.
// Invariant: a place belongs to one part at a time.

export class Slots {
  private readonly free: number[] = [];
  /** Past the highest one in use. */
  size = 0;

  take(): number {
    return this.free.pop() ?? this.size++;
  }

  give(slot: number): void {
    this.free.push(slot);
  }
}
