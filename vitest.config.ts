// Two projects: `offline` needs no service; `services` starts real ones through services/.
import { defineConfig } from 'vitest/config';
import { FlakyReporter } from './test/support/flaky-reporter.ts';

export default defineConfig({
  test: {
    reporters: ['default', new FlakyReporter()],
    projects: [
      {
        test: {
          name: 'offline',
          include: ['test/{unit,property,simulation}/**/*.test.ts', 'test/*.test.ts'],
          testTimeout: 60_000,
          // Before those that need services, as many at a time as there are processors; Vitest's own choice leaves one idle.
          maxWorkers: '100%',
          sequence: { groupOrder: 0 },
        },
      },
      {
        test: {
          name: 'services',
          include: ['test/{integration,interop}/**/*.test.ts'],
          globalSetup: ['test/support/services.ts'],
          testTimeout: 300_000,
          hookTimeout: 300_000,
          fileParallelism: false,
          sequence: { groupOrder: 1 },
          // Of tests that say that they may run beside others: most of their time they wait.
          maxConcurrency: 2,
          // Real brokers and stores under load miss a moment now and then; what fails twice fails.
          retry: 1,
        },
      },
    ],
  },
});
