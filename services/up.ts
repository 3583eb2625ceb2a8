// What: the services together: started in parallel, described by one connection, stopped as one.
// Why: tests, demo and benchmarks get the same real services by one call.
// Invariant: after stop() no process and no file of the set is left; without stop() the end of this process does the same.

import { mkdir, mkdtemp, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { type Report, reportToStderr } from './errors.ts';
import { guardFolder } from './guard.ts';
import { type Kafka, type KafkaOptions, openKafka } from './kafka.ts';
import { removeServers, type Server } from './process.ts';
import { openRegistry, type SchemaRegistry } from './registry.ts';
import { openS3, type S3, type S3Connection, type S3ServerName } from './s3.ts';

export const SERVICE_NAMES = ['kafka', 's3', 'registry'] as const;
export type ServiceName = (typeof SERVICE_NAMES)[number];

interface ServiceByName {
  readonly kafka: Kafka;
  readonly s3: S3;
  readonly registry: SchemaRegistry;
}

export interface Connection {
  /** `host:port` */
  readonly brokers?: string;
  readonly s3?: S3Connection;
  /** URL of its Confluent-compatible API. */
  readonly schemaRegistry?: string;
}

export interface ServiceOptions {
  readonly kafka?: KafkaOptions;
  readonly s3Server?: S3ServerName;
  readonly report?: Report;
}

export type Services<Name extends ServiceName = ServiceName> = Pick<ServiceByName, Name> & {
  /** Where clients connect: what `npm run services -- up --json` prints. */
  readonly connection: Connection;
  stop(): Promise<void>;
};

/**
 * Starts the named services (all of them by default) with their data in a temporary folder, and resolves when each is
 * ready. They end with this process at the latest. Rejects with a ServiceError that says what to do.
 */
export async function startServices<Name extends ServiceName = ServiceName>(
  options: ServiceOptions & { readonly with?: readonly Name[] } = {},
): Promise<Services<Name>> {
  const dir = await mkdtemp(join(tmpdir(), 'zeptodb-services-'));
  const guard = guardFolder(dir);
  const names: readonly ServiceName[] = options.with ?? SERVICE_NAMES;
  let stopped: Promise<void> | undefined;
  try {
    const opened = await openServices(dir, names, options);
    const stop = (): Promise<void> => {
      stopped ??= removeServers(dir, () => {}).then(async () => {
        await opened.byName.kafka?.proxied?.proxy.close();
        await rm(dir, { recursive: true, force: true });
        guard.release();
      });
      return stopped;
    };
    return { ...opened.byName, connection: opened.connection, stop } as Services<Name>;
  } catch (error) {
    // The guard kills what had started and removes the folder.
    guard.release();
    throw error;
  }
}

export interface OpenedServices {
  readonly byName: Partial<ServiceByName>;
  readonly connection: Connection;
}

/** Opens and starts the services of a folder; the ones that run there already are taken as they are. */
export async function openServices(
  dir: string,
  names: readonly ServiceName[],
  options: ServiceOptions,
): Promise<OpenedServices> {
  const report = options.report ?? reportToStderr;
  await mkdir(dir, { recursive: true });
  const start = async <S extends Server>(opening: Promise<S>): Promise<S> => {
    const server = await opening;
    const startedMs = Date.now();
    const ran = server.pid !== undefined;
    await server.start();
    const seconds = ((Date.now() - startedMs) / 1000).toFixed(1);
    report(ran ? `${server.name} runs already` : `${server.name} ready in ${seconds} s`);
    return server;
  };
  const wanted = new Set(names);
  const starting = [
    wanted.has('kafka') ? start(openKafka(join(dir, 'kafka'), options.kafka ?? {}, report)) : undefined,
    wanted.has('s3') ? start(openS3(join(dir, 's3'), options.s3Server ?? 's3proxy', report)) : undefined,
    wanted.has('registry') ? start(openRegistry(join(dir, 'registry'), report)) : undefined,
  ] as const;
  // A failure is told only when nothing is in flight any more, so that no server starts behind its back.
  await Promise.allSettled(starting);
  const [kafka, s3, registry] = await Promise.all(starting);
  return {
    byName: { ...(kafka && { kafka }), ...(s3 && { s3 }), ...(registry && { registry }) },
    connection: {
      ...(kafka && { brokers: kafka.brokers }),
      ...(s3 && { s3: s3.connection }),
      ...(registry && { schemaRegistry: registry.url }),
    },
  };
}
