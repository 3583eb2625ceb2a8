// What: the parts of one table by symbol, live and sealed, kept while they come and go.
// Why: a snapshot costs what has changed, not what there is: a table has many thousands of sealed parts.
// Invariant: lists that a snapshot was given are never changed; a change makes new ones.

import type { TableSchema } from '../columns/types.ts';
import type { AnyPart, TableSnapshot } from '../query/snapshot.ts';
import { LivePart } from './live-part.ts';
import type { SealedPart } from './sealed.ts';

export type Member = LivePart | SealedPart;

/** What the last snapshot gave for a symbol: given again while it has no more rows. */
interface Given {
  readonly parts: readonly AnyPart[];
  readonly live: readonly LivePart[];
  /** Of `live`. */
  readonly counts: readonly number[];
}

export class TableIndex {
  private readonly given = new Map<number, Given>();
  private readonly bySymbol = new Map<number, readonly Member[]>();
  private members = 0;
  /** What the last snapshot saw; null when it has changed. */
  private frozen: {
    readonly symbols: readonly number[];
    readonly lists: Map<number, readonly Member[]>;
  } | null = null;

  add(members: readonly Member[]): void {
    for (const [symbol, added] of grouped(members)) {
      const list = [...(this.bySymbol.get(symbol) ?? []), ...added];
      this.bySymbol.set(symbol, list.sort(byRows));
      this.given.delete(symbol);
      this.members += added.length;
    }
    this.frozen = null;
  }

  remove(members: readonly Member[]): void {
    for (const [symbol, gone] of grouped(members)) {
      const set = new Set(gone);
      const kept = this.bySymbol.get(symbol)!.filter((member) => !set.has(member));
      if (kept.length === 0) this.bySymbol.delete(symbol);
      else this.bySymbol.set(symbol, kept);
      this.given.delete(symbol);
      this.members -= gone.length;
    }
    this.frozen = null;
  }

  /** `counts`: rows of live parts by their slot, as of one moment. */
  snapshot(schema: TableSchema, counts: Int32Array): TableSnapshot {
    this.frozen ??= {
      symbols: [...this.bySymbol.keys()].sort((a, b) => a - b),
      lists: new Map(this.bySymbol),
    };
    const { symbols, lists } = this.frozen;
    const made = new Map<number, readonly AnyPart[]>();
    const partsOf = (symbol: number): readonly AnyPart[] => {
      const known = made.get(symbol);
      if (known !== undefined) return known;
      const members = lists.get(symbol) ?? [];
      // A snapshot that is older than a change may not use what was given since, nor leave anything for later ones.
      const isCurrent = members === this.bySymbol.get(symbol);
      const parts = isCurrent ? this.partsNow(symbol, members, counts) : partsAt(members, counts);
      made.set(symbol, parts);
      return parts;
    };
    return { schema, symbols, partsOf, partCount: this.members };
  }

  private partsNow(symbol: number, members: readonly Member[], counts: Int32Array): readonly AnyPart[] {
    const given = this.given.get(symbol);
    if (given?.live.every(({ slot }, i) => counts[slot] === given.counts[i])) return given.parts;
    const parts = partsAt(members, counts);
    const live = members.filter((member) => member instanceof LivePart);
    this.given.set(symbol, { parts, live, counts: live.map(({ slot }) => counts[slot]!) });
    return parts;
  }
}

/** Stable: of the same hour and partition, what is in memory holds later rows than what is sealed, and what is added later than what was before. */
const byRows = (a: Member, b: Member): number =>
  a.hour - b.hour ||
  a.partition - b.partition ||
  Number(a instanceof LivePart) - Number(b instanceof LivePart);

function partsAt(members: readonly Member[], counts: Int32Array): readonly AnyPart[] {
  const parts: AnyPart[] = [];
  for (const member of members) {
    if (!(member instanceof LivePart)) parts.push(member);
    else if (counts[member.slot]! > 0) parts.push(member.part(counts[member.slot]!));
  }
  return parts;
}

function grouped(members: readonly Member[]): Map<number, Member[]> {
  const groups = new Map<number, Member[]>();
  for (const member of members) {
    const group = groups.get(member.symbol);
    if (group === undefined) groups.set(member.symbol, [member]);
    else group.push(member);
  }
  return groups;
}
