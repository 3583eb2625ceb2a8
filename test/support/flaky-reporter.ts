// What: tells at the end of a run which tests failed at first and passed when they were tried again, and how they failed.
// Why: a fault that comes seldom looks like a slow machine: one that doubled rows hid behind a second try.
// Invariant: a test that was tried again is named, also when all have passed.

import type { Reporter, TestCase } from 'vitest/node';

export class FlakyReporter implements Reporter {
  private readonly found: string[] = [];

  onTestCaseResult(test: TestCase): void {
    if (test.diagnostic()?.flaky !== true) return;
    const errors = (test.result().errors ?? []).map(({ message }) => `    ${message}`);
    this.found.push([`  ${test.module.relativeModuleId} > ${test.fullName}`, ...errors].join('\n'));
  }

  onTestRunEnd(): void {
    if (this.found.length > 0)
      process.stdout.write(`\npassed only when tried again:\n${this.found.join('\n')}\n`);
  }
}
