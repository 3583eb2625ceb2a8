// What: what query threads ask of the main thread: changes of the catalogue, whether written rows are visible, numbers.
// Why: the catalogue and the shards are held once for the process; a query thread holds neither.
// Invariant: a change is answered when every thread of this process has taken it.

import type { CatalogueChange, Refusal, ViewEntry } from '../catalogue/catalogue.ts';
import type { SharedCatalogue } from '../catalogue/shared.ts';
import { retentionProblem } from '../commit/retention.ts';
import type { Config } from '../config/config.ts';
import type { Engine, EngineStats } from '../engine/engine.ts';
import type { Clock } from '../kernel/clock.ts';
import { asZeptoError, ZeptoError } from '../kernel/errors.ts';
import type { TableSource, TopicAdmin, WrittenEnd } from '../ports.ts';
import type { GroupWatch } from './group-watch.ts';
import { sealPolicy } from './seal-policy.ts';

export interface MainParts {
  readonly config: Config;
  readonly catalogue: SharedCatalogue;
  readonly topics: TopicAdmin;
  readonly engine: Engine;
  readonly clock: Clock;
  /** Null: --peer-address is not set. */
  readonly group: GroupWatch | null;
}

/** A new topic's partitions reach a member with the next rebalance. */
const ASSIGNED_WAIT_MS = 10_000;
const VISIBLE_WAIT_MS = 30_000;
const ALTERED_WAIT_MS = 30_000;
/** Within it other members have read of a change, unless they are cut off. */
const OTHERS_READ_MS = 1_000;

export function mainCalls({ config, catalogue, topics, engine, clock, group }: MainParts) {
  /** What must hold of a new table's topic before members are told of it. */
  async function prepare({ table, topic, format }: TableSource, partitions: number): Promise<void> {
    if (catalogue.current.tables.has(table.name)) return;
    if (format.kind === 'avro' && config.schemaRegistry === null)
      throw new ZeptoError(
        'SQL_UNSUPPORTED',
        'stop',
        `format avro needs a schema registry: set --schema-registry`,
      );
    await topics.ensure(topic, partitions);
    const problem = retentionProblem(topic, await topics.retention(topic), sealPolicy(config));
    if (problem !== null) throw new ZeptoError('SQL_UNSUPPORTED', 'stop', problem, { context: { topic } });
  }

  /** A topic that cannot be used is told here; later it would hold up commits. */
  async function prepareView({ topic, source }: ViewEntry): Promise<void> {
    const table = catalogue.current.tables.get(source);
    if (topic === null || table === undefined) return;
    try {
      await topics.ensureForView(topic, table.topic);
    } catch (cause) {
      const { code, message } = asZeptoError(cause);
      if (code !== 'CONFIG_INVALID') throw cause;
      throw new ZeptoError('SQL_UNSUPPORTED', 'stop', message, { context: { topic } });
    }
  }

  /**
   * Resolves when records here are taken in under the newest version of the table, and other members have had the time to
   * come to that; or, when what is in memory cannot be sealed just now, after a while.
   */
  async function takenUp({ topic, table }: TableSource): Promise<void> {
    const newest = catalogue.current.versions.get(topic)!.length - 1;
    const startedMs = clock.monotonicMs();
    for (;;) {
      const { shards } = await engine.stats();
      const isTakenUp = shards
        .flatMap(({ partitions }) => partitions)
        .every((one) => one.table !== table.name || one.tableVersion >= newest);
      const passedMs = clock.monotonicMs() - startedMs;
      if ((isTakenUp && passedMs >= OTHERS_READ_MS) || passedMs > ALTERED_WAIT_MS) return;
      await clock.sleep(20);
    }
  }

  return {
    change: async (asked: {
      readonly change: CatalogueChange;
      readonly partitions: number;
    }): Promise<Refusal> => {
      if (asked.change.kind === 'create-table') await prepare(asked.change.source, asked.partitions);
      if (asked.change.kind === 'create-view') await prepareView(asked.change.view);
      const refusal = await catalogue.change(asked.change);
      const isAltered = asked.change.kind === 'add-column' || asked.change.kind === 'drop-column';
      const source = isAltered ? catalogue.current.tables.get(asked.change.table) : undefined;
      if (refusal === null && source !== undefined) await takenUp(source);
      return refusal;
    },

    /** Resolves when rows below these offsets are seen by queries here; false when that took too long, or another member has some of them. */
    visible: async (
      written: { readonly topic: string; readonly ends: readonly WrittenEnd[] },
      signal: AbortSignal,
    ): Promise<boolean> => {
      const startedMs = clock.monotonicMs();
      for (;;) {
        const { shards } = await engine.stats();
        const positions = new Map(
          shards
            .flatMap(({ partitions }) => partitions)
            .filter(({ topic }) => topic === written.topic)
            .map(({ partition, position }) => [partition, position] as const),
        );
        const passedMs = clock.monotonicMs() - startedMs;
        // Before the first assignment nobody has them; after it those that are not here are another member's.
        if (positions.size > 0 || passedMs > ASSIGNED_WAIT_MS) {
          const waiting = written.ends.some(
            ({ partition, offset }) => (positions.get(partition) ?? Number.POSITIVE_INFINITY) < offset,
          );
          if (!waiting) return written.ends.every(({ partition }) => positions.has(partition));
        }
        if (passedMs > VISIBLE_WAIT_MS) return false;
        await clock.sleep(passedMs < 20 ? 1 : 5, signal);
      }
    },

    stats: (): Promise<EngineStats> => engine.stats(),

    /** Resolves when the query threads know how the group shares its partitions now, unless it is just sharing out anew. */
    lookAtGroup: async (): Promise<void> => {
      await group?.look();
    },
  };
}
export type MainCalls = ReturnType<typeof mainCalls>;
