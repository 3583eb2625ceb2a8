// What: the group's symbol dictionary as one member sees it: names by id, ids by the bytes of a name.
// Why: a decoder looks a name up once per tick, straight from the record's bytes, with no string made.
// Invariant: an id, once given to a name, never changes; ids are dense from 0 and stay below 2^31.

import { assert } from '../kernel/assert.ts';
import { SYMBOL_ID_LIMIT } from './types.ts';

const MULTIPLIER = 0x01000193;

/**
 * An open-addressing hash from name bytes to id. Names that are not yet in the dictionary get a provisional
 * code (`SYMBOL_ID_LIMIT + k`, k the index into `unknown`), valid until `clearUnknown()`; the caller has them
 * assigned through the symbol topic and patches the column.
 */
export class SymbolTable {
  readonly names: string[] = [];
  /** Names met since the last `clearUnknown()` that the dictionary does not hold. */
  readonly unknown: string[] = [];
  private slots = new Int32Array(1024).fill(-1);
  private hashes = new Int32Array(1024);
  private readonly entryBytes: Uint8Array[] = [];
  private readonly entryCode: number[] = [];
  private readonly byName = new Map<string, number>();

  get size(): number {
    return this.names.length;
  }

  idOf(name: string): number | undefined {
    return this.byName.get(name);
  }

  /** The id of the name in `bytes[start, start + length)`, or a provisional code. Allocates only for an unknown name. */
  codeOf(bytes: Uint8Array, start: number, length: number): number {
    const slot = this.slotOf(bytes, start, length, hashOf(bytes, start, length));
    const entry = this.slots[slot]!;
    if (entry >= 0) return this.entryCode[entry]!;
    const code = SYMBOL_ID_LIMIT + this.unknown.length;
    const name = new Uint8Array(bytes.subarray(start, start + length));
    this.unknown.push(Buffer.from(name).toString('utf8'));
    this.insert(slot, name, code);
    return code;
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
    const slot = this.slotOf(bytes, 0, bytes.length, hashOf(bytes, 0, bytes.length));
    const entry = this.slots[slot]!;
    if (entry < 0) this.insert(slot, bytes, id);
    else this.entryCode[entry] = id;
  }

  /** Forgets provisional codes; unknown names that were not learned in the meantime leave the table. */
  clearUnknown(): void {
    if (this.unknown.length === 0) return;
    this.unknown.length = 0;
    for (let entry = this.entryCode.length - 1; entry >= 0; entry--) {
      if (this.entryCode[entry]! >= SYMBOL_ID_LIMIT) {
        this.entryBytes.splice(entry, 1);
        this.entryCode.splice(entry, 1);
      }
    }
    this.rehash(this.slots.length);
  }

  /** The slot that holds the name, or the free one where it belongs. */
  private slotOf(bytes: Uint8Array, start: number, length: number, hash: number): number {
    const mask = this.slots.length - 1;
    let slot = (hash ^ (hash >>> 15)) & mask;
    for (;;) {
      const entry = this.slots[slot]!;
      if (entry < 0) return slot;
      if (this.hashes[slot] === hash && equalBytes(this.entryBytes[entry]!, bytes, start, length))
        return slot;
      slot = (slot + 1) & mask;
    }
  }

  private insert(slot: number, name: Uint8Array, code: number): void {
    this.entryBytes.push(name);
    this.entryCode.push(code);
    this.slots[slot] = this.entryBytes.length - 1;
    this.hashes[slot] = hashOf(name, 0, name.length);
    if (this.entryBytes.length * 2 > this.slots.length) this.rehash(this.slots.length * 2);
  }

  private rehash(size: number): void {
    this.slots = new Int32Array(size).fill(-1);
    this.hashes = new Int32Array(size);
    for (let entry = 0; entry < this.entryBytes.length; entry++) {
      const name = this.entryBytes[entry]!;
      const hash = hashOf(name, 0, name.length);
      const slot = this.slotOf(name, 0, name.length, hash);
      this.slots[slot] = entry;
      this.hashes[slot] = hash;
    }
  }
}

function hashOf(bytes: Uint8Array, start: number, length: number): number {
  let hash = length;
  for (let i = start, end = start + length; i < end; i++) hash = Math.imul(hash ^ bytes[i]!, MULTIPLIER);
  return hash;
}

function equalBytes(name: Uint8Array, bytes: Uint8Array, start: number, length: number): boolean {
  if (name.length !== length) return false;
  for (let i = 0; i < length; i++) if (name[i] !== bytes[start + i]) return false;
  return true;
}
