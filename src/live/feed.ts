// What: a shard's side of live reading: its changes go to every reader, and what it lets go waits for them.
// Why: SQL reads the columns that ingestion writes, without a copy and without stopping it.
// Invariant: within a section changes and counts move together; memory is freed when no reader can be looking at it.

import type { MessagePort } from 'node:worker_threads';
import type { Chunk } from '../store/chunk.ts';
import type { HourRows, SymbolHour } from '../store/hot.ts';
import type { Change } from './change.ts';
import { WriterPins } from './pins.ts';

interface Retired {
  readonly epoch: number;
  readonly bytes: number;
  readonly free: () => void;
}

export class Feed {
  private readonly ports: readonly Pick<MessagePort, 'postMessage'>[];
  private readonly pins: WriterPins;
  private readonly blocks = new Map<SharedArrayBuffer, number>();
  private readonly retired: Retired[] = [];
  private changes: Change[] = [];
  private depth = 0;
  /** Given to `retire` and not yet freed. */
  retiredBytes = 0;

  constructor(ports: readonly Pick<MessagePort, 'postMessage'>[], pinWords: SharedArrayBuffer) {
    this.ports = ports;
    this.pins = new WriterPins(pinWords);
  }

  /** Readers see all of what `change` does, or nothing. It must not wait. */
  section<T>(change: () => T): T {
    if (this.ports.length === 0) return change();
    if (this.depth++ === 0) this.pins.begin();
    try {
      return change();
    } finally {
      if (--this.depth === 0) {
        this.post();
        this.pins.end();
      }
    }
  }

  /** Within a section, or before the first row that it matters for. */
  tell(change: Change): void {
    if (this.ports.length > 0) this.changes.push(change);
  }

  tellChunk(run: number, hour: HourRows, part: SymbolHour, chunk: Chunk): void {
    if (this.ports.length === 0) return;
    const block = this.blockOf(chunk.buffer);
    const { byteOffset } = chunk.published;
    const fields = [hour.id, part.id, part.symbol, part.hour, block, byteOffset, chunk.capacity];
    const last = this.changes.at(-1);
    if (last?.kind === 'chunks-added' && last.run === run) (last.chunks as number[]).push(...fields);
    else this.changes.push({ kind: 'chunks-added', run, chunks: fields });
  }

  /** Runs `free` when no reader can see any more what left in a section before this call. */
  retire(bytes: number, free: () => void): void {
    this.retired.push({ epoch: this.pins.epoch, bytes, free });
    this.retiredBytes += bytes;
    this.reclaim();
  }

  /** To be called now and then. */
  reclaim(): void {
    while (this.retired.length > 0 && !this.pins.isPinnedBefore(this.retired[0]!.epoch)) {
      const { bytes, free } = this.retired.shift()!;
      this.retiredBytes -= bytes;
      free();
    }
  }

  private post(): void {
    if (this.changes.length === 0) return;
    for (const port of this.ports) port.postMessage(this.changes);
    this.changes = [];
  }

  private blockOf(buffer: SharedArrayBuffer): number {
    const known = this.blocks.get(buffer);
    if (known !== undefined) return known;
    const block = this.blocks.size;
    this.blocks.set(buffer, block);
    this.changes.push({ kind: 'block-made', block, buffer });
    return block;
  }
}
