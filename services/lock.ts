// What: a lock between processes: a file that names the process holding it.
// Why: two test runs that start at once must not fill one Maven repository or one data folder together.
// Invariant: the lock of a process that died is taken over. Two that take over in the same instant may both hold it,
// so what it guards must also be safe without it, as an installation is by its rename.

import { link, readFile, rm, writeFile } from 'node:fs/promises';
import { setTimeout as sleep } from 'node:timers/promises';
import type { Report } from './errors.ts';

let locksTaken = 0;

/** Runs `body` while this process holds `path`; waits as long as another live process does. */
export async function withLock<T>(path: string, report: Report, body: () => Promise<T>): Promise<T> {
  const own = `${path}.${process.pid}-${locksTaken++}`;
  await writeFile(own, String(process.pid));
  try {
    let waitingFor: number | undefined;
    // link() fails when the name exists, and gives the file its name and its content in one step.
    while (!(await tryLink(own, path))) {
      const holder = await holderOf(path);
      if (holder !== undefined && !isAlive(holder)) {
        await rm(path, { force: true });
        continue;
      }
      if (holder !== undefined && holder !== process.pid && holder !== waitingFor) {
        waitingFor = holder;
        report(`waiting for process ${holder}, which holds ${path}`);
      }
      await sleep(100);
    }
    try {
      return await body();
    } finally {
      await rm(path, { force: true });
    }
  } finally {
    await rm(own, { force: true });
  }
}

export function isAlive(pid: number): boolean {
  try {
    process.kill(pid, 0);
    return true;
  } catch (error) {
    // EPERM: it lives, and belongs to someone else.
    return (error as NodeJS.ErrnoException).code === 'EPERM';
  }
}

async function tryLink(from: string, to: string): Promise<boolean> {
  try {
    await link(from, to);
    return true;
  } catch (error) {
    if ((error as NodeJS.ErrnoException).code === 'EEXIST') return false;
    throw error;
  }
}

async function holderOf(path: string): Promise<number | undefined> {
  try {
    const pid = Number(await readFile(path, 'utf8'));
    return Number.isInteger(pid) && pid > 0 ? pid : undefined;
  } catch {
    return undefined; // released between the two calls
  }
}
