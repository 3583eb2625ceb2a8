// What: which batches of a fetch response belong to aborted transactions.
// Why: a read_committed consumer gets the aborted records too, with a list of who aborted from where; it must leave them out.
// Invariant: batches are asked about in offset order; a producer's batches count as aborted from the listed first offset to its abort marker.

export interface AbortedTransaction {
  readonly producerId: bigint;
  readonly firstOffset: number;
}

/** KIP-98: the consumer's side of `read_committed`, for one partition of one fetch response. */
export class AbortedTransactions {
  private readonly upcoming: AbortedTransaction[];
  private readonly open = new Set<bigint>();

  constructor(list: readonly AbortedTransaction[]) {
    // Latest first, so that the next one is popped from the end.
    this.upcoming = [...list].sort((a, b) => b.firstOffset - a.firstOffset);
  }

  /** Whether the transactional batch that ends at `offsetLast` is of an aborted transaction. */
  covers(producerId: bigint, offsetLast: number): boolean {
    this.advance(offsetLast);
    return this.open.has(producerId);
  }

  /** An abort marker of this producer stands at `offset`: what it writes afterwards is another transaction. */
  abortedAt(producerId: bigint, offset: number): void {
    this.advance(offset);
    this.open.delete(producerId);
  }

  private advance(offset: number): void {
    for (
      let next = this.upcoming.at(-1);
      next !== undefined && next.firstOffset <= offset;
      next = this.upcoming.at(-1)
    ) {
      this.open.add(next.producerId);
      this.upcoming.pop();
    }
  }
}
