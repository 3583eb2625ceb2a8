// What: a standing set of services: it outlives the command that started it, until `down`.
// Why: a person tries things for an hour, and a demo or a benchmark joins the same broker and bucket.
// Invariant: its folder holds `services.json`, written before the first server starts, so that `down` finds all of them.

import { lstat, mkdir, readdir, readFile, rename, rm, rmdir, writeFile } from 'node:fs/promises';
import { tmpdir, userInfo } from 'node:os';
import { join } from 'node:path';
import { type Report, ServiceError } from './errors.ts';
import { withLock } from './lock.ts';
import { removeServers, runningPid } from './process.ts';
import type { S3ServerName } from './s3.ts';
import { type Connection, openServices, type ServiceName } from './up.ts';

interface SetFile {
  readonly names: readonly ServiceName[];
  readonly s3Server: S3ServerName;
  /** Absent until all were ready once. */
  readonly connection?: Connection;
}

export interface SetStatus {
  readonly dir: string;
  readonly connection: Connection | undefined;
  /** One entry for each server process; without a pid it does not run. */
  readonly servers: readonly { readonly folder: string; readonly pid: number | undefined }[];
}

export function defaultDir(): string {
  return join(tmpdir(), `zeptodb-services-${userInfo().username}`);
}

/** Starts what does not run yet, on the ports and data it had before, and returns where to connect. */
export function up(
  dir: string,
  names: readonly ServiceName[],
  s3Server: S3ServerName | undefined,
  report: Report,
): Promise<Connection> {
  return withLock(`${dir}.lock`, report, async () => {
    const before = await claimFolder(dir);
    if (before?.names.includes('s3') && s3Server && s3Server !== before.s3Server) {
      throw new ServiceError(
        `The set in ${dir} has ${before.s3Server} as its S3 server.`,
        'run `npm run services -- down` first, or give the second set another folder by --dir',
      );
    }
    const set: SetFile = {
      names: [...new Set([...(before?.names ?? []), ...names])],
      s3Server: s3Server ?? before?.s3Server ?? 's3proxy',
    };
    await writeSet(dir, set);
    const { connection } = await openServices(dir, set.names, { s3Server: set.s3Server, report });
    await writeSet(dir, { ...set, connection });
    return connection;
  });
}

/** Undefined where there is no set. */
export async function status(dir: string): Promise<SetStatus | undefined> {
  const set = await readSet(dir);
  if (!set) return undefined;
  const servers = [];
  for (const folder of await serverFolders(dir)) {
    servers.push({ folder, pid: await runningPid(join(dir, folder)) });
  }
  return { dir, connection: set.connection, servers };
}

/** Kills the servers and removes what they stored. False where there is no set. */
export function down(dir: string, report: Report): Promise<boolean> {
  return withLock(`${dir}.lock`, report, async () => {
    if (!(await readSet(dir))) return false;
    await removeServers(dir, report);
    await rm(setPath(dir));
    // Whatever else someone put there stays.
    await rmdir(dir).catch(() => {});
    return true;
  });
}

const setPath = (dir: string): string => join(dir, 'services.json');

/** The set of the folder, undefined for a new one; refuses a folder that is not ours to write and to remove. */
async function claimFolder(dir: string): Promise<SetFile | undefined> {
  await mkdir(dir, { recursive: true, mode: 0o700 });
  const { uid } = userInfo();
  const found = await lstat(dir);
  if (!found.isDirectory() || (uid >= 0 && found.uid !== uid)) {
    throw new ServiceError(`${dir} is not a folder of yours.`, 'give another one by --dir');
  }
  const set = await readSet(dir);
  if (!set && (await readdir(dir)).length > 0) {
    throw new ServiceError(
      `${dir} is not empty and holds no set of services.`,
      'give a new folder by --dir: `down` removes what is in it',
    );
  }
  return set;
}

async function readSet(dir: string): Promise<SetFile | undefined> {
  const text = await readFile(setPath(dir), 'utf8').catch((error: NodeJS.ErrnoException) => {
    if (error.code === 'ENOENT') return undefined;
    throw error;
  });
  return text === undefined ? undefined : (JSON.parse(text) as SetFile);
}

async function writeSet(dir: string, set: SetFile): Promise<void> {
  const path = setPath(dir);
  await writeFile(`${path}.new`, JSON.stringify(set, null, 2), { mode: 0o600 });
  await rename(`${path}.new`, path);
}

/** A server's folder is one with ports or a log in it. */
async function serverFolders(dir: string): Promise<string[]> {
  const entries = await readdir(dir, { withFileTypes: true });
  return entries
    .filter((entry) => entry.isDirectory())
    .map((entry) => entry.name)
    .sort();
}
