// What: the catalogue that all members of the group share, as one member holds it.
// Why: a change counts when its record has been read back in the topic's order, here as everywhere else.
// Invariant: the state is the fold of the topic's records; a listener hears each state once, in order.

import { ZeptoError } from '../kernel/errors.ts';
import type { Logger, Metrics, OrderedLog } from '../ports.ts';
import { applyChange, type Catalogue, type CatalogueChange, type Refusal } from './catalogue.ts';
import { decodeChange, encodeChange } from './change-record.ts';

export interface SharedCatalogueParts {
  readonly log: OrderedLog;
  readonly initial: Catalogue;
  readonly newId: () => string;
  readonly nowMs: () => number;
  readonly logger: Logger;
  readonly metrics: Metrics;
}

export class SharedCatalogue {
  private readonly parts: SharedCatalogueParts;
  private readonly configured: ReadonlySet<string>;
  /** Of this member's changes that are waited for; undefined until the record has been read. */
  private readonly outcomes = new Map<string, { refusal: Refusal } | undefined>();
  private readonly listeners: ((catalogue: Catalogue) => Promise<void>)[] = [];
  private telling: Promise<void> = Promise.resolve();
  private catalogue: Catalogue;

  /** Has applied what the log held when it was opened. */
  constructor(parts: SharedCatalogueParts) {
    this.parts = parts;
    this.catalogue = parts.initial;
    this.configured = new Set(parts.initial.tables.keys());
    parts.log.subscribe((value) => this.take(value));
  }

  get current(): Catalogue {
    return this.catalogue;
  }

  /** Called with each state from now on, after the one before has settled. */
  onChange(listener: (catalogue: Catalogue) => Promise<void>): void {
    this.listeners.push(listener);
  }

  /**
   * Asks for a change. Resolves when it holds here, in every thread that listens, or is refused, with the reason.
   * @throws ZeptoError KAFKA_*: it may or may not hold. INTERNAL: its record is none that can be read, and it does not.
   */
  async change(change: CatalogueChange): Promise<Refusal> {
    // What can be seen to be refused needs no record.
    const atMs = this.parts.nowMs();
    const seen = applyChange(this.catalogue, change, this.configured, atMs).refusal;
    if (seen !== null) return seen;
    const id = this.parts.newId();
    this.outcomes.set(id, undefined);
    try {
      await this.parts.log.append(encodeChange({ id, atMs, change }));
      await this.telling;
      const outcome = this.outcomes.get(id);
      if (outcome === undefined)
        throw new ZeptoError('INTERNAL', 'stop', `a ${change.kind} was written that no member can read`);
      return outcome.refusal;
    } finally {
      this.outcomes.delete(id);
    }
  }

  async close(): Promise<void> {
    await this.parts.log.close();
    await this.telling;
  }

  private take(value: Uint8Array): void {
    const { logger, metrics } = this.parts;
    const record = decodeChange(value);
    if (record === null) {
      metrics.count('zepto_catalogue_records_skipped_total', {}, 1);
      logger.warn({}, 'a record of the catalogue topic is of no known format, skipped');
      return;
    }
    const { id, atMs, change } = record;
    const { catalogue, refusal } = applyChange(this.catalogue, change, this.configured, atMs);
    // The record of an unanswered write may stand twice: the first one is the outcome.
    if (this.outcomes.has(id) && this.outcomes.get(id) === undefined) this.outcomes.set(id, { refusal });
    if (refusal !== null) {
      logger.info({ change: change.kind, refusal }, 'a change of the catalogue was refused');
      return;
    }
    this.catalogue = catalogue;
    logger.info({ change: change.kind, version: catalogue.version }, 'the catalogue has changed');
    this.tell(catalogue);
  }

  private tell(catalogue: Catalogue): void {
    const { logger } = this.parts;
    this.telling = this.telling.then(async () => {
      const told = await Promise.allSettled(this.listeners.map((listener) => listener(catalogue)));
      for (const one of told)
        if (one.status === 'rejected')
          logger.error({ error: String(one.reason) }, 'a thread did not take the changed catalogue');
    });
  }
}
