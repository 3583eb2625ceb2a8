// What: the few shared words by which a shard and its readers agree: an epoch, and a pin for each reader.
// Why: readers need no lock and the shard never waits; memory is used again only when nobody reads it any more.
// Invariant: the epoch is odd exactly while counts and directory change; who is pinned at an epoch sees nothing of it freed.
//
// Epoch-based reclamation (K. Fraser, Practical lock-freedom, 2004, section 5.2.3), with the epoch as a sequence lock.
//
// | word  | content                                                  |
// | ----- | -------------------------------------------------------- |
// | 0     | epoch, counted up at the begin and at the end of a change |
// | 1 + r | pin of reader r: 0 none, else epoch + 1                   |

const EPOCH = 0;
/** A change takes far less; this only bounds the wait for a writer that is suspended. */
const WAIT_MS = 10;

export function pinWords(readers: number): SharedArrayBuffer {
  return new SharedArrayBuffer(4 * (1 + readers));
}

export class WriterPins {
  private readonly words: Int32Array;

  constructor(words: SharedArrayBuffer) {
    this.words = new Int32Array(words);
  }

  begin(): void {
    Atomics.add(this.words, EPOCH, 1);
  }

  end(): void {
    Atomics.add(this.words, EPOCH, 1);
    Atomics.notify(this.words, EPOCH);
  }

  get epoch(): number {
    return Atomics.load(this.words, EPOCH);
  }

  /** Whether some reader may still read what was let go before `epoch`. */
  isPinnedBefore(epoch: number): boolean {
    for (let word = 1; word < this.words.length; word++) {
      const pin = Atomics.load(this.words, word);
      // By difference, so that it holds when the count has wrapped.
      if (pin !== 0 && ((pin - 1 - epoch) | 0) < 0) return true;
    }
    return false;
  }
}

export class ReaderPins {
  private readonly words: Int32Array;
  private readonly word: number;
  /** Epochs in use, oldest first, with the number of users. */
  private readonly held: { readonly epoch: number; users: number }[] = [];

  constructor(words: SharedArrayBuffer, reader: number) {
    this.words = new Int32Array(words);
    this.word = 1 + reader;
  }

  /** Runs `look` until nothing changed meanwhile; what it saw last then stays in memory until `release(epoch)`. Blocks the thread while a change is under way. */
  settle(look: () => void): number {
    for (;;) {
      const epoch = Atomics.load(this.words, EPOCH);
      if ((epoch & 1) !== 0) {
        Atomics.wait(this.words, EPOCH, epoch, WAIT_MS);
        continue;
      }
      if (this.held.length === 0) Atomics.store(this.words, this.word, pinOf(epoch));
      look();
      if (Atomics.load(this.words, EPOCH) !== epoch) {
        this.publish();
        continue;
      }
      const last = this.held.at(-1);
      if (last?.epoch === epoch) last.users++;
      else this.held.push({ epoch, users: 1 });
      return epoch;
    }
  }

  release(epoch: number): void {
    const at = this.held.findIndex((one) => one.epoch === epoch);
    if (--this.held[at]!.users === 0) this.held.splice(at, 1);
    this.publish();
  }

  private publish(): void {
    const oldest = this.held[0];
    Atomics.store(this.words, this.word, oldest === undefined ? 0 : pinOf(oldest.epoch));
  }
}

/** For a reader that is gone: what it read may be freed. */
export function unpin(words: SharedArrayBuffer, reader: number): void {
  Atomics.store(new Int32Array(words), 1 + reader, 0);
}

/** Epochs that are pinned are even, so this is never 0. */
const pinOf = (epoch: number): number => (epoch + 1) | 0;
