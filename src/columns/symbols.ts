// What: the group's symbol dictionary as one member sees it: names by id, ids by the bytes of a name.
// Why: a decoder looks a name up once per tick, straight from the record's bytes, with no string made.
// Invariant: an id, once given to a name, never changes; ids are dense from 0 and stay below 2^31.

import { assert } from '../kernel/assert.ts';
import { SYMBOL_ID_LIMIT } from './types.ts';

/**
 * An open-addressing hash from name bytes to id, four bytes at a time. Names that are not yet in the dictionary get
 * a provisional code (`SYMBOL_ID_LIMIT + k`, k the index into `unknown`), valid until `clearUnknown()`; the caller
 * has them assigned through the symbol topic and patches the column.
 */
export class SymbolTable {
  readonly names: string[] = [];
  /** Names met since the last `clearUnknown()` that the dictionary does not hold. */
  readonly unknown: string[] = [];
  private readonly byName = new Map<string, number>();
  /** Entry by slot, −1 free; never more than half full. */
  private slots = new Int32Array(1024).fill(-1);
  /** By entry: where its words begin in `words`, its length in bytes, its hash, its id or provisional code. */
  private entries = new Int32Array(4 * 512);
  private entryCount = 0;
  /** The entries' bytes as little-endian words, each name padded with zeros. */
  private words = new Int32Array(2048);
  private wordCount = 0;

  get size(): number {
    return this.names.length;
  }

  idOf(name: string): number | undefined {
    return this.byName.get(name);
  }

  /** The id of the name in `bytes[start, start + length)`, or a provisional code. Allocates only for an unknown name. The bytes must be UTF-8. */
  codeOf(bytes: Uint8Array, start: number, length: number): number {
    return this.codeIn(new DataView(bytes.buffer, bytes.byteOffset, bytes.byteLength), start, length);
  }

  /** As `codeOf`, over a view. */
  codeIn(view: DataView, start: number, length: number): number {
    const code = this.find(view, start, length);
    return code >= 0 ? code : this.meet(view, start, length);
  }

  /** As `codeIn`, but −1 for a name that has no code yet. */
  find(view: DataView, start: number, length: number): number {
    if (start + length + 3 <= view.byteLength)
      return this.findHashed(view, start, length, hashOf(view, start, length));
    const copy = paddedCopy(view, start, length);
    return this.findHashed(copy, 0, length, hashOf(copy, 0, length));
  }

  /**
   * As `find`, with the hash made while the bytes were read: `hashWord` from HASH_SEED over the little-endian
   * words, the last one padded with zeros. At least 3 bytes must follow the name in the view.
   */
  findHashed(view: DataView, start: number, length: number, hash: number): number {
    const { slots, entries, words } = this;
    const mask = slots.length - 1;
    for (let slot = hash & mask; ; slot = (slot + 1) & mask) {
      const entry = slots[slot]!;
      if (entry < 0) return -1;
      const at = entry << 2;
      if (entries[at + 2] !== hash || entries[at + 1] !== length) continue;
      let word = entries[at]!;
      let p = start;
      const last = start + (length & ~3);
      while (p < last && words[word] === view.getInt32(p, true)) {
        word++;
        p += 4;
      }
      if (p !== last) continue;
      const tail = TAIL_MASK[length & 3]!;
      if (tail === 0 || words[word] === (view.getInt32(p, true) & tail)) return entries[at + 3]! >>> 0;
    }
  }

  codeOfName(name: string): number {
    const known = this.byName.get(name);
    if (known !== undefined) return known;
    const bytes = Buffer.from(name, 'utf8');
    return this.codeOf(bytes, 0, bytes.length);
  }

  /** Records that `name` has `id`, as the symbol topic says. */
  learn(name: string, id: number): void {
    assert(
      id === this.names.length && id < SYMBOL_ID_LIMIT,
      `symbol ids are dense: got ${id}, expected ${this.names.length}`,
    );
    assert(!this.byName.has(name), `symbol ${name} has an id already`);
    this.names.push(name);
    this.byName.set(name, id);
    const bytes = Buffer.from(name, 'utf8');
    const view = paddedCopy(new DataView(bytes.buffer, bytes.byteOffset, bytes.length), 0, bytes.length);
    const hash = hashOf(view, 0, bytes.length);
    const entry = this.entryOf(view, bytes.length, hash);
    if (entry < 0) this.insert(view, bytes.length, hash, id);
    else this.entries[entry * 4 + 3] = id;
  }

