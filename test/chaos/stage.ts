// What: where chaos happens: real services behind fault proxies, two groups of members, a producer with ids.
// Why: one group commits after objects, the other after local files; both must hold each tick once.
// Invariant: what members see passes through the proxies; the producer and the audit reach the services directly.

import { existsSync } from 'node:fs';
import { mkdir, mkdtemp, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import type { FaultProxy } from '../../services/proxy.ts';
import { type Services, startServices } from '../../services/up.ts';
import { type HttpFaultProxy, startHttpFaultProxy } from '../support/http-fault-proxy.ts';
import { Ledger, ledgerTable } from '../support/ledger.ts';
import { openSmallDisk, type SmallDisk } from '../support/small-disk.ts';
import { SupervisedMember } from './supervised.ts';

/** Rewrites what a process takes for the time; the clock that measures durations stays true. */
const FAKETIME = ['x86_64-linux-gnu', 'aarch64-linux-gnu']
  .map((architecture) => `/usr/lib/${architecture}/faketime/libfaketime.so.1`)
  .find(existsSync);

const PARTITIONS = 4;
const DISK_MEBIBYTES = 2_048;
export const TOPIC = 'chaos';

export interface Group {
  readonly name: string;
  /** Flags of one member, the services reached directly: for the audit. */
  readonly plainFlags: readonly string[];
  readonly members: readonly SupervisedMember[];
}

export interface Stage {
  readonly home: string;
  readonly services: Services<'kafka' | 's3'>;
  readonly ledger: Ledger;
  readonly brokerProxy: FaultProxy;
  readonly s3Proxy: HttpFaultProxy;
  readonly disk: SmallDisk;
  readonly toS3: Group;
  readonly toDisk: Group;
  readonly env: Readonly<Record<string, string>>;
  close(): Promise<void>;
}

/** @throws Error that says what to install when the clock of a process cannot be moved here. */
export async function openStage(lifeSeconds: number): Promise<Stage> {
  if (FAKETIME === undefined)
    throw new Error(
      'chaos moves the clocks of members with libfaketime: install it (apt-get install faketime)',
    );
  const home = await mkdtemp(join(tmpdir(), 'zepto-chaos-'));
  const services = await startServices({
    with: ['kafka', 's3'],
    kafka: { listeners: ['proxied'] },
    report: () => {},
  });
  const { connection } = services.s3;
  const s3Proxy = await startHttpFaultProxy(connection.endpoint);
  const disk = await openSmallDisk(join(home, 'disk'), DISK_MEBIBYTES, lifeSeconds);
  const ledger = new Ledger({
    brokers: services.kafka.brokers,
    topic: TOPIC,
    partitions: PARTITIONS,
    hours: 5,
  });
  await ledger.createTopic();
  const config = join(home, 'tables.json');
  await writeFile(config, JSON.stringify({ tables: { trades: { topic: TOPIC, ...ledgerTable } } }));
  const hdb = join(disk.path, 'hdb');
  await mkdir(hdb);
  const env = {
    AWS_ACCESS_KEY_ID: connection.accessKeyId,
    AWS_SECRET_ACCESS_KEY: connection.secretAccessKey,
  };
  const common = (group: string): string[] => [
    ...['--group', group, '--config', config, '--hot-window', '1s'],
    ...['--session-timeout', '6s', '--heartbeat-interval', '1s', '--rebalance-timeout', '10s'],
  ];
  const cold = (endpoint: string): string[] => [
    ...['--cold-tier-enabled', '--cold-tier-s3-bucket', connection.bucket],
    ...['--cold-tier-s3-endpoint-url', endpoint, '--cold-tier-s3-use-path-style'],
    ...['--cold-tier-s3-region', connection.region, '--cold-tier-s3-prefix', TOPIC],
  ];
  const { proxied } = services.kafka;
  let members = 0;
  const start = async (group: string, flags: readonly string[]): Promise<SupervisedMember> => {
    const name = `${group}-${members++}`;
    const clockFile = join(home, `${name}.clock`);
    await writeFile(clockFile, '+0s');
    const faked = {
      LD_PRELOAD: FAKETIME,
      FAKETIME_TIMESTAMP_FILE: clockFile,
      FAKETIME_CACHE_DURATION: '1',
      FAKETIME_DONT_FAKE_MONOTONIC: '1',
    };
    const brokers = ['--brokers', proxied!.brokers];
    return new SupervisedMember(
      name,
      { flags: [...common(group), ...brokers, ...flags], env: { ...env, ...faked } },
      clockFile,
    );
  };
  const toS3Flags = ['--seal-interval', '1s'];
  const toDiskFlags = ['--hdb-dir', hdb, '--seal-interval', '5s'];
  const toS3: Group = {
    name: 'chaos-s3',
    plainFlags: [...common('chaos-s3'), '--brokers', services.kafka.brokers, ...cold(connection.endpoint)],
    members: [
      await start('chaos-s3', [...toS3Flags, ...cold(s3Proxy.url)]),
      await start('chaos-s3', [...toS3Flags, ...cold(s3Proxy.url)]),
    ],
  };
  const toDisk: Group = {
    name: 'chaos-disk',
    plainFlags: [...common('chaos-disk'), '--brokers', services.kafka.brokers, '--hdb-dir', hdb],
    members: [await start('chaos-disk', toDiskFlags), await start('chaos-disk', toDiskFlags)],
  };
  const close = async (): Promise<void> => {
    await disk.close();
    await s3Proxy.close();
    await services.stop();
    await rm(home, { recursive: true, force: true });
  };
  const brokerProxy = proxied!.proxy;
  return { home, services, ledger, brokerProxy, s3Proxy, disk, toS3, toDisk, env, close };
}
