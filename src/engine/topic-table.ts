// What: the versions of the table that a topic fills, and what reads the topic's records under each.
// Why: a plan that is run again must read its rows as they were read before, whatever was altered since.
// Invariant: a version, once known, never changes; newer ones are added behind it.

import { isDeepStrictEqual } from 'node:util';
import { RowBuffer } from '../columns/batch.ts';
import type { ColumnMemory } from '../columns/column-memory.ts';
import type { RowDecoder, TableSource, TableVersions } from '../ports.ts';

/** How records are read under one version. Shared by all partitions of the topic in a shard: records are taken in one call at a time. */
export interface Reading {
  readonly version: number;
  readonly source: TableSource;
  readonly decoder: RowDecoder;
  readonly rows: RowBuffer;
}

export class TopicTable {
  private readonly decoderOf: (source: TableSource) => RowDecoder;
  private readonly memory: ColumnMemory | null;
  private readonly readings: (Reading | undefined)[] = [];
  private versions: TableVersions;

  /** @throws ZeptoError CONFIG_INVALID when the newest version and its format do not go together */
  constructor(
    versions: TableVersions,
    decoderOf: (source: TableSource) => RowDecoder,
    memory: ColumnMemory | null = null,
  ) {
    this.memory = memory;
    this.versions = versions;
    this.decoderOf = decoderOf;
    this.at(this.newest);
  }

  get newest(): number {
    return this.versions.length - 1;
  }

  /** As the table is now. */
  get source(): TableSource {
    return this.versions[this.newest]!;
  }

  at(version: number): Reading {
    const known = this.readings[version];
    if (known !== undefined) return known;
    const source = this.versions[version]!;
    const rows = new RowBuffer(source.table, undefined, undefined, this.memory);
    const made = { version, source, decoder: this.decoderOf(source), rows };
    this.readings[version] = made;
    return made;
  }

  /** Takes newer versions up. False: these are not the same table's. */
  extend(versions: TableVersions): boolean {
    const isSame =
      versions.at(-1)!.table.name === this.source.table.name &&
      isDeepStrictEqual(versions.slice(0, this.versions.length), this.versions);
    if (isSame) this.versions = versions;
    return isSame;
  }
}
