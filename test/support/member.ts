// What: one real `zepto serve` process of a test: started, asked over HTTP, stopped, killed, suspended.
// Why: exactly-once is a claim about processes that die, so the tests kill processes.
// Invariant: every process started here is gone when the test ends; its log is kept for the failure message.

import { type ChildProcess, spawn } from 'node:child_process';
import { existsSync } from 'node:fs';
import { join } from 'node:path';
import { setTimeout as sleep } from 'node:timers/promises';

const program = join(import.meta.dirname, '../../dist/zepto.js');
const LOG_LINES = 400;

export interface MemberPartition {
  readonly topic: string;
  readonly partition: number;
  readonly state: 'REPLAYING' | 'ACTIVE' | 'FLUSHING';
  readonly position: number;
  readonly committed_offset: number;
  readonly end_offset: number | null;
  readonly lag: number | null;
  readonly rows_hot: number;
}

export interface MemberOptions {
  /** Flags of `zepto serve` besides --port. */
  readonly flags: readonly string[];
  readonly env?: Readonly<Record<string, string>>;
}

export class MemberProcess {
  readonly log: string[] = [];
  private readonly child: ChildProcess;
  private readonly exit: Promise<number | null>;
  private address: string | null = null;

  private constructor({ flags, env = {} }: MemberOptions) {
    if (!existsSync(program)) throw new Error(`${program} is missing: run "npm run build" first`);
    this.child = spawn(process.execPath, [program, 'serve', '--port', '0', '--no-auth', ...flags], {
      env: { ...process.env, ...env },
      stdio: ['ignore', 'pipe', 'pipe'],
    });
    running.add(this);
    for (const stream of [this.child.stdout!, this.child.stderr!]) {
      let rest = '';
      stream.setEncoding('utf8').on('data', (text: string) => {
        const lines = (rest + text).split('\n');
        rest = lines.pop()!;
        for (const line of lines) this.heard(line);
      });
    }
    this.exit = new Promise((resolve) => {
      this.child.once('exit', (code) => {
        running.delete(this);
        resolve(code);
      });
    });
  }

  static start(options: MemberOptions): MemberProcess {
    return new MemberProcess(options);
  }

  get isRunning(): boolean {
    return this.child.exitCode === null && this.child.signalCode === null;
  }

  /** Resolves with the exit status; null after a kill. */
  exited(): Promise<number | null> {
    return this.exit;
  }

  signal(name: 'SIGKILL' | 'SIGSTOP' | 'SIGCONT' | 'SIGTERM'): void {
    this.child.kill(name);
  }

  async kill(): Promise<void> {
    this.child.kill('SIGKILL');
    await this.exit;
  }

  /** SIGTERM, then the exit status. */
  async drain(): Promise<number | null> {
    this.child.kill('SIGTERM');
    return this.exit;
  }

  async get(path: string): Promise<{ status: number; text: string }> {
    const response = await fetch(`${await this.url()}${path}`);
    return { status: response.status, text: await response.text() };
  }

  async post(path: string, body: string | Uint8Array): Promise<{ status: number; text: string }> {
    const response = await fetch(`${await this.url()}${path}`, { method: 'POST', body });
    return { status: response.status, text: await response.text() };
  }

  /** Rows of the answer. @throws with its text when the status is not 200. */
  async query(sql: string): Promise<unknown[][]> {
    const response = await fetch(`${await this.url()}/`, { method: 'POST', body: sql });
    const text = await response.text();
    if (response.status !== 200) throw new Error(`${sql}: ${response.status} ${text}\n${this.tail()}`);
    return (JSON.parse(text) as { data: unknown[][] }).data;
  }

  async flush(): Promise<void> {
    await fetch(`${await this.url()}/admin/flush`, { method: 'POST' });
  }

  /** The partitions that this member owns, as `/stats` shows them. */
  async partitions(): Promise<MemberPartition[]> {
    const stats = JSON.parse((await this.get('/stats')).text) as {
      shards: { partitions: MemberPartition[] }[];
    };
    return stats.shards.flatMap((shard) => shard.partitions);
  }

  /** Waits until a log line matches. @throws with the log's end when it does not in time, or the process ends first. */
  async logged(pattern: RegExp, timeoutMs = 60_000): Promise<string> {
    return this.until(
      () => this.log.find((line) => pattern.test(line)),
      `a log line like ${pattern}`,
      timeoutMs,
    );
  }

  async ready(timeoutMs = 60_000): Promise<void> {
    await this.until(
      async () => (this.address !== null && (await this.get('/ready')).status === 200 ? true : undefined),
      'readiness',
      timeoutMs,
    );
  }

  /** Polls until `look` gives something. */
  async until<T>(
    look: () => Promise<T | undefined> | T | undefined,
    what: string,
    timeoutMs: number,
  ): Promise<T> {
    const giveUpAt = Date.now() + timeoutMs;
    let failure = '';
    for (;;) {
      const found = await Promise.resolve(look()).catch((error: unknown) => {
        failure = `, last ${String(error)}`;
        return undefined;
      });
      if (found !== undefined) return found;
      if (!this.isRunning) throw new Error(`the member ended while waiting for ${what}:\n${this.tail()}`);
      if (Date.now() > giveUpAt)
        throw new Error(`no ${what} within ${timeoutMs} ms${failure}:\n${this.tail()}`);
      await sleep(50);
    }
  }

  tail(): string {
    return this.log.slice(-40).join('\n');
  }

  async url(): Promise<string> {
    return this.until(() => this.address ?? undefined, 'its HTTP address', 30_000);
  }

  private heard(line: string): void {
    // The test's own polling is no news.
    if (!line.includes('"message":"request"')) this.log.push(line);
    if (this.log.length > LOG_LINES) this.log.shift();
    const address = /"address":"(http[^"]+)"/.exec(line);
    if (address !== null) this.address = address[1]!;
  }
}

const running = new Set<MemberProcess>();

/** Kills whatever a failed test left. */
export async function killMembers(): Promise<void> {
  await Promise.all([...running].map((member) => member.kill()));
}
process.once('exit', () => {
  for (const member of running) member.signal('SIGKILL');
});
