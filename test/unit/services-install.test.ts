// What: the installation cache and the lock that it works under.
// Why: a broken download that counts as installed fails in a place where nobody looks for it.
// Invariant: each test has a cache of its own, and no network.

import { spawnSync } from 'node:child_process';
import {
  existsSync,
  mkdirSync,
  mkdtempSync,
  readdirSync,
  readFileSync,
  rmSync,
  writeFileSync,
} from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { setTimeout as sleep } from 'node:timers/promises';
import { afterEach, beforeEach, describe, expect, test, vi } from 'vitest';
import { cacheRoot, installOnce, tool } from '../../services/install.ts';
import { withLock } from '../../services/lock.ts';
import { portsOf } from '../../services/ports.ts';

let home: string;
const quiet = (): void => {};
const fill = async (dir: string): Promise<void> => writeFileSync(join(dir, 'content'), 'whole');
/** The id of a process that has ended. */
const deadPid = (): number => spawnSync(process.execPath, ['--version']).pid;

beforeEach(() => {
  home = mkdtempSync(join(tmpdir(), 'install-test-'));
  vi.stubEnv('XDG_CACHE_HOME', home);
});

afterEach(() => {
  vi.unstubAllEnvs();
  rmSync(home, { recursive: true });
});

describe('an installation', () => {
  test('is made once and found again', async () => {
    const build = vi.fn(fill);
    const first = await installOnce('server-1', 'lock', quiet, build);
    expect(readFileSync(join(first, 'content'), 'utf8')).toBe('whole');
    expect(await installOnce('server-1', 'lock', quiet, build)).toBe(first);
    expect(build).toHaveBeenCalledTimes(1);
    expect(readdirSync(cacheRoot())).toEqual(['server-1']);
  });

  test('that fails half-way counts for nothing, leaves nothing, and can be made again', async () => {
    const failing = async (dir: string): Promise<void> => {
      writeFileSync(join(dir, 'content'), 'hal');
      throw new Error('connection lost');
    };
    await expect(installOnce('server-1', 'lock', quiet, failing)).rejects.toThrow('connection lost');
    expect(readdirSync(cacheRoot())).toEqual([]);
    const dir = await installOnce('server-1', 'lock', quiet, fill);
    expect(readFileSync(join(dir, 'content'), 'utf8')).toBe('whole');
  });

  test('asked for twice at the same time is made once', async () => {
    const build = vi.fn(async (dir: string) => {
      await sleep(50);
      await fill(dir);
    });
    const install = (): Promise<string> => installOnce('server-1', 'lock', quiet, build);
    const [first, second] = await Promise.all([install(), install()]);
    expect(first).toBe(second);
    expect(build).toHaveBeenCalledTimes(1);
  });

  test('that another process finished meanwhile is taken as it is', async () => {
    const dir = await installOnce('server-1', 'lock', quiet, async (partial) => {
      await fill(partial);
      mkdirSync(join(cacheRoot(), 'server-1'));
      writeFileSync(join(cacheRoot(), 'server-1', 'content'), 'theirs');
    });
    expect(readFileSync(join(dir, 'content'), 'utf8')).toBe('theirs');
    expect(readdirSync(cacheRoot())).toEqual(['server-1']);
  });

  test('clears away what a killed installer left, and not what a live one works on', async () => {
    const left = join(cacheRoot(), `server-1.partial-${deadPid()}-abc`);
    const live = join(cacheRoot(), `server-1.partial-${process.ppid}-abc`);
    mkdirSync(left, { recursive: true });
    mkdirSync(live);
    await installOnce('server-1', 'lock', quiet, fill);
    expect([existsSync(left), existsSync(live)]).toEqual([false, true]);
  });
});

describe('the lock', () => {
  test('lets one in at a time', async () => {
    let inside = 0;
    let most = 0;
    const body = async (): Promise<void> => {
      most = Math.max(most, ++inside);
      await sleep(20);
      inside--;
    };
    await Promise.all([1, 2, 3].map(() => withLock(join(home, 'lock'), quiet, body)));
    expect(most).toBe(1);
  });

  test('of a process that died is taken over', async () => {
    writeFileSync(join(home, 'lock'), String(deadPid()));
    expect(await withLock(join(home, 'lock'), quiet, async () => 'in')).toBe('in');
    expect(readdirSync(home)).toEqual([]);
  });

  test('of a live process is waited for, and says so', async () => {
    writeFileSync(join(home, 'lock'), String(process.ppid));
    const report = vi.fn();
    let entered = false;
    const waiting = withLock(join(home, 'lock'), report, async () => {
      entered = true;
    });
    await sleep(250);
    expect(entered).toBe(false);
    expect(report).toHaveBeenCalledExactlyOnceWith(expect.stringContaining(`process ${process.ppid}`));
    rmSync(join(home, 'lock'));
    await waiting;
    expect(entered).toBe(true);
  });
});

describe('the ports of a folder', () => {
  test('stay the same, are distinct, and lie below the range of ports that clients get', async () => {
    const dir = join(home, 'server');
    const ports = await portsOf(dir, ['a', 'b']);
    expect(await portsOf(dir, ['b', 'a', 'c'])).toMatchObject(ports);
    const all = Object.values(await portsOf(dir, ['a', 'b', 'c']));
    expect(new Set(all).size).toBe(3);
    for (const port of all) {
      expect(port).toBeGreaterThan(1024);
      expect(port).toBeLessThan(32_768);
    }
  });
});

describe('a program that is run', () => {
  test('and is not there is named, with what to install', async () => {
    vi.stubEnv('PATH', home);
    await expect(tool('mvn', ['-v'], 'download')).rejects.toThrow(
      /'mvn' is needed.*\nTo do: install Apache Maven/,
    );
  });

  test('and fails is told with what it printed', async () => {
    const failing = ['-e', 'console.error("no route to host"); process.exit(3)'];
    await expect(tool(process.execPath, failing, 'reach it')).rejects.toThrow(
      /Could not reach it\.[\s\S]*no route to host\nTo do: /,
    );
  });
});
