// What: one scene of a test with real members: a topic, a group, a prefix, a folder and a ledger of their own.
// Why: tests that stop, starve or mislead members set the same stage and count what is left in the same way.
// Invariant: a scene is settled only when each acknowledged id stands exactly once wherever the scene's members write.

import { mkdir, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { expect } from 'vitest';
import type { S3Connection } from '../../services/s3.ts';
import { countBin, countDeadLetters, countParquet, LEDGER_SYMBOLS, Ledger, ledgerTable } from './ledger.ts';
import { MemberProcess } from './member.ts';

export interface SceneOptions {
  /** Where the test keeps its files. */
  readonly home: string;
  readonly brokers: string;
  /** Offsets move after objects in this store stand; null: after local files. */
  readonly s3: S3Connection | null;
  /** As the members see the store, when that differs: through a proxy, with another credential. */
  readonly s3OfMembers?: S3Connection;
  readonly partitions?: number;
  /** A folder of its own below `home` by default. */
  readonly hdb?: string;
}

export interface Scene extends Required<Omit<SceneOptions, 's3'>> {
  readonly s3: S3Connection | null;
  /** Also the name of the group and the key prefix. */
  readonly topic: string;
  readonly ledger: Ledger;
  /** Starts a member; later flags win. */
  start(...flags: readonly string[]): MemberProcess;
  startIn(env: Readonly<Record<string, string>>, ...flags: readonly string[]): MemberProcess;
}

let scenes = 0;

export async function openScene(options: SceneOptions): Promise<Scene> {
  const { home, brokers, s3, partitions = 4 } = options;
  const topic = `scene-${Date.now()}-${process.pid}-${scenes++}`;
  const hdb = options.hdb ?? join(home, topic);
  await mkdir(hdb, { recursive: true });
  const config = join(home, `${topic}.json`);
  await writeFile(config, JSON.stringify({ tables: { trades: { topic, ...ledgerTable } } }));
  const ledger = new Ledger({ brokers, topic, partitions, hours: 5 });
  await ledger.createTopic();
  const s3OfMembers = options.s3OfMembers ?? s3;
  const flags = [
    ...['--brokers', brokers, '--group', topic, '--config', config, '--hdb-dir', hdb],
    ...['--session-timeout', '6s', '--heartbeat-interval', '1s', '--rebalance-timeout', '10s'],
    ...(s3OfMembers === null ? [] : coldTier(s3OfMembers, topic)),
  ];
  const env =
    s3OfMembers === null
      ? {}
      : {
          AWS_ACCESS_KEY_ID: s3OfMembers.accessKeyId,
          AWS_SECRET_ACCESS_KEY: s3OfMembers.secretAccessKey,
        };
  const startIn: Scene['startIn'] = (more, ...further) =>
    MemberProcess.start({ flags: [...flags, ...further], env: { ...env, ...more } });
  return {
    ...{ home, brokers, s3, partitions, hdb, topic, ledger, startIn },
    s3OfMembers: s3OfMembers!,
    start: (...further) => startIn({}, ...further),
  };
}

function coldTier({ bucket, endpoint, region }: S3Connection, prefix: string): string[] {
  return [
    ...['--cold-tier-enabled', '--cold-tier-format', 'both', '--cold-tier-s3-bucket', bucket],
    ...['--cold-tier-s3-endpoint-url', endpoint, '--cold-tier-s3-use-path-style'],
    ...['--cold-tier-s3-region', region, '--cold-tier-s3-prefix', prefix],
  ];
}

/** Everything produced is sealed by `member`, or by one that takes over what is left; it is drained, and every id is counted. */
export async function settle(
  scene: Scene,
  member: MemberProcess = scene.start('--seal-interval', '1s'),
): Promise<void> {
  await sealAll(member, scene.ledger);
  expect(await member.drain(), member.tail()).toBe(0);
  await expectEachOnce(scene);
}

/** Resolves when the member has taken in every record of the ledger and no row waits in memory. */
export async function sealAll(member: MemberProcess, ledger: Ledger): Promise<void> {
  await member.ready(90_000);
  await member.until(
    async () => {
      const partitions = await member.partitions();
      // What the member knows of the end may be old; the ledger's topic has no gaps, so positions add up to its records.
      const taken = partitions.reduce((sum, one) => sum + one.position, 0);
      const isDone =
        taken === ledger.produced + ledger.undecodable &&
        partitions.every((one) => one.lag === 0 && one.rows_hot === 0 && one.state === 'ACTIVE');
      if (!isDone) await member.flush();
      return isDone ? true : undefined;
    },
    'everything sealed',
    90_000,
  );
}

/** In the store, on the disk and among the dead letters. */
export async function expectEachOnce({ home, brokers, s3, hdb, topic, ledger }: Scene): Promise<void> {
  const expected = { rows: ledger.produced, distinct: ledger.produced, pairs: LEDGER_SYMBOLS };
  expect(await countBin(hdb)).toEqual(expected);
  if (s3 !== null) expect(await countParquet(s3, topic, join(home, 'bucket'))).toEqual(expected);
  expect(await countDeadLetters(brokers, topic, ledger.undecodable)).toBe(ledger.undecodable);
}
