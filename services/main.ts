// What: `npm run services -- up|status|down`: real Kafka, S3 and schema registry on this machine, without Docker.
// Why: one command between a fresh clone and something to connect to.
// Invariant: progress goes to stderr; with --json the last line of stdout is the connection as one JSON line.

import { resolve } from 'node:path';
import { parseArgs } from 'node:util';
import { reportToStderr, ServiceError } from './errors.ts';
import { S3_SERVER_NAMES, type S3ServerName } from './s3.ts';
import { defaultDir, down, status, up } from './standing.ts';
import { type Connection, SERVICE_NAMES, type ServiceName } from './up.ts';

const USAGE = `Usage: npm run services -- COMMAND [options]

Real servers on this machine, without Docker, from the public package registries. The first start downloads
them into ~/.cache/zeptodb-services; it needs Java 17 and Maven (and Go for versitygw).

  up       start what does not run yet; the servers stay until \`down\`
  status   show what runs (exit code 1 when something does not)
  down     stop them and remove their data

  --with LIST    of ${SERVICE_NAMES.join(',')} (default: all)
  --s3 SERVER    ${S3_SERVER_NAMES.join(' or ')} (default: s3proxy; versitygw enforces policies)
  --dir DIR      folder of data and state (default: ${defaultDir()})
  --json         print where to connect as one JSON line, last on stdout
  --help         this text

Examples:
  npm run services -- up --json
  npm run services -- up --with kafka --dir /tmp/second-set
`;

async function main(args: readonly string[]): Promise<number> {
  const { values, positionals } = parseArgs({
    args: [...args],
    allowPositionals: true,
    options: {
      with: { type: 'string' },
      s3: { type: 'string' },
      dir: { type: 'string' },
      json: { type: 'boolean', default: false },
      help: { type: 'boolean', short: 'h', default: false },
    },
  });
  const [command, ...rest] = positionals;
  if (values.help) {
    process.stdout.write(USAGE);
    return 0;
  }
  if (command === undefined || rest.length > 0)
    return usageError('one command is needed: up, status or down');
  const dir = resolve(values.dir ?? defaultDir());

  if (command === 'up') {
    const names = values.with === undefined ? SERVICE_NAMES : parseNames(values.with);
    const connection = await up(dir, names, parseS3Server(values.s3), reportToStderr);
    print(connection, values.json);
    return 0;
  }
  if (command === 'status') {
    const set = await status(dir);
    if (!set) {
      reportToStderr(`no services in ${dir}; start them by \`npm run services -- up\``);
      return 1;
    }
    for (const { folder, pid } of set.servers) {
      reportToStderr(`${folder.padEnd(9)} ${pid === undefined ? 'does not run' : `runs, pid ${pid}`}`);
    }
    if (set.connection) print(set.connection, values.json);
    return set.connection && set.servers.every(({ pid }) => pid !== undefined) ? 0 : 1;
  }
  if (command === 'down') {
    if (!(await down(dir, reportToStderr))) reportToStderr(`no services in ${dir}`);
    return 0;
  }
  return usageError(`unknown command '${command}'`);
}

function print(connection: Connection, json: boolean): void {
  if (json) {
    process.stdout.write(`${JSON.stringify(connection)}\n`);
    return;
  }
  const { brokers, s3, schemaRegistry } = connection;
  const lines = [
    brokers && `Kafka            ${brokers}`,
    s3 && `S3               ${s3.endpoint}  bucket ${s3.bucket}  region ${s3.region}`,
    s3 && `                 AWS_ACCESS_KEY_ID=${s3.accessKeyId} AWS_SECRET_ACCESS_KEY=${s3.secretAccessKey}`,
    schemaRegistry && `Schema registry  ${schemaRegistry}`,
  ];
  process.stdout.write(`${lines.filter(Boolean).join('\n')}\n`);
}

function parseNames(list: string): ServiceName[] {
  return list.split(',').map((name) => {
    const known = SERVICE_NAMES.find((candidate) => candidate === name.trim());
    if (!known) throw new ServiceError(`No service '${name}'.`, `--with takes ${SERVICE_NAMES.join(',')}`);
    return known;
  });
}

function parseS3Server(name: string | undefined): S3ServerName | undefined {
  if (name === undefined) return undefined;
  const known = S3_SERVER_NAMES.find((candidate) => candidate === name);
  if (!known) throw new ServiceError(`No S3 server '${name}'.`, `--s3 takes ${S3_SERVER_NAMES.join(' or ')}`);
  return known;
}

function usageError(problem: string): number {
  process.stderr.write(`services: ${problem}\n\n${USAGE}`);
  return 2;
}

main(process.argv.slice(2)).then(
  (exitCode) => {
    process.exitCode = exitCode;
  },
  (error: unknown) => {
    const message = error instanceof Error ? error.message : String(error);
    process.stderr.write(`services: ${error instanceof ServiceError ? message : (error as Error).stack}\n`);
    process.exitCode = 1;
  },
);
