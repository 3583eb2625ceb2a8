// What: a reader thread's picture of the rows of all shards of its process, from which it takes snapshots.
// Why: a query sees each row once, in memory, in local files or on S3, also while a plan moves it from one to the other.
// Invariant: a snapshot of a shard is taken between two of its changes: the rows of a partition are those below one position.

import { storedColumns, type TableSchema } from '../columns/types.ts';
import type { CommitRecord } from '../commit/metadata.ts';
import { asZeptoError } from '../kernel/errors.ts';
import { topicPartitionKey } from '../ports.ts';
import type { AnyPart, Names, Snapshot, TableSnapshot } from '../query/snapshot.ts';
import { chunkAt } from '../store/chunk.ts';
import { CHUNK_FIELDS, type Change, type Changes, type RunBegun } from './change.ts';
import { LivePart } from './live-part.ts';
import { ReaderPins } from './pins.ts';
import { coldPart, partsOf, type SealedPart } from './sealed.ts';

/** One shard, as a reader reaches it. `take` gives the next message that has arrived, or undefined. */
export interface ShardLink {
  readonly pinWords: SharedArrayBuffer;
  take(): Changes | undefined;
}

/** A partition as its owner tells of it. */
interface Run {
  readonly begun: RunBegun;
  readonly parts: Map<number, LivePart>;
  readonly hours: Map<number, LivePart[]>;
  sealed: SealedPart[];
  loading: Promise<void> | null;
  /** Why the sealed rows from before are not known. */
  failure: Error | null;
}

export interface MirrorParts {
  readonly links: readonly ShardLink[];
  /** Which of the pins is this reader's. */
  readonly reader: number;
  readonly baseDirectory: string | null;
  /** Sealed rows of a partition from before it was owned here. */
  readonly loadSealed: (run: RunBegun) => Promise<SealedPart[]>;
}

export class Mirror {
  private readonly shards: readonly Shard[];
  private readonly names = new MirroredNames();

  constructor(parts: MirrorParts) {
    this.shards = parts.links.map((link) => new Shard(link, parts, this.names));
  }

  /** Takes in what the shards have told; to be called now and then, so that it does not pile up. */
  drain(): void {
    for (const shard of this.shards) shard.drain();
  }

  /**
   * All tables as they stand now. `schemas`: those that exist, with rows or without.
   * @throws ZeptoError when the sealed rows of a partition could not be found out.
   */
  async snapshot(schemas: ReadonlyMap<string, TableSchema>): Promise<Snapshot> {
    let epochs = this.settle();
    for (let loading = this.loading(); loading.length > 0; loading = this.loading()) {
      this.release(epochs);
      await Promise.all(loading);
      epochs = this.settle();
    }
    let isReleased = false;
    const release = (): void => {
      if (isReleased) return;
      isReleased = true;
      this.release(epochs);
    };
    try {
      return { tables: this.tables(schemas), names: this.names, release };
    } catch (error) {
      release();
      throw error;
    }
  }

  private settle(): number[] {
    return this.shards.map((shard) => shard.settle());
  }

  private release(epochs: readonly number[]): void {
    this.shards.forEach((shard, i) => {
      shard.pins.release(epochs[i]!);
    });
  }

  private loading(): Promise<void>[] {
    return this.runs().flatMap(({ loading }) => loading ?? []);
  }

  private tables(schemas: ReadonlyMap<string, TableSchema>): Map<string, TableSnapshot> {
    const parts = new Map<string, AnyPart[]>([...schemas.keys()].map((name) => [name, []]));
    for (const run of this.runs()) {
      if (run.failure !== null) throw run.failure;
      const list = parts.get(run.begun.schema.name);
      if (list === undefined) continue;
      for (const part of run.sealed) list.push(part);
      for (const live of run.parts.values()) {
        const part = live.part();
        if (part !== null) list.push(part);
      }
    }
    return new Map([...schemas].map(([name, schema]) => [name, { schema, parts: parts.get(name)! }]));
  }

  /** One for each partition: its latest owner. */
  private runs(): Run[] {
    const owners = new Map<string, Run>();
    for (const shard of this.shards)
      for (const run of shard.runs.values()) {
        const key = topicPartitionKey(run.begun);
        const other = owners.get(key);
        if (other === undefined || other.begun.sinceMs <= run.begun.sinceMs) owners.set(key, run);
      }
    return [...owners.values()];
  }
}

