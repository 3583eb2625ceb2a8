// What: a reader thread's picture of the rows of all shards of its process, from which it takes snapshots.
// Why: a query sees each row once, in memory, in local files or on S3, also while a plan moves it from one to the other.
// Invariant: a snapshot of a shard is taken between two of its changes: the rows of a partition are those below one position.

import type { TableSchema } from '../columns/types.ts';
import { type TopicPartition, topicPartitionKey } from '../ports.ts';
import type { Names, Snapshot } from '../query/snapshot.ts';
import { tableOf } from '../query/table-parts.ts';
import type { Changes, RunBegun } from './change.ts';
import { LiveNames } from './live-names.ts';
import { ReaderPins } from './pins.ts';
import { Run, type SealedRows } from './run.ts';
import { Slots } from './slots.ts';
import { TableIndex } from './table-index.ts';

/** One shard, as a reader reaches it. `take` gives the next message that has arrived, or undefined. */
export interface ShardLink {
  readonly pinWords: SharedArrayBuffer;
  take(): Changes | undefined;
}

export interface MirrorParts extends SealedRows {
  readonly links: readonly ShardLink[];
  /** Which of the pins is this reader's. */
  readonly reader: number;
}

export interface MirrorSnapshot extends Snapshot {
  /** Those that shards here have, and whose rows are in the tables. */
  readonly partitions: readonly TopicPartition[];
}

export class Mirror {
  private readonly shards: readonly Shard[];
  private readonly world: World;

  constructor(parts: MirrorParts) {
    this.world = new World(parts);
    this.shards = parts.links.map((link) => new Shard(link, parts.reader, this.world));
  }

  /** Of symbols and texts, as they become known. */
  get names(): Names {
    return this.world.names;
  }

  /** Takes in what the shards have told; to be called now and then, so that it does not pile up. */
  drain(): void {
    for (const shard of this.shards) shard.drain();
  }

  /**
   * All tables as they stand now. `schemas`: those that exist, with rows or without. Waits for sealed rows to be found.
   * @throws ZeptoError when the sealed rows of a partition could not be found out.
   */
  async snapshot(schemas: ReadonlyMap<string, TableSchema>): Promise<MirrorSnapshot> {
    const { world } = this;
    for (;;) {
      const counts = new Int32Array(world.slots.size);
      const epochs = this.shards.map((shard) => shard.settle(counts));
      const release = (): void =>
        this.shards.forEach((shard, i) => {
          shard.pins.release(epochs[i]!);
        });
      const loading = world.runs().flatMap((run) => run.loading ?? []);
      const failed = world.runs().find(({ failure }) => failure !== null);
      if (loading.length === 0 && failed === undefined && world.slots.size <= counts.length)
        return {
          tables: world.tables(schemas, counts),
          names: world.names,
          partitions: world.runs().map(({ begun: { topic, partition } }) => ({ topic, partition })),
          release: once(release),
        };
      release();
      if (failed?.failure) {
        const { failure } = failed;
        // Whoever asks next may find the store well again.
        failed.load();
        throw failure;
      }
      await Promise.all(loading);
    }
  }
}

/** What all shards of the process tell together. */
class World {
  readonly names = new LiveNames();
  readonly slots = new Slots();
  readonly parts: MirrorParts;
  private readonly indexes = new Map<string, TableIndex>();
  /** Of each partition, those that have not told their end, by when they began: the last one is its owner. */
  private readonly claims = new Map<string, readonly Run[]>();

  constructor(parts: MirrorParts) {
    this.parts = parts;
  }

  runs(): readonly Run[] {
    return [...this.claims.values()].map((runs) => runs.at(-1)!);
  }

  tables(schemas: ReadonlyMap<string, TableSchema>, counts: Int32Array): Snapshot['tables'] {
    return new Map(
      [...schemas].map(([name, schema]) => [
        name,
        this.indexes.get(name)?.snapshot(schema, counts) ?? tableOf(schema, []),
      ]),
    );
  }

  begin(begun: RunBegun): Run {
    const run = new Run(begun, this.indexOf(begun.table), this.parts);
    const others = this.claims.get(topicPartitionKey(begun)) ?? [];
    this.claim([...others, run].sort((a, b) => a.begun.sinceMs - b.begun.sinceMs));
    return run;
  }

  end(run: Run): void {
    run.end(this.slots);
    const key = topicPartitionKey(run.begun);
    const left = (this.claims.get(key) ?? []).filter((one) => one !== run);
    if (left.length === 0) this.claims.delete(key);
    else this.claim(left);
  }

  /**
   * Two shards can claim a partition for a while: its former owner has not told its end yet, or has it back already while
   * the one in between still ends.
   */
  private claim(runs: readonly Run[]): void {
    const owner = runs.at(-1)!;
    for (const run of runs) if (run !== owner) run.leave();
    owner.enter();
    this.claims.set(topicPartitionKey(owner.begun), runs);
  }

  private indexOf(table: string): TableIndex {
    const known = this.indexes.get(table);
    if (known !== undefined) return known;
    const made = new TableIndex();
    this.indexes.set(table, made);
    return made;
  }
}

class Shard {
  readonly pins: ReaderPins;
  private readonly link: ShardLink;
  private readonly world: World;
  private readonly runs = new Map<number, Run>();
  private readonly blocks: SharedArrayBuffer[] = [];

  constructor(link: ShardLink, reader: number, world: World) {
    this.link = link;
    this.world = world;
    this.pins = new ReaderPins(link.pinWords, reader);
  }

  drain(): void {
    for (let changes = this.link.take(); changes !== undefined; changes = this.link.take())
      for (const change of changes)
        switch (change.kind) {
          case 'block-made':
            this.blocks[change.block] = change.buffer;
            break;
          case 'name-learned':
            this.world.names.learn(change.id, change.name);
            break;
          case 'run-begun':
            this.runs.set(change.run, this.world.begin(change));
            break;
          case 'schema-changed':
            this.runs.get(change.run)!.changeSchema(change.schema);
            break;
          case 'run-ended':
            this.world.end(this.runs.get(change.run)!);
            this.runs.delete(change.run);
            break;
          case 'chunks-added':
            this.runs.get(change.run)!.addChunks(change.chunks, this.blocks, this.world.slots);
            break;
          case 'hours-evicted':
            this.runs.get(change.run)!.evict(change.hours, change.files, this.world.slots);
            break;
          case 'folders-left':
            this.runs.get(change.run)!.leaveFolders(change.folders);
        }
  }

  /** Directory and row counts of one moment; `counts` may turn out too short for what was added since it was made. */
  settle(counts: Int32Array): number {
    return this.pins.settle(() => {
      this.drain();
      for (const run of this.runs.values()) for (const part of run.live) counts[part.slot] = part.count();
    });
  }
}

function once(call: () => void): () => void {
  let isDone = false;
  return () => {
    if (isDone) return;
    isDone = true;
    call();
  };
}
