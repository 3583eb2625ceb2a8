// What: one server process: started in the background, waited for until it is ready, signalled and stopped by its id.
// Why: tests kill and restart servers at will, and must find the same one again on the same port and data.
// Invariant: only a process whose command line names our folder is ever signalled; the pid file of a process that
// was started here is removed when it ends, so a reused id is never taken for ours.

import { execFile, spawn } from 'node:child_process';
import { mkdir, open, readdir, readFile, rm, stat, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { setTimeout as sleep } from 'node:timers/promises';
import { promisify } from 'node:util';
import { type Report, ServiceError } from './errors.ts';
import { missingTool } from './install.ts';
import { isAlive } from './lock.ts';

export interface ServerSpec {
  /** As users know it: "Kafka". */
  readonly name: string;
  readonly command: string;
  /** Must name `dir` somewhere, by which the process is known again. */
  readonly args: readonly string[];
  readonly env?: Readonly<Record<string, string>>;
  /** Holds the files `pid` and `log`. */
  readonly dir: string;
  /** Whether it serves; `log` is what it printed since this start. */
  readonly ready: (log: string) => boolean | Promise<boolean>;
  readonly readyTimeoutMs: number;
  /** What the log of a failed start means, and what to do. */
  readonly hints?: readonly { readonly pattern: RegExp; readonly todo: string }[];
}

export interface Server {
  readonly name: string;
  readonly logFile: string;
  /** Undefined while it does not run. */
  readonly pid: number | undefined;
  /** Starts it and resolves when it is ready; at once if it runs. */
  start(): Promise<void>;
  /** Sends a signal; resolves when the process is gone, or at once for SIGSTOP and SIGCONT. */
  kill(signal?: NodeJS.Signals): Promise<void>;
  /** SIGTERM, and SIGKILL when it is still there after `graceMs` (10 s by default). */
  stop(graceMs?: number): Promise<void>;
}

export const portTaken = /Address already in use|BindException|already bound|Port \d+ seems to be used/i;

export async function openServer(spec: ServerSpec): Promise<Server> {
  const logFile = join(spec.dir, 'log');
  await mkdir(spec.dir, { recursive: true });
  let pid = await runningPid(spec.dir);
  /** The end of the one before, with its pid file: which must not take that of the next along. */
  let ended: Promise<void> = Promise.resolve();
  const current = (): number | undefined => {
    if (pid !== undefined && !isAlive(pid)) pid = undefined;
    return pid;
  };

  async function start(): Promise<void> {
    if (current() !== undefined) return;
    await ended;
    const logBytesBefore = await stat(logFile).then(
      (s) => s.size,
      () => 0,
    );
    const started = await spawnServer(spec, logFile);
    pid = started.pid;
    ended = started.ended;
    await waitUntilReady(spec, started.pid, logFile, logBytesBefore);
  }

  async function kill(signal: NodeJS.Signals = 'SIGKILL'): Promise<void> {
    const target = current();
    if (target === undefined) return;
    signalIfAlive(target, signal);
    if (signal !== 'SIGSTOP' && signal !== 'SIGCONT') await untilGone(target, Number.POSITIVE_INFINITY);
  }

  async function stop(graceMs = 10_000): Promise<void> {
    const target = current();
    if (target === undefined) return;
    signalIfAlive(target, 'SIGTERM');
    if (!(await untilGone(target, graceMs))) await kill('SIGKILL');
  }

  return {
    name: spec.name,
    logFile,
    get pid() {
      return current();
    },
    start,
    kill,
    stop,
  };
}

/** Kills the servers whose folders lie in `dir`, and removes these folders. */
export async function removeServers(dir: string, report: Report): Promise<void> {
  const entries = await readdir(dir, { withFileTypes: true });
  for (const { name } of entries.filter((entry) => entry.isDirectory())) {
    const folder = join(dir, name);
    const pid = await runningPid(folder);
    if (pid !== undefined) {
      // Its data goes too, so it need not put it in order first.
      signalIfAlive(pid, 'SIGKILL');
      await untilGone(pid, 10_000);
    }
    await rm(folder, { recursive: true, force: true, maxRetries: 5 });
    report(pid === undefined ? `${name} did not run; data removed` : `${name} (${pid}) ended; data removed`);
  }
}

/** The id in the folder's pid file, if that process lives and is ours. */
export async function runningPid(dir: string): Promise<number | undefined> {
  const pid = await readFile(join(dir, 'pid'), 'utf8').then(Number, () => Number.NaN);
  if (!(pid > 0) || !isAlive(pid)) return undefined;
  const commandLine = await commandLineOf(pid);
  return commandLine.includes(dir) ? pid : undefined;
}

async function commandLineOf(pid: number): Promise<string> {
  try {
    // Linux, where a small image may have no `ps`.
    return await readFile(`/proc/${pid}/cmdline`, 'utf8');
  } catch {
    return promisify(execFile)('ps', ['-ww', '-o', 'args=', '-p', String(pid)]).then(
      ({ stdout }) => stdout,
      () => '',
    );
  }
}

/** Starts it in a session of its own, so that Ctrl-C in the terminal reaches our caller first, not the server. */
async function spawnServer(
  spec: ServerSpec,
  logFile: string,
): Promise<{ readonly pid: number; readonly ended: Promise<void> }> {
  const log = await open(logFile, 'a');
  try {
    const child = spawn(spec.command, spec.args, {
      detached: true,
      cwd: spec.dir,
      stdio: ['ignore', log.fd, log.fd],
      env: { ...process.env, ...spec.env },
    });
    const exited = new Promise<void>((resolve) => child.once('exit', () => resolve()));
    await new Promise<void>((resolve, reject) => {
      child.once('spawn', resolve);
      child.once('error', (error: NodeJS.ErrnoException) =>
        reject(error.code === 'ENOENT' ? missingTool(spec.command, error) : error),
      );
    });
    child.unref();
    const pid = child.pid!;
    const pidFile = join(spec.dir, 'pid');
    await writeFile(pidFile, String(pid));
    const ended = (async () => {
      await exited;
      const written = await readFile(pidFile, 'utf8').catch(() => '');
      if (written === String(pid)) await rm(pidFile, { force: true });
    })();
    return { pid, ended };
  } finally {
    await log.close();
  }
}

async function waitUntilReady(
  spec: ServerSpec,
  pid: number,
  logFile: string,
  logBytesBefore: number,
): Promise<void> {
  const deadlineMs = Date.now() + spec.readyTimeoutMs;
  for (;;) {
    const log = (await readFile(logFile)).subarray(logBytesBefore).toString();
    if (!isAlive(pid)) throw startFailure(spec, `${spec.name} ended while it was starting.`, log);
    if (await spec.ready(log)) return;
    if (Date.now() > deadlineMs) {
      signalIfAlive(pid, 'SIGKILL');
      const seconds = spec.readyTimeoutMs / 1000;
      throw startFailure(spec, `${spec.name} was not ready within ${seconds} s.`, log);
    }
    await sleep(50);
  }
}

function startFailure(spec: ServerSpec, problem: string, log: string): ServiceError {
  const hint = spec.hints?.find(({ pattern }) => pattern.test(log));
  const tail = log.trim().split('\n').slice(-20).join('\n');
  return new ServiceError(problem, hint?.todo ?? 'find the cause in the end of its log, above', {
    detail: tail || '(it printed nothing)',
  });
}

function signalIfAlive(pid: number, signal: NodeJS.Signals): void {
  try {
    process.kill(pid, signal);
  } catch (error) {
    if ((error as NodeJS.ErrnoException).code !== 'ESRCH') throw error;
  }
}

async function untilGone(pid: number, timeoutMs: number): Promise<boolean> {
  const deadlineMs = Date.now() + timeoutMs;
  while (isAlive(pid)) {
    if (Date.now() > deadlineMs) return false;
    await sleep(10);
  }
  return true;
}
