// What: a file system of a few megabytes that a test can fill, seen by every process of the same user.
// Why: a full disk must be real: who fakes ENOSPC learns nothing of half-written files and of renames without room.
// Invariant: it lives in a mount namespace of its own and is gone with the process that holds it.

import { type ChildProcess, spawn } from 'node:child_process';
import { once } from 'node:events';
import { mkdir, rm, writeFile } from 'node:fs/promises';
import { join } from 'node:path';

export interface SmallDisk {
  /** Its root, through /proc: the mount itself is invisible outside. */
  readonly path: string;
  /** Takes all the space that is left. */
  fill(): Promise<void>;
  /** Gives that space back. */
  free(): Promise<void>;
  close(): Promise<void>;
}

/** @throws Error with what to do when this machine lets nobody mount. */
export async function openSmallDisk(
  mountPoint: string,
  mebibytes: number,
  lifeSeconds = 600,
): Promise<SmallDisk> {
  await mkdir(mountPoint, { recursive: true });
  const script = 'mount -t tmpfs -o size="$1"m tmpfs "$0" && echo mounted && exec sleep "$2"';
  const holding = (namespaces: string): Promise<ChildProcess | string> =>
    hold(['unshare', namespaces, 'sh', '-c', script, mountPoint, String(mebibytes), String(lifeSeconds)]);
  // As root without user namespaces, as anybody else with one.
  let holder = await holding('-m');
  if (typeof holder === 'string') holder = await holding('-rm');
  if (typeof holder === 'string')
    throw new Error(
      `a small file system cannot be mounted here (${holder.trim()}): run the tests as root, or allow user namespaces (sysctl kernel.unprivileged_userns_clone=1, kernel.apparmor_restrict_unprivileged_userns=0)`,
    );
  const { pid } = holder;
  const path = `/proc/${pid}/root${mountPoint}`;
  const filler = join(path, 'filler');
  return {
    path,
    fill: () =>
      writeFile(filler, Buffer.alloc(mebibytes * 1024 * 1024)).catch((error: NodeJS.ErrnoException) => {
        if (error.code !== 'ENOSPC') throw error;
      }),
    free: () => rm(filler, { force: true }),
    close: async () => {
      const gone = once(holder, 'exit');
      holder.kill('SIGKILL');
      await gone;
    },
  };
}

/** The process once it has mounted, or what it complained about. */
async function hold([command, ...args]: readonly string[]): Promise<ChildProcess | string> {
  const child = spawn(command!, args, { stdio: ['ignore', 'pipe', 'pipe'] });
  let complaint = '';
  child.stderr.setEncoding('utf8').on('data', (text: string) => {
    complaint += text;
  });
  return new Promise((resolve) => {
    child.once('error', (error) => resolve(error.message));
    child.once('close', () => resolve(complaint));
    child.stdout.once('data', () => resolve(child));
  });
}
