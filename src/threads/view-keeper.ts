// What: the materialized views of a query thread: opened as the catalogue says, and brought up to the rows all the time.
// Why: a read then finds nearly everything done, and a row is taken in before its memory is given back.
// Invariant: what is kept is only a cache of what rows give: a view that is behind catches up when it is read.

import { isDeepStrictEqual } from 'node:util';
import type { Catalogue } from '../catalogue/catalogue.ts';
import type { Clock } from '../kernel/clock.ts';
import { asZeptoError, ZeptoError } from '../kernel/errors.ts';
import type { Logger } from '../ports.ts';
import { emptyStats } from '../query/result.ts';
import { type ExecuteOptions, Run } from '../query/run.ts';
import type { AnyPart, Names, Snapshot } from '../query/snapshot.ts';
import { partsIn, tableOf } from '../query/table-parts.ts';
import type { ViewParts } from '../query/view/parts.ts';
import { openView, type View, type ViewDeclaration, type Views } from '../query/view/view.ts';

export interface ViewKeeperParts {
  readonly names: Names;
  readonly snapshot: () => Promise<Snapshot>;
  /** For reading files. */
  readonly options: Pick<ExecuteOptions, 'disk' | 'cold' | 'monotonicMs'>;
  /** Of all views of this thread. */
  readonly bytesMax: number;
  readonly clock: Clock;
  readonly logger: Logger;
}

/** How far a view is. */
export interface ViewProgress {
  readonly groups: number;
  readonly partsKept: number;
  readonly partsAll: number;
  readonly bytes: number;
}

/** After so long with what was there before, intake and other queries come first. */
const TURN_MS = 20;
/** How many times as long as a turn it rests in the background. */
const REST = 5;
/** While CREATE waits it rests for as long as this, however long files were waited for. */
const ADMISSION_REST_MS = 2 * TURN_MS;
/** How long CREATE looks at what there is before it answers. */
const ADMISSION_MS = 5_000;

export class ViewKeeper {
  private readonly parts: ViewKeeperParts;
  private views: ReadonlyMap<string, View> = new Map();
  /** Opened to be admitted; taken over when the catalogue has it. */
  private admitted: View | null = null;
  private isBusy = false;
  private nextAtMs = 0;

  constructor(parts: ViewKeeperParts) {
    this.parts = parts;
  }

  get current(): Views {
    return this.views;
  }

  /** Opens what is new, keeps what is unchanged over an unchanged table. */
  set(catalogue: Catalogue): void {
    const { logger } = this.parts;
    const views = new Map<string, View>();
    const tables = schemasIn(catalogue);
    const waiting = [...catalogue.views.values()];
    for (let left = waiting.length; waiting.length > 0; left = waiting.length) {
      for (const entry of waiting.splice(0)) {
        const isReady = catalogue.tables.has(entry.source) || views.has(entry.source);
        if (!isReady) waiting.push(entry);
        else
          try {
            views.set(entry.name, this.known(entry, tables, views) ?? this.open(entry, tables, views));
          } catch (cause) {
            const error = asZeptoError(cause).message;
            logger.warn({ view: entry.name, error }, 'a view cannot be opened');
          }
      }
      if (waiting.length === left) break;
    }
    this.views = views;
    this.admitted = null;
  }

  /**
   * Opens a view and takes in what there is, for a while.
   * @throws ZeptoError SQL_*: it cannot be kept. LIMIT_EXCEEDED: it would hold too much.
   */
  async admit(declaration: ViewDeclaration, catalogue: Catalogue): Promise<void> {
    const { clock, bytesMax } = this.parts;
    const view = this.open(declaration, schemasIn(catalogue), this.views);
    const endMs = clock.monotonicMs() + ADMISSION_MS;
    for (;;) {
      const isDone = await this.turn(view, true, ({ bytes }) => {
        if (bytes <= bytesMax) return;
        throw new ZeptoError(
          'LIMIT_EXCEEDED',
          'stop',
          `the view would hold more than ${bytesMax} bytes (--view-memory, shared by the query threads): use wider buckets or fewer keys, or raise it`,
        );
      });
      if (isDone || clock.monotonicMs() > endMs) break;
      await clock.sleep(ADMISSION_REST_MS);
    }
    this.admitted = view;
  }