class Shard {
  readonly runs = new Map<number, Run>();
  readonly pins: ReaderPins;
  private readonly link: ShardLink;
  private readonly mirror: MirrorParts;
  private readonly names: MirroredNames;
  private readonly blocks: SharedArrayBuffer[] = [];

  constructor(link: ShardLink, mirror: MirrorParts, names: MirroredNames) {
    this.link = link;
    this.mirror = mirror;
    this.names = names;
    this.pins = new ReaderPins(link.pinWords, mirror.reader);
  }

  drain(): void {
    for (let changes = this.link.take(); changes !== undefined; changes = this.link.take())
      for (const change of changes) this.apply(change);
  }

  /** Directory and row counts of one moment. */
  settle(): number {
    return this.pins.settle(() => {
      this.drain();
      for (const run of this.runs.values()) for (const part of run.parts.values()) part.count();
    });
  }

  private apply(change: Change): void {
    switch (change.kind) {
      case 'run-begun':
        this.begin(change);
        return;
      case 'run-ended':
        this.runs.delete(change.run);
        return;
      case 'block-made':
        this.blocks[change.block] = change.buffer;
        return;
      case 'chunks-added':
        this.addChunks(this.runs.get(change.run)!, change.chunks);
        return;
      case 'hours-evicted': {
        const run = this.runs.get(change.run)!;
        for (const id of change.hours) {
          for (const part of run.hours.get(id) ?? []) run.parts.delete(part.number);
          run.hours.delete(id);
        }
        run.sealed = [...run.sealed, ...partsOf(change.files, run.begun, this.mirror.baseDirectory).parts];
        return;
      }
      case 'folders-left': {
        const run = this.runs.get(change.run)!;
        const left = new Set(change.folders);
        const objects = change.objects.map((file) => coldPart(file, run.begun.topic, run.begun.partition));
        run.sealed = [...run.sealed.filter(({ tier, id }) => tier !== 'warm' || !left.has(id)), ...objects];
        return;
      }
      case 'name-learned':
        this.names.learn(change.id, change.name);
    }
  }

  private begin(begun: RunBegun): void {
    const run: Run = {
      begun,
      parts: new Map(),
      hours: new Map(),
      sealed: [],
      loading: null,
      failure: null,
    };
    this.runs.set(begun.run, run);
    if (isUnsealed(begun.record)) return;
    run.loading = this.mirror.loadSealed(begun).then(
      (parts) => {
        // Before what this owner has sealed meanwhile.
        run.sealed = [...parts, ...run.sealed];
        run.loading = null;
      },
      (error) => {
        run.failure = asZeptoError(error);
        run.loading = null;
      },
    );
  }

  private addChunks({ begun, parts, hours }: Run, chunks: readonly number[]): void {
    const columns = storedColumns(begun.schema);
    for (let at = 0; at < chunks.length; at += CHUNK_FIELDS) {
      const [hourId, number, symbol, hour, block, byteOffset, capacity] = chunks.slice(at, at + CHUNK_FIELDS);
      let part = parts.get(number!);
      if (part === undefined) {
        part = new LivePart(begun, number!, symbol!, hour!);
        parts.set(number!, part);
        const ofHour = hours.get(hourId!);
        if (ofHour === undefined) hours.set(hourId!, [part]);
        else ofHour.push(part);
      }
      part.add(chunkAt(this.blocks[block!]!, byteOffset!, columns, capacity!));
    }
  }
}

/** Nothing was ever sealed of it. */
const isUnsealed = ({ committed, staircase, incarnation }: CommitRecord): boolean =>
  committed === 0 && staircase.length === 0 && incarnation === 0;

class MirroredNames implements Names {
  private readonly byCode: string[] = [];
  private readonly byName = new Map<string, number>();

  learn(id: number, name: string): void {
    this.byCode[id] = name;
    this.byName.set(name, id);
  }

  nameOf(code: number): string | undefined {
    return this.byCode[code];
  }

  codeOf(name: string): number | undefined {
    return this.byName.get(name);
  }
}
