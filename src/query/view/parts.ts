// What: what a view keeps of each part of its table: the groups that its rows fall in, and a state of each aggregate for each.
// Why: rows below a published count never change, so a part costs its new rows only, and a sealed one nothing.
// Invariant: states of a part are exactly those of its first `rows` rows; a group has one number in the whole view, which holds while anything is read.

import type { SqlType } from '../../sql/types.ts';
import type { Accumulator } from '../aggregate/accumulator.ts';
import { type Aggregate, makeAggregate } from '../aggregate/make.ts';
import type { Block } from '../block.ts';
import { compile, condition } from '../expression/compile.ts';
import { type Compiled, coerced } from '../expression/compiled.ts';
import { storable } from '../hash-aggregate.ts';
import { decodeTuples, encodeTuples, KeyTable, tupleWords } from '../keys.ts';
import { piecesOf } from '../parts.ts';
import type { GroupedParts } from '../plan.ts';
import { scopeOf, Test } from '../rows.ts';
import { Budget, type Run } from '../run.ts';
import { Scratch } from '../scratch.ts';
import type { AnyPart, TableSnapshot } from '../snapshot.ts';
import { PartReader } from '../table-scan.ts';
import { kindOf, type Vector } from '../vector.ts';
import { RangeTaker } from './range-taker.ts';
import { Whole } from './whole.ts';

/** Of one part. Group k of the part is group numbers[k] of the view. */
export interface PartGroups {
  readonly numbers: readonly number[];
  readonly states: readonly Accumulator[];
  /** Rows taken in. */
  readonly rows: number;
}

interface KeptGroups extends PartGroups {
  readonly numbers: number[];
  readonly places: Map<number, number>;
  readonly placeOfBucket: Map<number, number>;
  rows: number;
  /** When a read last wanted it. */
  usedAt: number;
}

/** Of a state per group and aggregate, and of a part's own tables, roughly. */
const STATE_BYTES = 48;
/** In a column, and once more as results have it. */
const VALUE_BYTES = 16;
const PART_BYTES = 400;

const noKeys = { groups: 0, vectors: [] };

export class ViewParts {
  readonly keyTypes: readonly SqlType[];
  readonly grouped: GroupedParts;
  /** Long-lived: what is compiled for a view is compiled once. */
  private readonly run: Run;
  private readonly bytesMax: number;
  private readonly reader: PartReader;
  private readonly tests: readonly Test[];
  private readonly keys: readonly Compiled[];
  private readonly aggregates: readonly Aggregate[];
  private readonly ranges: RangeTaker | null;
  private table: KeyTable;
  private readonly kept = new Map<string, KeptGroups>();
  private readonly words = new Scratch();
  private readonly ids = new Scratch();
  private readonly places = new Scratch();
  private readonly starts = new Scratch();
  private reads = 0;
  /** Reads and turns under way: they hold numbers of groups. */
  private underWay = 0;
  private whole: Whole | null = null;
  private keyVectors: { readonly groups: number; readonly vectors: readonly Vector[] } = noKeys;
  /** Rows taken in since it was made. */
  rowsTaken = 0;

  constructor(grouped: GroupedParts, run: Run, bytesMax: number) {
    const scope = scopeOf(run, grouped.rows);
    const { types } = grouped.rows;
    this.grouped = grouped;
    this.run = run;
    this.bytesMax = bytesMax;
    this.reader = new PartReader(grouped.scan);
    this.tests = grouped.where.map((e) => new Test(condition(compile(e, scope))));
    this.keyTypes = grouped.keys.map((key) => storable(types.get(key)!));
    this.keys = grouped.keys.map((key, i) => coerced(compile(key, scope), this.keyTypes[i]!, key.at));
    const time = grouped.time === null ? null : compile(grouped.time, scope);
    this.aggregates = grouped.calls.map((call) => makeAggregate(call, scope, time));
    this.ranges = RangeTaker.of(
      grouped,
      this.aggregates.map(({ state }) => state),
    );
    this.table = this.emptyTable();
  }

  /** Before a read or a turn, which ends with `end`. */
  begin(): void {
    if (this.underWay === 0) this.forgetKeys();
    this.underWay++;
  }

  end(): void {
    this.underWay--;
  }

  /** Groups of the whole view so far; some may have no row any more. */
  get groups(): number {
    return this.keyTypes.length === 0 ? 1 : this.table.count;
  }

  get partsKept(): number {
    return this.kept.size;
  }

