// What: produce → visible in SQL at fixed rates, and the round trip of a point query over HTTP.
// Why: "the newest ticks in SQL within milliseconds" is what a trading desk buys.
// Invariant: every tick produced is counted by SQL in the end; a tick counts as seen when an answer that has it has arrived.

import { connect, type Socket } from 'node:net';
import { startServices } from '../../services/up.ts';
import { assert } from '../../src/kernel/assert.ts';
import { systemClock } from '../../src/kernel/clock.ts';
import type { BenchOptions } from '../report.ts';
import { BatchWriter } from './batch-writer.ts';
import { Member } from './member.ts';
import { openProducer, type Producer } from './producer.ts';
import { stepWithinHourNs, tickWriter } from './ticks.ts';

const RATES = [10_000, 100_000, 300_000, 600_000];
const SECONDS = 8;
const WARM_UP_SECONDS = 2;
/** Once: broker and member compile for so long. */
const START_SECONDS = 15;
const START_RATE = 100_000;
/** A batch is sent this often. */
const BATCH_MS = 5;
const RECORD_BYTES_MAX = 96;
/** In one hour, which stays open: nothing is sealed meanwhile. */
const TICKS_MAX = 20_000_000;
const QUERIES = 4_000;
const TOPIC = 'latency';

export async function run({ print, only }: BenchOptions): Promise<void> {
  const services = await startServices({ with: ['kafka'], report: () => {} });
  const { brokers } = services.kafka;
  const to = await openProducer(brokers, TOPIC, 1);
  const flags = ['--brokers', brokers, '--group', 'latency', '--topics', `trades=${TOPIC}`];
  const member = new Member([...flags, '--storage-mode', 'pure', '--memory-budget', '2GiB'], {}, []);
  let sql: SqlClient | null = null;
  const producer = new TickProducer(to);
  try {
    await member.until(({ partitions }) => partitions === 1, 'its partition', 60_000);
    sql = new SqlClient(member.address);
    await producer.send(1_000);
    await seenAll(sql, 1_000);
    await visibleAt(START_RATE, START_SECONDS, producer, sql);
    for (const rate of RATES) {
      const name = `visible-${rate / 1000}k`;
      if (only !== undefined && !only.includes(name)) continue;
      await visibleAt(rate, WARM_UP_SECONDS, producer, sql);
      print({ case: name, rate, ...(await visibleAt(rate, SECONDS, producer, sql)) });
    }
    if (only === undefined || only.includes('http-point-query')) print(await pointQuery(sql));
  } catch (error) {
    console.error(member.tail());
    throw error;
  } finally {
    sql?.close();
    await to.close();
    await member.stop('SIGKILL');
    await services.stop();
  }
}

interface Visible {
  readonly p50Ms: number;
  readonly p99Ms: number;
  readonly p999Ms: number;
  /** From when a batch was due to the broker's acknowledgement. */
  readonly acknowledgedP50Ms: number;
  readonly acknowledgedP99Ms: number;
  readonly rowsPerSecondReached: number;
}

async function visibleAt(
  rate: number,
  seconds: number,
  producer: TickProducer,
  sql: SqlClient,
): Promise<Visible> {
  const perBatch = Math.round((rate * BATCH_MS) / 1_000);
  const before = producer.sent;
  /** When each batch was due, and how many ticks there are with it. */
  const due: { readonly atMs: number; readonly ticks: number }[] = [];
  const waits: number[] = [];
  /** Until the broker had acknowledged each: what no consumer can be faster than. */
  const ackWaits: number[] = [];
  let seen = 0;
  let isSending = true;
  const looking = (async () => {
    while (isSending || seen < due.length) {
      const count = await sql.count();
      const nowMs = performance.now();
      for (; seen < due.length && due[seen]!.ticks <= count; seen++) waits.push(nowMs - due[seen]!.atMs);
      // Asking without a pause would take the time of what is measured.
      await systemClock.sleep(1);
    }
  })();
  const startMs = performance.now();
  const acknowledged: Promise<void>[] = [];
  for (let k = 0; k < (seconds * 1_000) / BATCH_MS; k++) {
    const atMs = startMs + k * BATCH_MS;
    await systemClock.sleep(Math.max(0, atMs - performance.now()));
    // A producer that is late has its delay counted: from when the ticks were due.
    acknowledged.push(
      producer.send(perBatch).then(() => {
        ackWaits.push(performance.now() - atMs);
      }),
    );
    due.push({ atMs, ticks: producer.sent });
  }
  await Promise.all(acknowledged);
  const passed = (performance.now() - startMs) / 1_000;
  isSending = false;
  await looking;
  assert((await sql.count()) === producer.sent, 'every tick is counted');
  const at = percentiles(waits);
  const acknowledgedAt = percentiles(ackWaits);
  return {
    p50Ms: at(0.5),
    p99Ms: at(0.99),
    p999Ms: at(0.999),
    acknowledgedP50Ms: acknowledgedAt(0.5),
    acknowledgedP99Ms: acknowledgedAt(0.99),
    rowsPerSecondReached: Math.round((producer.sent - before) / passed),
  };
}

