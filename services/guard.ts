// What: a shell that waits for this process to end, kills the servers of a folder and removes the folder.
// Why: exit handlers do not run after SIGKILL or a crash, and a forgotten broker holds half a gigabyte.
// Invariant: it acts on the end of its standard input, which the kernel closes whatever way this process ends.

import { spawn } from 'node:child_process';
import type { Socket } from 'node:net';

export interface Guard {
  /** Lets the guard go once the folder has been cleared away. */
  release(): void;
}

// Servers may still write for a moment after the signal, so the folder is removed a second time.
const SCRIPT = `cat >/dev/null
for f in "$1"/*/pid; do [ -f "$f" ] && kill -9 "$(cat "$f")" 2>/dev/null; done
[ -d "$1" ] && { rm -rf "$1" 2>/dev/null; sleep 1; rm -rf "$1"; }
exit 0`;

/** `dir` must be ours alone: all of it goes. */
export function guardFolder(dir: string): Guard {
  const guard = spawn('sh', ['-c', SCRIPT, 'zeptodb-services-guard', dir], {
    detached: true,
    stdio: ['pipe', 'ignore', 'ignore'],
  });
  // Neither the guard nor its pipe keeps our event loop alive.
  guard.unref();
  (guard.stdin as Socket).unref();
  guard.stdin.on('error', () => {});
  return { release: () => guard.stdin.end() };
}