  /** Forgets provisional codes; unknown names that were not learned in the meantime leave the table. */
  clearUnknown(): void {
    if (this.unknown.length === 0) return;
    this.unknown.length = 0;
    let kept = 0;
    for (let entry = 0; entry < this.entryCount; entry++) {
      if (this.entries[entry * 4 + 3]! >>> 0 >= SYMBOL_ID_LIMIT) continue;
      this.entries.copyWithin(kept * 4, entry * 4, entry * 4 + 4);
      kept++;
    }
    if (kept === this.entryCount) return;
    this.entryCount = kept;
    this.compactWords();
    this.rehash(this.slots.length);
  }

  /** A name met for the first time: a provisional code. */
  private meet(view: DataView, start: number, length: number): number {
    const code = SYMBOL_ID_LIMIT + this.unknown.length;
    this.unknown.push(Buffer.from(view.buffer, view.byteOffset + start, length).toString('utf8'));
    const name = paddedCopy(view, start, length);
    this.insert(name, length, hashOf(name, 0, length), code);
    return code;
  }

  /** −1 when there is none. */
  private entryOf(view: DataView, length: number, hash: number): number {
    const mask = this.slots.length - 1;
    for (let slot = hash & mask; ; slot = (slot + 1) & mask) {
      const entry = this.slots[slot]!;
      if (entry < 0) return -1;
      const at = entry * 4;
      if (this.entries[at + 2] !== hash || this.entries[at + 1] !== length) continue;
      let p = 0;
      while (p < length && this.words[this.entries[at]! + (p >> 2)] === view.getInt32(p, true)) p += 4;
      if (p >= length) return entry;
    }
  }

  /** `view` holds the name, padded with zeros to whole words. */
  private insert(view: DataView, length: number, hash: number, code: number): void {
    const wordsNeeded = (length + 3) >> 2;
    if (this.wordCount + wordsNeeded > this.words.length)
      this.words = grown(this.words, Math.max(this.words.length * 2, this.wordCount + wordsNeeded));
    const entry = this.entryCount++;
    if (entry * 4 === this.entries.length) this.entries = grown(this.entries, this.entries.length * 2);
    this.entries.set([this.wordCount, length, hash, code | 0], entry * 4);
    for (let i = 0; i < wordsNeeded; i++) this.words[this.wordCount++] = view.getInt32(i * 4, true);
    if (this.entryCount * 2 > this.slots.length) this.rehash(this.slots.length * 2);
    else this.place(entry);
  }

  private place(entry: number): void {
    const mask = this.slots.length - 1;
    let slot = this.entries[entry * 4 + 2]! & mask;
    while (this.slots[slot]! >= 0) slot = (slot + 1) & mask;
    this.slots[slot] = entry;
  }

  private rehash(size: number): void {
    this.slots = new Int32Array(size).fill(-1);
    for (let entry = 0; entry < this.entryCount; entry++) this.place(entry);
  }

  /** Entries keep their order, so their words move down only. */
  private compactWords(): void {
    let to = 0;
    for (let at = 0; at < this.entryCount * 4; at += 4) {
      const from = this.entries[at]!;
      const count = (this.entries[at + 1]! + 3) >> 2;
      this.words.copyWithin(to, from, from + count);
      this.entries[at] = to;
      to += count;
    }
    this.wordCount = to;
  }
}

export const HASH_SEED = 0x2f7a9c35;

/** Keeps the first (length mod 4) bytes of a little-endian word. */
export const TAIL_MASK: readonly number[] = [0, 0xff, 0xffff, 0xffffff];

/** One more word of a name into its hash. The shift brings high bits, where the last characters are, down to the slot's. */
export function hashWord(hash: number, word: number): number {
  const mixed = Math.imul(hash ^ word, 0x9e3779b1);
  return mixed ^ (mixed >>> 15);
}

/** The hash of `length` bytes at `start`; at least 3 bytes must follow them. */
export function hashOf(view: DataView, start: number, length: number): number {
  let hash = HASH_SEED;
  const last = start + (length & ~3);
  for (let p = start; p < last; p += 4) hash = hashWord(hash, view.getInt32(p, true));
  const tail = TAIL_MASK[length & 3]!;
  return tail === 0 ? hash : hashWord(hash, view.getInt32(last, true) & tail);
}

/** A copy with zeros up to a whole word, and a word more. */
function paddedCopy(view: DataView, start: number, length: number): DataView {
  const padded = new Uint8Array(((length + 3) & ~3) + 4);
  padded.set(new Uint8Array(view.buffer, view.byteOffset + start, length));
  return new DataView(padded.buffer);
}

function grown(array: Int32Array, length: number): Int32Array<ArrayBuffer> {
  const larger = new Int32Array(length);
  larger.set(array);
  return larger;
}