  get bytes(): number {
    const states = this.groupsInParts * this.aggregates.length * STATE_BYTES;
    return this.kept.size * PART_BYTES + states + this.keyBytes + this.wholeBytes;
  }

  /** An empty state of an aggregate. */
  stateOf(call: number): Accumulator {
    return this.aggregates[call]!.makeState();
  }

  /** Values of the keys of all groups, by group number. */
  keysOf(): readonly Vector[] {
    const { count, words, width } = this.table;
    if (this.keyVectors.groups !== count || this.keyVectors.vectors.length === 0) {
      let at = 0;
      const vectors = this.keyTypes.map((type) => {
        const kind = kindOf(type);
        const vector = decodeTuples(words, count, at, width, kind);
        at += tupleWords([kind]);
        return vector;
      });
      this.keyVectors = { groups: count, vectors };
    }
    return this.keyVectors.vectors;
  }

  /** Whether it was taken in, be it with fewer rows. */
  isKept(part: AnyPart): boolean {
    return this.kept.has(part.id);
  }

  /** What is kept of the part when all its rows are in it; else null. */
  known(part: AnyPart): PartGroups | null {
    const kept = this.kept.get(part.id);
    if (kept?.rows !== part.rows) return null;
    kept.usedAt = this.reads;
    return kept;
  }

  /** Brings what is kept of a part up to its rows and hands it to `found`. Yields only promises. `check`: may stop it. */
  *take(part: AnyPart, check: () => void, found: (groups: PartGroups) => void): Generator<Promise<unknown>> {
    let kept = this.kept.get(part.id);
    // An older snapshot than the one that was taken in last; or a file, which others may be reading just now.
    const isOwn = part.tier === 'hot' && (kept === undefined || kept.rows <= part.rows);
    if (!isOwn || kept === undefined) kept = this.empty();
    let isTaken = false;
    try {
      if (this.ranges !== null) yield* this.takeRanges(this.ranges, part, kept, check);
      else
        for (const item of this.reader.read(part, kept.rows, this.run)) {
          if (item instanceof Promise) yield item;
          else {
            check();
            this.add(kept, item);
          }
        }
      isTaken = true;
    } finally {
      // It holds some of the part's new rows, and nothing tells which.
      if (!isTaken && isOwn && this.kept.delete(part.id)) this.whole?.letGo();
    }
    this.rowsTaken += part.rows - kept.rows;
    kept.rows = part.rows;
    kept.usedAt = this.reads;
    if (isOwn || part.tier !== 'hot') this.kept.set(part.id, kept);
    found(kept);
  }

  /** All groups, if it was these rows that were merged last. Valid until the next call of `merge`. */
  wholeOf(table: TableSnapshot): Whole | null {
    return this.whole?.isOf(table) === true ? this.whole : null;
  }

  /** All groups: of `found`, the groups of the table's parts in their order. Kept when there is room. */
  merge(table: TableSnapshot, found: readonly PartGroups[], check: () => void): Whole {
    const whole = this.whole ?? new Whole(this.empty().states, this.keyTypes.length > 0);
    this.whole = null;
    whole.update(table, found, this.groups, this.keysOf(), check);
    this.whole = whole;
    if (this.bytes > this.bytesMax) this.whole = null;
    return whole;
  }

  /** The rows of one part now stand in another one, and only they. */
  moved(from: string, to: string, rows: number): void {
    const kept = this.kept.get(from);
    if (this.kept.delete(from)) this.whole?.letGo();
    if (kept?.rows === rows) this.kept.set(to, kept);
  }

  /** After a read of all that is wanted: parts that are no more, and beyond the bound those unused for longest, are forgotten. */
  forget(isPart: (id: string) => boolean): void {
    let isAnyGone = false;
    for (const id of this.kept.keys()) if (!isPart(id)) isAnyGone = this.kept.delete(id);
    if (isAnyGone) this.whole?.letGo();
    this.reads++;
    if (this.bytes <= this.bytesMax) return;
    this.whole = null;
    for (const [id] of [...this.kept].sort(([, a], [, b]) => a.usedAt - b.usedAt)) {
      if (this.bytes <= this.bytesMax) return;
      this.kept.delete(id);
    }
  }

  /** A group counts as often as parts have rows of it. */
  private get groupsInParts(): number {
    let sum = 0;
    for (const { numbers } of this.kept.values()) sum += numbers.length;
    return sum;
  }

  private get keyBytes(): number {
    const { table, keyVectors } = this;
    return table.bytes + keyVectors.groups * table.width * Int32Array.BYTES_PER_ELEMENT;
  }

