// What: record batches in memory → positions in typed arrays, per codec; beside kafkajs's decoder on the same bytes, and the codec alone.
// Why: this is the first thing that every tick costs, and what compression adds to it should be the codec's own.
// Invariant: every run's records, offsets and bytes are counted and must be right; figures are medians of runs that take turns.

import { kafkajsInside } from '../../connectors/kafka/message-reader.ts';
import { type FetchedBatches, HEADER_BYTES, RecordBatchReader } from '../../connectors/kafka/record-batch.ts';
import { encodeRecordBatch } from '../../connectors/kafka/record-write.ts';
import { assert } from '../../src/kernel/assert.ts';
import { systemClock } from '../../src/kernel/clock.ts';
import { batchCompressor, CODEC_NAMES, codecAloneMs, ZSTD_MISSING } from '../compression.ts';
import { type BenchOptions, median } from '../report.ts';

/** About what `batch.size=16384` of the Java producer makes of JSON ticks. */
const RECORDS_PER_BATCH = 200;
/** One partition's share of a response, as the source asks for it. */
const BATCHES_PER_FETCH = 256;

interface Prepared {
  readonly codec: string;
  readonly bytes: Buffer;
  readonly records: number;
  readonly valueBytes: number;
}

export async function run(options: BenchOptions): Promise<void> {
  const { print, runs = 15 } = options;
  const records = RECORDS_PER_BATCH * BATCHES_PER_FETCH;
  print({ bench: 'record-batch', records, recordsPerBatch: RECORDS_PER_BATCH, runs });
  for (const codec of CODEC_NAMES) {
    if (options.only !== undefined && !options.only.includes(codec)) continue;
    const compress = batchCompressor(codec);
    if (compress === null) {
      print({ case: codec, skipped: ZSTD_MISSING });
      continue;
    }
    const prepared = prepare(codec, compress);
    const direct = directDecode(prepared);
    const cases: { readonly name: string; readonly measure: () => number | Promise<number> }[] = [
      { name: `${codec}-direct`, measure: direct },
      { name: `${codec}-kafkajs`, measure: () => kafkajsDecode(prepared) },
    ];
    if (codec !== 'none')
      cases.push({
        name: `${codec}-codec-alone`,
        measure: () => codecAloneMs(prepared.bytes, prepared.valueBytes),
      });
    const tookMs = cases.map(() => [] as number[]);
    for (let round = -2; round < runs; round++)
      for (const [index, { measure }] of cases.entries()) {
        const ms = await measure();
        if (round >= 0) tookMs[index]!.push(ms);
      }
    for (const [index, { name }] of cases.entries()) {
      const ms = median(tookMs[index]!);
      print({
        case: name,
        recordsPerSecond: Math.round((records / ms) * 1_000),
        nanosPerRecord: Math.round((ms * 1e7) / records) / 10,
        mibPerSecond: Math.round((prepared.valueBytes / ms / 2 ** 20) * 1_000),
        bytesPerRecord: Math.round((prepared.bytes.length / records) * 10) / 10,
      });
    }
  }
}

// ---------------------------------------------------------------------------------------------------------
// What is measured: each returns milliseconds, and checks its answer

function directDecode(prepared: Prepared): () => number {
  const reader = new RecordBatchReader();
  const fetched: FetchedBatches = {
    topic: 'ticks',
    partition: 0,
    fetchOffset: 0,
    bytes: prepared.bytes,
    aborted: [],
    endOffset: prepared.records,
  };
  return () => {
    let records = 0;
    let offsets = 0;
    let valueBytes = 0;
    const startMs = systemClock.monotonicMs();
    reader.open(fetched);
    for (let batch = reader.next(); batch !== null; batch = reader.next()) {
      records += batch.count;
      for (let row = 0; row < batch.count; row++) {
        offsets += batch.offset[row]!;
        valueBytes += batch.valueLength[row]!;
      }
    }
    const tookMs = systemClock.monotonicMs() - startMs;
    check(prepared, records, offsets, valueBytes);
    return tookMs;
  };
}

async function kafkajsDecode(prepared: Prepared): Promise<number> {
  const { Decoder, readRecordBatch } = kafkajsInside();
  let records = 0;
  let offsets = 0;
  let valueBytes = 0;
  const startMs = systemClock.monotonicMs();
  const decoder = new Decoder(prepared.bytes);
  while (decoder.canReadBytes(HEADER_BYTES)) {
    for (const message of (await readRecordBatch(decoder)).records) {
      records++;
      offsets += Number(message.offset);
      valueBytes += message.value!.length;
    }
  }
  const tookMs = systemClock.monotonicMs() - startMs;
  check(prepared, records, offsets, valueBytes);
  return tookMs;
}

function check(prepared: Prepared, records: number, offsets: number, valueBytes: number): void {
  assert(records === prepared.records, `${records} records of ${prepared.records}`);
  assert(offsets === (records * (records - 1)) / 2, `offsets add up to ${offsets}`);
  assert(valueBytes === prepared.valueBytes, `${valueBytes} bytes of ${prepared.valueBytes}`);
}

// ---------------------------------------------------------------------------------------------------------
// What is decoded

function prepare(codec: string, compress: (plain: Buffer) => Buffer): Prepared {
  const batches: Buffer[] = [];
  let valueBytes = 0;
  for (let batch = 0; batch < BATCHES_PER_FETCH; batch++) {
    const records = Array.from({ length: RECORDS_PER_BATCH }, (_, at) => {
      const value = tick(batch * RECORDS_PER_BATCH + at);
      valueBytes += value.length;
      return { key: null, value, headers: [] };
    });
    const plain = encodeRecordBatch(records, 1_700_000_000_000 + batch, null);
    plain.writeBigInt64BE(BigInt(batch * RECORDS_PER_BATCH), 0);
    batches.push(compress(plain));
  }
  return { codec, bytes: Buffer.concat(batches), records: BATCHES_PER_FETCH * RECORDS_PER_BATCH, valueBytes };
}

/** About 70 bytes; a price that wanders, volumes and times as they come. */
function tick(at: number): Buffer {
  const scrambled = Math.imul(at + 1, 0x9e3779b1) >>> 0;
  const symbol = ['AAPL', 'MSFT', 'NVDA', 'AMZN', 'GOOG', 'META', 'TSLA', 'BRKB'][scrambled >>> 29];
  const price = (150 + Math.sin(at / 500) * 20 + (scrambled & 0xff) / 100).toFixed(2);
  const timestampNs = 1_700_000_000_000_000_000n + BigInt(at) * 1_000_003n;
  return Buffer.from(
    `{"symbol":"${symbol}","price":${price},"volume":${1 + (scrambled >>> 22)},"ts":${timestampNs}}`,
  );
}
