// What: a `zepto serve` process of a benchmark: started, watched over HTTP, its CPU and memory read from outside.
// Why: what is measured is the program that users run, threads, HTTP server and all.
// Invariant: the process is gone after `stop`, and when the benchmark ends in any way.

import { type ChildProcess, spawn } from 'node:child_process';
import { readFileSync } from 'node:fs';
import { systemClock } from '../../src/kernel/clock.ts';
import { inRepository } from '../in-repository.ts';

const LOG_LINES = 40;
const LOOK_MS = 10;
const CPU_TICKS_PER_SECOND = 100;

export interface MemberState {
  readonly partitions: number;
  readonly rowsHot: number;
  /** Sums over the partitions. */
  readonly position: number;
  readonly committed: number;
  readonly isPaused: boolean;
}

interface StatsBody {
  readonly shards: readonly {
    readonly paused: boolean;
    readonly partitions: readonly {
      readonly position: number;
      readonly committed_offset: number;
      readonly rows_hot: number;
    }[];
  }[];
}

const members = new Set<Member>();
process.once('exit', () => {
  for (const member of members) member.signal('SIGKILL');
});

export class Member {
  private readonly child: ChildProcess;
  private readonly gone: Promise<void>;
  private readonly log: string[] = [];
  private url: string | null = null;

  constructor(flags: readonly string[], env: Readonly<Record<string, string>>, nodeFlags: readonly string[]) {
    const program = inRepository('dist/zepto.js');
    const args = [...process.execArgv, ...nodeFlags, program, 'serve', '--port', '0', '--no-auth', ...flags];
    this.child = spawn(process.execPath, args, {
      env: { ...process.env, ...env },
      stdio: ['ignore', 'pipe', 'pipe'],
    });
    members.add(this);
    for (const stream of [this.child.stdout!, this.child.stderr!])
      stream.setEncoding('utf8').on('data', (text: string) => this.heard(text));
    this.gone = new Promise((resolve) => {
      this.child.once('exit', () => {
        members.delete(this);
        resolve();
      });
    });
  }

  /** Where it answers. */
  get address(): string {
    if (this.url === null) throw new Error('it does not listen yet');
    return this.url;
  }

  /** CPU seconds of all its threads so far; null where there is no /proc. */
  cpuSeconds(): number | null {
    try {
      const stat = readFileSync(`/proc/${this.child.pid}/stat`, 'utf8');
      // The fields after the name, which may hold spaces: utime and stime are the 14th and 15th of all.
      const fields = stat.slice(stat.lastIndexOf(')') + 2).split(' ');
      return (Number(fields[11]) + Number(fields[12])) / CPU_TICKS_PER_SECOND;
    } catch {
      return null;
    }
  }

  /** `VmRSS`: of now, `VmHWM`: the most so far; MiB, null where there is no /proc. */
  memoryMib(field: 'VmRSS' | 'VmHWM'): number | null {
    try {
      const status = readFileSync(`/proc/${this.child.pid}/status`, 'utf8');
      const kib = new RegExp(`^${field}:\\s+(\\d+) kB`, 'm').exec(status)?.[1];
      return kib === undefined ? null : Math.round(Number(kib) / 1024);
    } catch {
      return null;
    }
  }

  async state(): Promise<MemberState> {
    const stats = (await this.get('/stats')) as StatsBody;
    const partitions = stats.shards.flatMap((shard) => shard.partitions);
    const sum = (field: 'position' | 'committed_offset' | 'rows_hot'): number =>
      partitions.reduce((total, one) => total + one[field], 0);
    return {
      partitions: partitions.length,
      rowsHot: sum('rows_hot'),
      position: sum('position'),
      committed: sum('committed_offset'),
      isPaused: stats.shards.some((shard) => shard.paused),
    };
  }

  /** Resolves when the plans it cut are done. */
  async flush(): Promise<void> {
    const response = await fetch(`${this.url}/admin/flush`, { method: 'POST' });
    if (!response.ok) throw new Error(`flush answered ${response.status}: ${await response.text()}`);
  }

  /** Looks until `isReached`; the state that was. @throws when it ends or takes too long. */
  async until(
    isReached: (state: MemberState) => boolean,
    what: string,
    timeoutMs: number,
    /** Until the next look. */
    everyMs: (state: MemberState) => number = () => LOOK_MS,
  ): Promise<MemberState> {
    const giveUpMs = systemClock.monotonicMs() + timeoutMs;
    for (;;) {
      if (this.child.exitCode !== null) throw new Error(`zepto ended before ${what}:\n${this.tail()}`);
      if (systemClock.monotonicMs() > giveUpMs)
        throw new Error(`no ${what} in ${timeoutMs} ms:\n${this.tail()}`);
      let waitMs = LOOK_MS;
      if (this.url !== null) {
        const state = await this.state();
        if (isReached(state)) return state;
        waitMs = everyMs(state);
      }
      await systemClock.sleep(waitMs);
    }
  }

  signal(name: 'SIGKILL' | 'SIGTERM'): void {
    this.child.kill(name);
  }

  /** SIGTERM seals what is left; SIGKILL does not. */
  async stop(name: 'SIGKILL' | 'SIGTERM'): Promise<void> {
    this.signal(name);
    await this.gone;
  }

  tail(): string {
    return this.log.join('\n');
  }

  private async get(path: string): Promise<unknown> {
    const response = await fetch(`${this.url}${path}`);
    if (!response.ok) throw new Error(`${path} answered ${response.status}: ${await response.text()}`);
    return response.json();
  }

  private heard(text: string): void {
    for (const line of text.split('\n')) {
      if (line.includes('"message":"request"') || line === '') continue;
      this.log.push(line);
      if (this.log.length > LOG_LINES) this.log.shift();
      this.url ??= /"address":"(http[^"]+)"/.exec(line)?.[1] ?? null;
    }
  }
}
