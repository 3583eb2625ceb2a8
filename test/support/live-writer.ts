// What: a thread that appends, freezes and evicts rows as fast as it can, as a shard does.
// Why: what readers of shared memory may see can only be found out with two threads.
// Invariant: 400,000 rows with ids from 0 in order; it waits with each step for nobody.

import { type MessagePort, workerData } from 'node:worker_threads';
import { RowBuffer } from '../../src/columns/batch.ts';
import { ColumnMemory } from '../../src/columns/column-memory.ts';
import { ColumnType, NANOS_PER_HOUR, type TableSchema } from '../../src/columns/types.ts';
import { freshRecord } from '../../src/commit/metadata.ts';
import { Feed } from '../../src/live/feed.ts';
import { SlabPool } from '../../src/store/arena.ts';
import { bytesIn, freeRows, HotPartition } from '../../src/store/hot.ts';

const { port, words } = workerData as { port: MessagePort; words: SharedArrayBuffer };
const table: TableSchema = {
  name: 'trades',
  columns: [
    { name: 'timestamp', type: ColumnType.TIMESTAMP_NS },
    { name: 'symbol', type: ColumnType.SYMBOL },
    { name: 'id', type: ColumnType.INT64 },
  ],
  timestampColumn: 0,
  symbolColumn: 1,
};
const feed = new Feed([port], words);
/** Its second half, where addresses have all of their 32 bits. */
const memory = ColumnMemory.reserve(2 ** 32)!;
memory.allocate(2 ** 31);
const hot = new HotPartition(table, new SlabPool(memory), (hour, part, chunk) =>
  feed.tellChunk(0, hour, part, chunk),
);
feed.section(() =>
  feed.tell({
    kind: 'run-begun',
    run: 0,
    group: 'g',
    topic: 't',
    partition: 0,
    table: table.name,
    schema: table,
    record: freshRecord(),
    sinceMs: 0,
  }),
);
const buffer = new RowBuffer(table, undefined, undefined, memory);
for (let id = 0; id < 400_000; ) {
  buffer.clear();
  buffer.reserve(100);
  for (let i = 0; i < 100; i++, id++) {
    (buffer.columns[0]!.values as BigInt64Array)[i] = 100n * NANOS_PER_HOUR + BigInt(id);
    (buffer.columns[1]!.values as Uint32Array)[i] = id % 7;
    (buffer.columns[2]!.values as BigInt64Array)[i] = BigInt(id);
    buffer.offset[i] = id;
  }
  buffer.rows = 100;
  feed.section(() => hot.append(buffer, null));
  if (id % 20_000 !== 0) continue;
  const frozen = hot.freeze(100);
  const files = frozen.flatMap(({ id: hour, symbols }) =>
    symbols.map(({ symbol, rows }) => ({
      kind: 'parquet' as const,
      table: 'trades',
      symbol,
      hour: 100,
      path: `${hour}/${symbol}`,
      rows,
      bytes: 1,
      crc32c: '00000000',
      timestampMin: '0',
      timestampMax: '0',
    })),
  );
  hot.settle(frozen, files);
  const gone = hot.evict(() => true)!;
  feed.section(() =>
    feed.tell({ kind: 'hours-evicted', run: 0, hours: gone.hours.map((one) => one.id), files: gone.files }),
  );
  feed.retire(bytesIn(gone.hours), () => freeRows(gone.hours));
}
