// What: Apicurio Registry behind its Confluent-compatible API.
// Why: Avro decoding has to agree with what producers' registries answer.
// Invariant: schemas are in memory only: a restart begins empty.

import type { Report } from './errors.ts';
import { answersHttp } from './http.ts';
import { installApicurio } from './install.ts';
import { portsOf } from './ports.ts';
import { openServer, portTaken, type Server } from './process.ts';

export interface SchemaRegistry extends Server {
  /** What a Confluent client takes as its host. */
  readonly url: string;
}

/** Prepares the folder and describes the server; nothing runs before `start()`. */
export async function openRegistry(dir: string, report: Report): Promise<SchemaRegistry> {
  const jar = await installApicurio(report);
  const { http } = await portsOf(dir, ['http']);
  const url = `http://127.0.0.1:${http}/apis/ccompat/v7`;
  const server = await openServer({
    name: 'Schema registry',
    command: 'java',
    args: [
      '-Xmx256m',
      // It computes little: the quick compiler alone halves the start.
      '-XX:TieredStopAtLevel=1',
      `-Dzeptodb.dir=${dir}`,
      '-Dquarkus.http.host=127.0.0.1',
      `-Dquarkus.http.port=${http}`,
      '-jar',
      jar,
    ],
    dir,
    ready: () => answersHttp(`${url}/subjects`, (status) => status === 200),
    readyTimeoutMs: 120_000,
    hints: [
      { pattern: portTaken, todo: 'another program took the port meanwhile: start again' },
      { pattern: /UnsupportedClassVersionError/, todo: 'the registry needs Java 17 or newer: install it' },
    ],
  });
  return Object.assign(server, { url });
}
