// What: `npm run bench -- NAME…`: runs benchmarks by name and prints their figures.
// Why: one command for every claim about speed in the documents.
// Invariant: the machine is printed first; a benchmark whose answer is wrong fails, and prints no figure for it.

import { extname } from 'node:path';
import { parseArgs } from 'node:util';
import { type BenchOptions, machine, printer } from './report.ts';

interface Benchmark {
  readonly file: string;
  readonly what: string;
}

const benchmarks: Readonly<Record<string, Benchmark>> = {
  ingest: {
    file: 'end-to-end/ingest',
    what: 'Kafka → queryable columns; beside kafkajs and the Java consumer',
  },
  sink: {
    file: 'end-to-end/sink',
    what: 'Kafka → Hive Parquet on S3, offsets committed; beside a Python script',
  },
  memory: { file: 'end-to-end/memory', what: 'memory in use while S3 is ten times too slow, nothing lost' },
  latency: {
    file: 'end-to-end/latency',
    what: 'produce → queryable, at fixed rates; a point query over HTTP',
  },
  backfill: {
    file: 'end-to-end/backfill',
    what: 'a materialized view made over 10 M rows while ticks arrive',
  },
  group: {
    file: 'end-to-end/group',
    what: 'aggregates over two members: groups that are merged, beside rows that are sent',
  },
  seal: { file: 'micro/seal', what: 'a sealed hour to .bin and Parquet; beside plain files and LZ4' },
  'record-batch': { file: 'micro/record-batch', what: 'record batches to typed arrays' },
  decode: { file: 'micro/decode', what: 'JSON, Avro, BINARY and Arrow to columns' },
  bin: { file: 'micro/bin', what: '.bin segments written and read; beside plain files and LZ4' },
  parquet: { file: 'micro/parquet', what: 'Parquet files by size' },
  put: { file: 'micro/put', what: 'small objects put to S3; beside the AWS SDK' },
  query: { file: 'micro/query', what: 'queries over columns; beside DuckDB and Polars' },
  views: {
    file: 'micro/views',
    what: 'materialized views per tick, read, and made over rows that are there',
  },
  'sql-parse': { file: 'micro/sql-parse', what: 'SQL text to tree, names and types' },
};

const USAGE = `Usage: npm run bench -- NAME… [options]

${Object.entries(benchmarks)
  .map(([name, { what }]) => `  ${name.padEnd(14)} ${what}`)
  .join('\n')}

  --json          JSON lines
  --runs N        measure each case so often; the median is told
  --records N     ticks in the topic (ingest, sink)
  --minutes N     how long to run (memory)
  --only A,B      of the benchmark's cases, only these (ingest, sink)
`;

async function main(args: readonly string[]): Promise<number> {
  const { values, positionals } = parseArgs({
    args: [...args],
    allowPositionals: true,
    options: {
      json: { type: 'boolean', default: false },
      runs: { type: 'string' },
      records: { type: 'string' },
      minutes: { type: 'string' },
      only: { type: 'string' },
      help: { type: 'boolean', short: 'h', default: false },
    },
  });
  if (values.help || positionals.length === 0) {
    process.stdout.write(USAGE);
    return 0;
  }
  const unknown = positionals.find((name) => benchmarks[name] === undefined);
  if (unknown !== undefined) {
    process.stderr.write(`bench: no benchmark '${unknown}'\n\n${USAGE}`);
    return 2;
  }
  const print = printer(values.json);
  const runs = positive('runs', values.runs);
  const records = positive('records', values.records);
  const minutes = positive('minutes', values.minutes);
  const options: BenchOptions & { readonly rounds?: number } = {
    print,
    ...(runs !== undefined && { runs, rounds: runs }),
    ...(records !== undefined && { records }),
    ...(minutes !== undefined && { minutes }),
    ...(values.only !== undefined && { only: values.only.split(',') }),
  };
  print(machine());
  for (const name of positionals) {
    // A file that runs from its source has its source beside it; a compiled one, the compiled.
    const url = new URL(`./${benchmarks[name]!.file}${extname(import.meta.filename)}`, import.meta.url);
    const { run } = (await import(url.href)) as { run(options: object): Promise<void> };
    await run(options);
  }
  return 0;
}

function positive(name: string, text: string | undefined): number | undefined {
  if (text === undefined) return undefined;
  const value = Number(text);
  if (!(value > 0)) throw new Error(`--${name} takes a number above 0, not '${text}'`);
  return value;
}

main(process.argv.slice(2)).then(
  (exitCode) => {
    process.exitCode = exitCode;
  },
  (error: unknown) => {
    process.stderr.write(`bench: ${error instanceof Error ? error.stack : String(error)}\n`);
    process.exitCode = 1;
  },
);
