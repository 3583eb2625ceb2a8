// What: one partition in the hands of one owner, as a reader thread sees it: its live parts and its sealed ones.
// Why: an owner's rows come and go as one, and only the latest owner's count.
// Invariant: parts of a symbol and hour stand in the order of their rows: what was sealed before this owner, what it sealed, what is in memory.

import { join } from 'node:path';
import { type ColumnSchema, storedColumns, type TableSchema } from '../columns/types.ts';
import type { CommitRecord } from '../commit/metadata.ts';
import { type SegmentFile, segmentOf } from '../format/segment.ts';
import { asZeptoError, type ZeptoError } from '../kernel/errors.ts';
import type { ColdPart, WarmPart } from '../query/snapshot.ts';
import { chunkAt } from '../store/chunk.ts';
import { CHUNK_FIELDS, type RunBegun } from './change.ts';
import { LivePart } from './live-part.ts';
import { partsOf, type SealedPart } from './sealed.ts';
import type { Slots } from './slots.ts';
import type { TableIndex } from './table-index.ts';

/** Where sealed rows are found. */
export interface SealedRows {
  /** Of `.bin` folders; null: none are written here. */
  readonly baseDirectory: string | null;
  /** Sealed rows of a partition from before it was owned here. */
  readonly loadSealed: (run: RunBegun) => Promise<readonly SealedPart[]>;
  /** The rows of one part, by its id, and only they, now stand in another. */
  readonly moved?: (from: string, to: string, rows: number) => void;
}

export class Run {
  readonly begun: RunBegun;
  /** While the rows that were sealed before are looked for. */
  loading: Promise<void> | null = null;
  /** Why they were not found. */
  failure: ZeptoError | null = null;
  private readonly index: TableIndex;
  private readonly baseDirectory: string | null;
  private readonly moved: SealedRows['moved'];
  private readonly parts = new Map<number, LivePart>();
  private readonly hours = new Map<number, LivePart[]>();
  private sealed: readonly SealedPart[] = [];
  private readonly loadSealed: SealedRows['loadSealed'];
  /** As long as the rows that were sealed before are not found: folders among which some of theirs may be. */
  private leftMeanwhile: string[] = [];
  /** Of chunks that are added. */
  private stored: readonly ColumnSchema[];
  /** Whether it is the owner: its rows are in the index, and no other's. */
  private isOwner = false;

  constructor(begun: RunBegun, index: TableIndex, { baseDirectory, loadSealed, moved }: SealedRows) {
    this.begun = begun;
    this.index = index;
    this.baseDirectory = baseDirectory;
    this.moved = moved;
    this.stored = storedColumns(begun.schema);
    this.loadSealed = loadSealed;
    if (!isUnsealed(begun.record)) this.load();
  }

  /** Looks for the rows that were sealed before: anew, when they were not found. */
  load(): void {
    this.failure = null;
    this.loading = this.loadSealed(this.begun).then(
      (parts) => {
        // What was sealed since may have the name of a folder that went meanwhile.
        const isLeft = this.inFolders(this.leftMeanwhile);
        const before = parts.flatMap((part) => (isLeft(part) ? (part.object ?? []) : part));
        // Nothing was sealed meanwhile that stands before it: a snapshot waits for this.
        this.setSealed([...before, ...this.sealed], before, () => false);
        this.loading = null;
        this.leftMeanwhile = [];
      },
      (error) => {
        this.failure = asZeptoError(error);
        this.loading = null;
      },
    );
  }

  get live(): Iterable<LivePart> {
    return this.parts.values();
  }

  changeSchema(schema: TableSchema): void {
    this.stored = storedColumns(schema);
  }

  addChunks(chunks: readonly number[], blocks: readonly SharedArrayBuffer[], slots: Slots): void {
    const { stored } = this;
    const added: LivePart[] = [];
    for (let at = 0; at < chunks.length; at += CHUNK_FIELDS) {
      const [hourId, number, symbol, hour, block, byteOffset, capacity] = chunks.slice(at, at + CHUNK_FIELDS);
      let part = this.parts.get(number!);
      if (part === undefined) {
        part = new LivePart(this.begun, stored, number!, symbol!, hour!, slots.take());
        this.parts.set(number!, part);
        added.push(part);
        const ofHour = this.hours.get(hourId!);
        if (ofHour === undefined) this.hours.set(hourId!, [part]);
        else ofHour.push(part);
      }
      part.add(chunkAt(blocks[block!]!, byteOffset!, stored, capacity!));
    }
    if (this.isOwner && added.length > 0) this.index.add(added);
  }

