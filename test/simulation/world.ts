// What: the simulated outside: topics, the group's committed offsets, dead letters, symbol ids, the object store.
// Why: the real commit, recovery, shard and hot store run against it, with every I/O able to fail, hang or be the last.
// Invariant: an effect happens at once or not at all; whether the caller learns of it is a separate matter.

import { parseManifest } from '../../src/format/manifest.ts';
import { ZeptoError } from '../../src/kernel/errors.ts';
import type { CommittedOffset, DeadLetter, ViewRecord } from '../../src/ports.ts';
import { type Alterations, alterations, ownValue } from './altered.ts';
import { isPublished, ViewTopic } from './published.ts';
import { Chance, type ProcessClock, Scheduler } from './scheduler.ts';

export interface LogRecord {
  readonly offset: number;
  readonly id: number;
  readonly kind: 'row' | 'undecodable' | 'tombstone';
  /** Versions of the table, by their number, under which a row cannot be decoded. */
  readonly fails: 'never' | 'odd' | 'even';
  readonly symbol: string;
  /** Of its event time, or of its Kafka time when it carries none. */
  readonly hour: number;
  readonly timeNs: bigint | null;
  /** Kafka's own. */
  readonly timestampMs: number;
}

export interface WorldPartition {
  readonly records: LogRecord[];
  /** First offset of the log; its record may have been left out, as control records are. */
  readonly start: number;
  /** Next offset that a producer gets. */
  end: number;
  epoch: number;
  /** The commit log that fenced last. */
  owner: object | null;
  committed: CommittedOffset | null;
  readonly deadLetters: DeadLetter[];
  readonly viewTopic: ViewTopic;
}

export interface StoredFile {
  readonly key: string;
  readonly symbol: number;
  readonly hour: number;
  readonly ids: readonly number[];
  readonly times: readonly bigint[];
  /** Under which its rows were read, and what their column of that version holds. */
  readonly version: number;
  readonly values: readonly bigint[];
  /** What a reader would find, in full: two writers of one key must agree on it. */
  readonly content: string;
}

export interface Faults {
  /** A call's outcome is not learned: it happened or not, or happens later. */
  readonly lostCalls: number;
  readonly latencyMs: number;
}

export class World {
  readonly chance: Chance;
  readonly scheduler: Scheduler;
  readonly topic = 'ticks';
  readonly partitions: WorldPartition[];
  readonly files = new Map<string, StoredFile>();
  readonly manifests = new Map<string, string>();
  readonly symbols: string[] = [];
  readonly alterations: Alterations;
  /** Of the table, as the catalogue topic has it. */
  tableVersion = 0;
  readonly violations: string[] = [];
  readonly hasConditionalWrites: boolean;
  /** Of a record: in some worlds a fetched batch is taken in by pieces of a few. */
  readonly valueBytes: number;
  /** Whether a view of the table is published. */
  readonly isPublished: boolean;
  /** Whether fencing after an unknown commit fails when another owner took over; else the record alone tells. */
  fenceTellsOfOthers: boolean;
  faults: Faults;
  /** Every record published, by id. */
  readonly published: LogRecord[] = [];
  /** Told what happens, line by line; for looking at one seed. */
  readonly trace: ((line: string) => void) | null;

  constructor(seed: number, partitions: number, startMs: number, trace: ((line: string) => void) | null) {
    this.trace = trace;
    this.chance = new Chance(seed);
    this.alterations = alterations(seed);
    this.scheduler = new Scheduler(startMs);
    this.isPublished = isPublished(seed);
    this.valueBytes = seed % 2 === 0 ? 1 : 100_000;
    this.hasConditionalWrites = this.chance.happens(0.7);
    this.fenceTellsOfOthers = this.chance.happens(0.7);
    this.faults = { lostCalls: this.chance.pick([0.02, 0.05, 0.15]), latencyMs: 40 };
    this.partitions = Array.from({ length: partitions }, () => this.chance.below(1000)).map((start) => ({
      records: [],
      start,
      end: start,
      epoch: 0,
      owner: null,
      committed: null,
      deadLetters: [],
      viewTopic: new ViewTopic(this),
    }));
  }