  private get wholeBytes(): number {
    const columns = this.keyTypes.length + this.aggregates.length;
    return (this.whole?.groupCount ?? 0) * (this.aggregates.length * STATE_BYTES + columns * VALUE_BYTES);
  }

  private emptyTable(): KeyTable {
    return new KeyTable(tupleWords(this.keyTypes.map(kindOf)), new Budget(Number.POSITIVE_INFINITY));
  }

  /** Bars come all the time and go with their parts: when most keys are of groups that no part has, the others are numbered anew. */
  private forgetKeys(): void {
    const before = this.table;
    if (2 * this.groupsInParts >= before.count) return;
    const numbers = new Int32Array(before.count).fill(-1);
    for (const kept of this.kept.values()) for (const number of kept.numbers) numbers[number] = 0;
    this.table = this.emptyTable();
    // In their order: it is that of the answers.
    for (let number = 0; number < before.count; number++)
      if (numbers[number] === 0) numbers[number] = this.table.numberOf(before.words, number * before.width);
    for (const { numbers: own, places } of this.kept.values()) {
      places.clear();
      for (let place = 0; place < own.length; place++) {
        own[place] = numbers[own[place]!]!;
        places.set(own[place]!, place);
      }
    }
    this.keyVectors = noKeys;
    this.whole = null;
  }

  private *takeRanges(
    ranges: RangeTaker,
    part: AnyPart,
    kept: KeptGroups,
    check: () => void,
  ): Generator<Promise<unknown>> {
    const place = (keys: readonly Vector[]): number => {
      const words = this.words.integers(this.table.width);
      encodeTuples(keys, 1, words);
      const made = this.placeOf(kept, keys.length === 0 ? 0 : this.table.numberOf(words, 0));
      for (const state of kept.states) state.grow(kept.numbers.length);
      return made;
    };
    let before = 0;
    for (const piece of piecesOf(part, this.grouped.scan.schema, ranges.columns, this.run)) {
      if (piece instanceof Promise) {
        yield piece;
        continue;
      }
      check();
      const first = kept.rows - before;
      if (first < piece.rows) ranges.take(part, piece, Math.max(0, first), kept, place);
      before += piece.rows;
    }
  }

  private empty(): KeptGroups {
    return {
      ...{ numbers: [], places: new Map(), placeOfBucket: new Map(), rows: 0, usedAt: this.reads },
      states: this.aggregates.map(({ makeState }) => makeState()),
    };
  }

  private add(kept: KeptGroups, block: Block): void {
    let rest: Block | null = block;
    for (const test of this.tests) rest = rest && test.passed(rest);
    if (rest === null) return;
    const { rows } = rest;
    const places = this.placesOf(kept, rest);
    for (const state of kept.states) state.grow(kept.numbers.length);
    const runs = this.runsOf(places, rows);
    this.aggregates.forEach((aggregate, i) => {
      aggregate.take(rest, places, runs, kept.states[i]!);
    });
  }

  /** The place of each row's group in what is kept. */
  private placesOf(kept: KeptGroups, block: Block): Int32Array {
    const { rows } = block;
    const { width } = this.table;
    const vectors = this.keys.map((key) => key.evaluate(block));
    const words = this.words.integers(rows * width);
    encodeTuples(vectors, rows, words);
    const ids = this.ids.integers(rows);
    if (width === 0) ids.fill(0, 0, rows);
    else this.table.numbersOf(words, rows, ids);
    const places = this.places.integers(rows);
    let last = -1;
    let place = -1;
    for (let row = 0; row < rows; row++) {
      const id = ids[row]!;
      if (id !== last) {
        last = id;
        place = this.placeOf(kept, id);
      }
      places[row] = place;
    }
    return places;
  }

  private placeOf(kept: KeptGroups, id: number): number {
    const known = kept.places.get(id);
    if (known !== undefined) return known;
    const place = kept.numbers.length;
    kept.numbers.push(id);
    kept.places.set(id, place);
    return place;
  }

  private runsOf(places: Int32Array, rows: number): { count: number; starts: Int32Array } | undefined {
    const starts = this.starts.integers(rows + 1);
    const most = rows / 8;
    let count = 1;
    starts[0] = 0;
    for (let i = 1; i < rows; i++) {
      if (places[i] === places[i - 1]) continue;
      if (count > most) return undefined;
      starts[count++] = i;
    }
    starts[count] = rows;
    return { count, starts };
  }
}
