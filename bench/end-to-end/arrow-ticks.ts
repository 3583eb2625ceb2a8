// What: the data set's ticks as Arrow IPC streams, thousands of ticks a Kafka message.
// Why: a producer with a batch at hand sends it as pyarrow would: symbols as a dictionary, the rest as plain columns.
// Invariant: `finish` gives every tick that was added since the last one, in order.

import {
  Dictionary,
  Field,
  Int32,
  Int64,
  makeData,
  RecordBatch,
  Schema,
  Struct,
  Table,
  TimestampNanosecond,
  tableToIPC,
  Utf8,
  vectorFromArray,
} from 'apache-arrow';
import { START_NS, symbolNames, type Tick } from './ticks.ts';

/** About 280 KB, which fits a broker's default of 1 MB. */
export const TICKS_PER_MESSAGE = 10_000;

const symbolType = new Dictionary(new Utf8(), new Int32(), 0);
const names = vectorFromArray(symbolNames, new Utf8());
const time = new TimestampNanosecond('UTC');
const schema = new Schema([
  new Field('symbol', symbolType, false),
  new Field('price', new Int64(), false),
  new Field('volume', new Int64(), false),
  new Field('timestamp', time, false),
]);

export class ArrowMessage {
  ticks = 0;
  private readonly symbols = new Int32Array(TICKS_PER_MESSAGE);
  private readonly prices = new BigInt64Array(TICKS_PER_MESSAGE);
  private readonly volumes = new BigInt64Array(TICKS_PER_MESSAGE);
  private readonly times = new BigInt64Array(TICKS_PER_MESSAGE);

  add(tick: Tick): void {
    const row = this.ticks++;
    this.symbols[row] = tick.symbol();
    // Scaled to the table's four decimals.
    this.prices[row] = BigInt(tick.price() * 100);
    this.volumes[row] = BigInt(tick.volume());
    this.times[row] = START_NS + BigInt(tick.elapsedNs());
  }

  finish(): Uint8Array {
    const length = this.ticks;
    this.ticks = 0;
    const column = { length, nullCount: 0 };
    const children = [
      makeData({ type: symbolType, data: this.symbols.slice(0, length), dictionary: names, ...column }),
      makeData({ type: new Int64(), data: this.prices.slice(0, length), ...column }),
      makeData({ type: new Int64(), data: this.volumes.slice(0, length), ...column }),
      makeData({ type: time, data: this.times.slice(0, length), ...column }),
    ];
    const rows = makeData({ type: new Struct(schema.fields), children: children as never, ...column });
    return tableToIPC(new Table(schema, [new RecordBatch(schema, rows)]), 'stream');
  }
}