  /** One I/O of a process: the effect reaches the world after a while, the answer the process after another. */
  call<T>(process: ProcessClock, effect: () => T, whenLost: () => ZeptoError): Promise<T> {
    const { chance, scheduler, faults } = this;
    const there = chance.below(faults.latencyMs);
    const back = chance.below(faults.latencyMs);
    const isLost = chance.happens(faults.lostCalls);
    const arrives = !isLost || chance.happens(0.6);
    // A call whose answer is lost may also arrive long after its caller gave it up.
    const delay = isLost && chance.happens(0.3) ? chance.below(2000) : there;
    return new Promise<T>((resolve, reject) => {
      scheduler.after(delay, () => {
        // A process that died in between may or may not have got its request out.
        if (!arrives || (!process.isAlive && chance.happens(0.5))) return;
        let outcome: () => void;
        try {
          const value = effect();
          outcome = () => resolve(value);
        } catch (error) {
          outcome = () => reject(error);
        }
        if (!isLost) scheduler.after(back, () => process.deliver(outcome));
      });
      if (isLost) scheduler.after(there + back, () => process.deliver(() => reject(whenLost())));
    });
  }

  note(who: string, what: string): void {
    this.trace?.(`${this.scheduler.nowMs % 1e6} ${who} ${what}`);
  }

  violation(text: string): void {
    this.note('VIOLATION', text);
    if (this.violations.length < 20) this.violations.push(`at ${this.scheduler.nowMs} ms: ${text}`);
  }

  /** Publishes one record; sometimes offsets are skipped, as by control records and compaction. */
  publish(partition: number, record: Omit<LogRecord, 'offset' | 'id'>): void {
    const target = this.partitions[partition]!;
    if (this.chance.happens(0.1)) target.end += 1 + this.chance.below(3);
    const made = { ...record, offset: target.end++, id: this.published.length };
    target.records.push(made);
    this.published.push(made);
  }

  putFile(file: StoredFile): 'created' | 'exists' {
    this.checkRows(file);
    const known = this.files.get(file.key);
    if (known !== undefined && known.content !== file.content)
      this.violation(`${file.key} was written with ${known.content}, now with ${file.content}`);
    this.note('store', `${known === undefined ? 'new' : 'again'} ${file.key}: ${file.content}`);
    if (known !== undefined && this.hasConditionalWrites) return 'exists';
    this.files.set(file.key, file);
    return 'created';
  }

  putManifest(key: string, content: string): 'created' | 'exists' {
    for (const { path } of parseManifest(Buffer.from(content), key).files)
      if (!this.files.has(path)) this.violation(`manifest ${key} names ${path}, which does not stand`);
    const known = this.manifests.get(key);
    if (known !== undefined && known !== content)
      this.violation(`manifest ${key} was ${known}, now ${content}`);
    this.manifests.set(key, content);
    return known === undefined ? 'created' : 'exists';
  }

  /** Each row is the one that was published, in the file of its symbol and hour. */
  private checkRows(file: StoredFile): void {
    file.ids.forEach((id, row) => {
      const { symbol, hour, timeNs, timestampMs } = this.published[id]!;
      if (file.symbol !== this.symbols.indexOf(symbol))
        this.violation(`${file.key}: row ${id} is of symbol ${symbol}, id ${this.symbols.indexOf(symbol)}`);
      if (file.hour !== hour) this.violation(`${file.key}: row ${id} is of hour ${hour}`);
      const time = timeNs ?? BigInt(timestampMs) * 1_000_000n;
      if (file.times[row] !== time)
        this.violation(`${file.key}: row ${id} has time ${file.times[row]}, not ${time}`);
      const value = ownValue(file.version, id);
      if (file.version > 0 && file.values[row] !== value)
        this.violation(`${file.key}: row ${id} has v${file.version} = ${file.values[row]}, not ${value}`);
    });
  }

  commit(
    partition: number,
    epoch: number,
    committed: CommittedOffset,
    deadLetters: readonly DeadLetter[],
    published: readonly ViewRecord[],
  ): void {
    const target = this.partitions[partition]!;
    if (epoch !== target.epoch) throw new ZeptoError('FENCED', 'rejoin', 'a newer owner exists');
    if (target.committed !== null && committed.offset < target.committed.offset)
      this.violation(`partition ${partition}: committed offset went back to ${committed.offset}`);
    this.note(
      'broker',
      `partition ${partition} epoch ${epoch} commits ${committed.offset} ${committed.metadata}`,
    );
    target.committed = committed;
    target.deadLetters.push(...deadLetters);
    target.viewTopic.take(published);
    target.viewTopic.check(target.records, committed);
  }
}
