// What: a member that is started again whenever it ends, as an orchestrator would do.
// Why: what kills a process must not end the run, and a process that ends by itself must be seen.
// Invariant: after `retire` it is not started again; each end that nobody asked for is kept with its last words.

import { writeFile } from 'node:fs/promises';
import { setTimeout as sleep } from 'node:timers/promises';
import { type MemberOptions, MemberProcess } from '../support/member.ts';

const RESTART_MS = 1_000;

export interface OwnEnd {
  readonly name: string;
  readonly atMs: number;
  readonly lastWords: string;
}

export class SupervisedMember {
  readonly name: string;
  /** Offset of the member's wall clock, read by libfaketime once a second. */
  private readonly clockFile: string;
  private readonly options: MemberOptions;
  private process: MemberProcess;
  private isRetired = false;
  private isExpected = false;
  private supervising: Promise<void>;
  readonly ownEnds: OwnEnd[] = [];
  starts = 0;

  constructor(name: string, options: MemberOptions, clockFile: string) {
    this.name = name;
    this.options = options;
    this.clockFile = clockFile;
    this.process = this.start();
    this.supervising = this.supervise();
  }

  get current(): MemberProcess {
    return this.process;
  }

  signal(name: 'SIGKILL' | 'SIGSTOP' | 'SIGCONT' | 'SIGTERM'): void {
    if (name === 'SIGKILL' || name === 'SIGTERM') this.isExpected = true;
    this.process.signal(name);
  }

  /** Moves its wall clock; 0 puts it right. */
  async jump(seconds: number): Promise<void> {
    await writeFile(this.clockFile, `${seconds >= 0 ? '+' : ''}${seconds}s`);
  }

  /** SIGTERM, or SIGKILL when it takes too long. */
  async retire(): Promise<void> {
    this.isRetired = true;
    this.process.signal('SIGCONT');
    this.process.signal('SIGTERM');
    const late = sleep(60_000, 'late' as const, { ref: false });
    if ((await Promise.race([this.process.exited(), late])) === 'late') this.process.signal('SIGKILL');
    await this.supervising;
  }

  private start(): MemberProcess {
    this.starts++;
    return MemberProcess.start(this.options);
  }

  private async supervise(): Promise<void> {
    for (;;) {
      await this.process.exited();
      if (this.isRetired) return;
      if (!this.isExpected)
        this.ownEnds.push({
          name: this.name,
          atMs: Date.now(),
          lastWords: this.process.log.slice(-3).join('\n'),
        });
      this.isExpected = false;
      await sleep(RESTART_MS);
      if (this.isRetired) return;
      this.process = this.start();
    }
  }
}