  evict(hours: readonly number[], files: readonly SegmentFile[], slots: Slots): void {
    const gone = hours.flatMap((id) => this.hours.get(id) ?? []);
    for (const id of hours) this.hours.delete(id);
    for (const { number, slot } of gone) {
      this.parts.delete(number);
      slots.give(slot);
    }
    if (this.isOwner) this.index.remove(gone);
    const { parts } = partsOf(files, this.begun, this.baseDirectory);
    this.tellMoved(gone, parts);
    // Behind all others of their hours, as the index has what is added.
    this.sealed = [...this.sealed, ...parts];
    if (this.isOwner) this.index.add(parts);
  }

  /** Rows that are read from these folders are read from their objects. Others are in memory, or were found as objects. */
  leaveFolders(folders: readonly string[]): void {
    if (this.loading !== null || this.failure !== null) this.leftMeanwhile.push(...folders);
    const gone = this.sealed.filter(this.inFolders(folders));
    const come = gone.flatMap((part) => part.object ?? []);
    this.tellMoved(gone, come);
    const objects = new Map(gone.map((part): [SealedPart, ColdPart | null] => [part, part.object ?? null]));
    const sealed = this.sealed.flatMap((part) => (objects.has(part) ? (objects.get(part) ?? []) : part));
    this.setSealed(sealed, come, (part) => objects.has(part));
  }

  /** It is the owner: its rows count. */
  enter(): void {
    if (this.isOwner) return;
    this.index.add([...this.parts.values(), ...this.sealed]);
    this.isOwner = true;
  }

  /** It is not, or no more: none of its rows count. */
  leave(): void {
    if (!this.isOwner) return;
    this.index.remove([...this.parts.values(), ...this.sealed]);
    this.isOwner = false;
  }

  end(slots: Slots): void {
    this.leave();
    for (const { slot } of this.parts.values()) slots.give(slot);
    this.parts.clear();
  }

  /** Parts of the same rows, where only one of each side can be meant. */
  private tellMoved(gone: readonly (LivePart | SealedPart)[], come: readonly SealedPart[]): void {
    if (this.moved === undefined) return;
    const before = new Map<string, LivePart | SealedPart | null>();
    for (const part of gone) before.set(segmentOf(part), before.has(segmentOf(part)) ? null : part);
    for (const part of come) {
      const from = before.get(segmentOf(part)) ?? null;
      if (from !== null) this.moved(from.id, part.id, part.rows);
    }
  }

  /** Whether a part is read from one of these folders. */
  private inFolders(folders: readonly string[]): (part: SealedPart) => part is WarmPart {
    const paths = new Set(folders.map((folder) => join(this.baseDirectory ?? '', folder)));
    return (part): part is WarmPart => part.tier === 'warm' && paths.has(part.folder);
  }

  /** `sealed`: in the order of their rows. What has come takes its place among the others of its symbol and hour. */
  private setSealed(
    sealed: readonly SealedPart[],
    come: readonly SealedPart[],
    isGone: (part: SealedPart) => boolean,
  ): void {
    const before = this.sealed;
    this.sealed = sealed;
    if (!this.isOwner) return;
    const hours = new Set(come.map(({ hour }) => hour));
    const segments = new Set(come.map(segmentOf));
    // Of many thousands of parts few are of these hours: a number tells.
    const moves = (part: SealedPart): boolean => hours.has(part.hour) && segments.has(segmentOf(part));
    this.index.remove(before.filter((part) => isGone(part) || moves(part)));
    this.index.add(sealed.filter(moves));
  }
}

/** Nothing was ever sealed of it. */
const isUnsealed = ({ committed, staircase, incarnation }: CommitRecord): boolean =>
  committed === 0 && staircase.length === 0 && incarnation === 0;
