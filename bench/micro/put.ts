// What: CPU and wall time of small conditional PUTs: bare node:http, the AWS SDK, and our store, in the same run.
// Why: a plan uploads hundreds of objects of a few KiB; what a request costs around its bytes decides what sealing costs.
// Invariant: only this process's CPU counts, the server is another one; every body that arrives is counted and has its length.

import { type ChildProcess, spawn } from 'node:child_process';
import { randomBytes } from 'node:crypto';
import { once } from 'node:events';
import http from 'node:http';
import { cpus } from 'node:os';
import { PutObjectCommand, S3Client } from '@aws-sdk/client-s3';
import { s3Defaults } from '../../connectors/s3/settings.ts';
import { createS3Store } from '../../connectors/s3/store.ts';
import { assert } from '../../src/kernel/assert.ts';
import { systemClock } from '../../src/kernel/clock.ts';
import type { Logger, Metrics } from '../../src/ports.ts';

export interface PutBenchOptions {
  readonly puts?: number;
  readonly bodyBytes?: number;
  readonly concurrency?: number;
  readonly rounds?: number;
}

const log: Logger = { debug() {}, info() {}, warn() {}, error() {} };
const metrics: Metrics = { count() {}, gauge() {}, observe() {} };
const CONTENT_TYPE = 'application/vnd.apache.parquet';

/** Reads each body, answers 200; prints its port, and on a GET how many bodies and bytes it took. */
const SERVER = `
let puts = 0, bytes = 0;
const server = require('node:http').createServer((request, answer) => {
  if (request.method === 'GET') return answer.end(JSON.stringify({ puts, bytes }));
  request.on('data', (chunk) => { bytes += chunk.length; });
  request.on('end', () => { puts += 1; answer.writeHead(200, { etag: '"x"', 'content-length': 0 }).end(); });
});
server.listen(0, '127.0.0.1', () => console.log(server.address().port));
`;

/** Prints one JSON line for the machine, then one for each case: medians over the rounds. */
export async function run(options: PutBenchOptions = {}): Promise<void> {
  const { puts = 4_000, bodyBytes = 10_240, concurrency = 16, rounds = 3 } = options;
  const body = randomBytes(bodyBytes);
  const server = spawn(process.execPath, ['-e', SERVER], { stdio: ['ignore', 'pipe', 'inherit'] });
  try {
    const endpointUrl = `http://127.0.0.1:${await firstLine(server)}`;
    print({ bench: 'put', puts, bodyBytes, concurrency, node: process.version, cpu: cpus()[0]!.model });
    const cases = casesOf(endpointUrl, body, concurrency);
    const micros = cases.map(() => [] as { cpu: number; wall: number }[]);
    for (let round = 0; round <= rounds; round += 1) {
      for (const [index, { put }] of cases.entries()) {
        const taken = await measure(put, puts, concurrency);
        // The first round warms up.
        if (round > 0) micros[index]!.push(taken);
      }
    }
    const taken = (await (await fetch(endpointUrl)).json()) as { puts: number; bytes: number };
    const sent = puts * cases.length * (rounds + 1);
    assert(taken.puts === sent && taken.bytes === sent * bodyBytes, 'every body arrived whole');
    const ourCpu = median(micros.at(-1)!.map(({ cpu }) => cpu));
    for (const [index, { name }] of cases.entries()) {
      const cpu = median(micros[index]!.map((one) => one.cpu));
      const wall = median(micros[index]!.map((one) => one.wall));
      print({
        case: name,
        cpuMicrosPerPut: Math.round(cpu),
        wallMicrosPerPut: Math.round(wall),
        ofOurs: round2(cpu / ourCpu),
      });
    }
    for (const { close } of cases) await close();
  } finally {
    server.kill();
  }
}

interface Case {
  readonly name: string;
  put(key: string): Promise<unknown>;
  close(): void | Promise<void>;
}

function casesOf(endpointUrl: string, body: Buffer, concurrency: number): readonly Case[] {
  const credentials = { accessKeyId: 'key', secretAccessKey: 'secret' };
  const common = { region: 'us-east-1', credentials };
  const agent = new http.Agent({ keepAlive: true, maxSockets: concurrency });
  const sdk = new S3Client({ ...common, endpoint: endpointUrl, forcePathStyle: true });
  const settings = { ...s3Defaults, ...common, endpointUrl, usePathStyle: true, bucket: 'ticks' };
  const store = createS3Store(
    { ...settings, connectionsMax: concurrency },
    { clock: systemClock, metrics, log },
  );
  return [
    {
      name: 'node-http',
      put: (key) => bare(`${endpointUrl}/ticks/${key}`, agent, body),
      close: () => agent.destroy(),
    },
    {
      name: 'aws-sdk',
      put: (Key) =>
        sdk.send(
          new PutObjectCommand({
            Bucket: 'ticks',
            Key,
            Body: body,
            ContentType: CONTENT_TYPE,
            IfNoneMatch: '*',
          }),
        ),
      close: () => sdk.destroy(),
    },
    {
      name: 'store',
      put: (key) => store.put(key, body, { contentType: CONTENT_TYPE }),
      close: () => store.close(),
    },
  ];
}

async function bare(url: string, agent: http.Agent, body: Buffer): Promise<void> {
  const request = http.request(url, { method: 'PUT', agent, headers: { 'content-length': body.length } });
  request.end(body);
  const [response] = (await once(request, 'response')) as [http.IncomingMessage];
  await once(response.resume(), 'end');
}

/** Microseconds per put. */
async function measure(
  put: (key: string) => Promise<unknown>,
  puts: number,
  concurrency: number,
): Promise<{ cpu: number; wall: number }> {
  let next = 0;
  const lane = async (): Promise<void> => {
    while (next < puts) {
      const index = next++;
      await put(`hdb/year=2026/month=03/day=21/symbol=${index % 50}/${index}-493021-0a1b2c3d.parquet`);
    }
  };
  const cpuStart = process.cpuUsage();
  const startMs = systemClock.monotonicMs();
  await Promise.all(Array.from({ length: concurrency }, lane));
  const wall = ((systemClock.monotonicMs() - startMs) * 1_000) / puts;
  const { user, system } = process.cpuUsage(cpuStart);
  return { cpu: (user + system) / puts, wall };
}

async function firstLine(child: ChildProcess): Promise<string> {
  const [chunk] = (await once(child.stdout!, 'data')) as [Buffer];
  return chunk.toString().trim();
}

const median = (values: readonly number[]): number => values.toSorted((a, b) => a - b)[values.length >> 1]!;

const round2 = (value: number): number => Math.round(value * 100) / 100;

const print = (line: object): void => console.log(JSON.stringify(line));
