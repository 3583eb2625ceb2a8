// What: turns the provisional codes of names that a decoder met for the first time into the group's ids.
// Why: ids come from the symbol topic, a round trip that only the first tick of a new name may cost.
// Invariant: no provisional code leaves `resolve`; a name without an id takes its record to the dead letters.

import { dropRows, type RecordBatch, type RowBuffer } from '../columns/batch.ts';
import type { SymbolTable } from '../columns/symbols.ts';
import { ColumnType, NULL_CODE, SYMBOL_ID_LIMIT, type TableSchema } from '../columns/types.ts';
import { backoffMs, type Clock } from '../kernel/clock.ts';
import { asZeptoError } from '../kernel/errors.ts';
import type { Logger, SymbolDirectory } from '../ports.ts';

export class SymbolAssigner {
  readonly table: SymbolTable;
  private readonly directory: SymbolDirectory;
  private readonly clock: Clock;
  private readonly logger: Logger;

  constructor(table: SymbolTable, directory: SymbolDirectory, clock: Clock, logger: Logger) {
    this.table = table;
    this.directory = directory;
    this.clock = clock;
    this.logger = logger;
    directory.subscribe((name, id) => table.learn(name, id));
  }

  /** Replaces provisional codes in all SYMBOL and STRING columns. Waits for the symbol topic as long as it takes. */
  async resolve(
    rows: RowBuffer,
    schema: TableSchema,
    batch: RecordBatch,
    signal: AbortSignal,
  ): Promise<void> {
    const { unknown } = this.table;
    if (unknown.length === 0) return;
    const names = [...unknown];
    const ids = await this.assign(names, signal);
    const refused = new Set<number>();
    schema.columns.forEach((column, index) => {
      if (column.type !== ColumnType.SYMBOL && column.type !== ColumnType.STRING) return;
      const values = rows.columns[index]!.values as Uint32Array;
      for (let row = 0; row < rows.rows; row++) {
        const code = values[row]!;
        if (code < SYMBOL_ID_LIMIT || code === NULL_CODE) continue;
        const id = ids[code - SYMBOL_ID_LIMIT] ?? null;
        if (id === null) refused.add(rows.offset[row]!);
        else values[row] = id;
      }
    });
    this.table.clearUnknown();
    if (refused.size > 0) dropRows(rows, refused, batch, 'the symbol dictionary is full (see --symbols-max)');
  }

  /** Ids in the order of `names`; null for one that the directory refuses to take in. */
  private async assign(names: readonly string[], signal: AbortSignal): Promise<(number | null)[]> {
    for (let attempt = 0; ; attempt++) {
      signal.throwIfAborted();
      try {
        return [...(await this.directory.assign(names))];
      } catch (cause) {
        const error = asZeptoError(cause);
        if (error.action === 'skip-record') {
          if (names.length === 1) return [null];
          const ids: (number | null)[] = [];
          for (const name of names) ids.push(...(await this.assign([name], signal)));
          return ids;
        }
        if (error.action !== 'retry') throw error;
        this.logger.warn(
          { code: error.code, error: error.message, names: names.length },
          'symbol topic waits',
        );
        await this.clock.sleep(backoffMs(attempt, 100, 5_000, this.clock), signal);
      }
    }
  }
}