  /** To be called now and then. */
  async advance(): Promise<void> {
    const { clock, logger } = this.parts;
    const startMs = clock.monotonicMs();
    if (this.isBusy || startMs < this.nextAtMs || this.views.size === 0) return;
    this.isBusy = true;
    try {
      for (const view of this.views.values()) await this.turn(view, this.hasRoom());
    } catch (cause) {
      logger.warn({ error: asZeptoError(cause).message }, 'views could not be brought up to the rows');
    } finally {
      const endMs = clock.monotonicMs();
      this.nextAtMs = endMs + (endMs - startMs) * REST;
      this.isBusy = false;
    }
  }

  progress(snapshot: Snapshot): ReadonlyMap<string, ViewProgress> {
    return new Map(
      [...this.views].map(([name, { kept, declaration }]) => [
        name,
        {
          groups: kept?.parts.groups ?? 0,
          partsKept: kept?.parts.partsKept ?? 0,
          partsAll: kept === null ? 0 : (snapshot.tables.get(declaration.source)?.partCount ?? 0),
          bytes: kept?.parts.bytes ?? 0,
        },
      ]),
    );
  }

  /** Rows of one part now stand in another one. */
  moved(from: string, to: string, rows: number): void {
    for (const { kept } of this.views.values()) kept?.parts.moved(from, to, rows);
  }

  private hasRoom(): boolean {
    let bytes = 0;
    for (const { kept } of this.views.values()) bytes += kept?.parts.bytes ?? 0;
    return bytes < this.parts.bytesMax * 0.9;
  }

  private known(
    declaration: ViewDeclaration,
    tables: Snapshot['tables'],
    views: ReadonlyMap<string, View>,
  ): View | null {
    const candidates = [this.views.get(declaration.name), this.admitted];
    for (const view of candidates) {
      if (view === undefined || view === null) continue;
      const { name, source, sql } = view.declaration;
      const isSame = name === declaration.name && source === declaration.source && sql === declaration.sql;
      const schema = tables.get(source)?.schema;
      const isOverSame =
        view.kept === null
          ? view.planner.views.get(source) === views.get(source)
          : isDeepStrictEqual(view.kept.grouped.scan.schema, schema);
      if (isSame && isOverSame) return view;
    }
    return null;
  }

  private open({ name, source, sql }: ViewDeclaration, tables: Snapshot['tables'], views: Views): View {
    const { names, options, bytesMax } = this.parts;
    const snapshot: Snapshot = { tables: new Map(), names, release: () => {} };
    const limits = {
      rowsMax: Number.MAX_SAFE_INTEGER,
      bytesMax: Number.MAX_SAFE_INTEGER,
      timeoutMs: Number.MAX_SAFE_INTEGER,
    };
    const run = new Run(snapshot, { ...options, limits, nowNs: 0n }, emptyStats());
    return openView({ name, source, sql }, tables, views, run, bytesMax);
  }

  /**
   * Takes in rows that have come to parts that are kept, then for a while parts that are not: those in memory, and with `files`
   * all. `check` is told what is kept then. False: there are more.
   */
  private async turn(
    view: View,
    files: boolean,
    check: (parts: ViewParts) => void = () => {},
  ): Promise<boolean> {
    if (view.kept === null) return true;
    const { parts } = view.kept;
    const { clock } = this.parts;
    const snapshot = await this.parts.snapshot();
    parts.begin();
    try {
      const table = snapshot.tables.get(view.declaration.source);
      if (table === undefined) return true;
      const all = partsIn(table);
      for (const part of all) if (parts.isKept(part) && parts.known(part) === null) await taken(parts, part);
      const endMs = clock.monotonicMs() + TURN_MS;
      const left = all.filter((part) => !parts.isKept(part) && (files || part.tier === 'hot'));
      let done = 0;
      for (; done < left.length && clock.monotonicMs() < endMs; done++) await taken(parts, left[done]!);
      check(parts);
      const ids = new Set(all.map(({ id }) => id));
      parts.forget((id) => ids.has(id));
      return done === left.length;
    } finally {
      parts.end();
      snapshot.release();
    }
  }
}

async function taken(parts: ViewParts, part: AnyPart): Promise<void> {
  const nothing = (): void => {};
  for (const wait of parts.take(part, nothing, nothing)) await wait;
}

const schemasIn = ({ tables }: Catalogue): Snapshot['tables'] =>
  new Map([...tables].map(([name, { table }]) => [name, tableOf(table, [])]));