async function pointQuery(sql: SqlClient) {
  const ask = async (): Promise<void> => {
    const [[price]] = await sql.ask("SELECT last(price) FROM trades WHERE symbol = 'S07'");
    assert(typeof price === 'number', 'a price is answered');
  };
  await timesOf(ask);
  const at = percentiles(await timesOf(ask));
  const ping = percentiles(await timesOf(() => sql.ping()));
  return {
    ...{ case: 'http-point-query', queries: QUERIES, pingP50Ms: ping(0.5) },
    ...{ p50Ms: at(0.5), p99Ms: at(0.99), p999Ms: at(0.999) },
  };
}

async function timesOf(ask: () => Promise<void>): Promise<number[]> {
  const times: number[] = [];
  for (let i = 0; i < QUERIES; i++) {
    const from = performance.now();
    await ask();
    times.push(performance.now() - from);
  }
  return times;
}

function percentiles(ms: number[]): (share: number) => number {
  ms.sort((a, b) => a - b);
  return (share) => Math.round(ms[Math.floor((ms.length - 1) * share)]! * 1_000) / 1_000;
}

async function seenAll(sql: SqlClient, ticks: number): Promise<void> {
  while ((await sql.count()) < ticks) await systemClock.sleep(5);
}

/** One connection that stays open, and no HTTP library: its own work would be a third of the round trip. */
class SqlClient {
  private readonly socket: Socket;
  private readonly host: string;
  private text = '';
  private waiting: { resolve: (body: string) => void; reject: (error: Error) => void } | null = null;

  constructor(url: string) {
    const { hostname, port, host } = new URL(url);
    this.host = host;
    this.socket = connect(Number(port), hostname).setNoDelay().setEncoding('utf8');
    this.socket.on('data', (piece) => this.heard(String(piece)));
    this.socket.on('error', (error) => this.waiting?.reject(error));
  }

  async count(): Promise<number> {
    return (await this.ask('SELECT count(*) FROM trades'))[0]![0] as number;
  }

  async ask(sql: string): Promise<[unknown[], ...unknown[][]]> {
    const body = await this.send(
      `POST / HTTP/1.1\r\nHost: ${this.host}\r\nContent-Length: ${sql.length}\r\n\r\n${sql}`,
    );
    return JSON.parse(body).data;
  }

  /** What a request without a statement takes. */
  async ping(): Promise<void> {
    await this.send(`GET /ping HTTP/1.1\r\nHost: ${this.host}\r\n\r\n`);
  }

  close(): void {
    this.socket.destroy();
  }

  private send(request: string): Promise<string> {
    return new Promise((resolve, reject) => {
      this.waiting = { resolve, reject };
      this.socket.write(request);
    });
  }

  /** Small answers, which have their length. */
  private heard(piece: string): void {
    this.text += piece;
    const end = this.text.indexOf('\r\n\r\n') + 4;
    const length = /content-length: (\d+)/i.exec(this.text)?.[1];
    if (end < 4 || length === undefined || this.text.length < end + Number(length)) return;
    const body = this.text.slice(end);
    const isGood = this.text.startsWith('HTTP/1.1 200');
    const { waiting } = this;
    this.text = '';
    if (isGood) waiting?.resolve(body);
    else waiting?.reject(new Error(body));
  }
}

/** Sends each batch when it is there, whether or not those before are acknowledged, as the Java client does. */
class TickProducer {
  sent = 0;
  private readonly to: Producer;
  private readonly ticks = tickWriter('json', stepWithinHourNs(TICKS_MAX));
  private readonly batch = new BatchWriter(RATES.at(-1)! / (1_000 / BATCH_MS), RECORD_BYTES_MAX);

  constructor(to: Producer) {
    this.to = to;
  }

  /** Resolves when the broker has acknowledged them. */
  send(count: number): Promise<void> {
    for (let i = 0; i < count; i++) {
      this.ticks.symbol();
      this.batch.add(this.ticks.write);
    }
    this.sent += count;
    return this.to.sendAndWait(0, this.batch.finish(systemClock.nowMs()));
  }
}
