// What: a query thread that ends by itself.
// Why: with each one that is gone in silence the others have more to do, and after the last no statement is answered any more.
// Invariant: whoever started the pool is told, with the reason; what the thread was asked is answered with an error.

import { MessageChannel } from 'node:worker_threads';
import { expect, it } from 'vitest';
import { systemClock } from '../../src/kernel/clock.ts';
import { ZeptoError } from '../../src/kernel/errors.ts';
import { type GivenData, QueryPool } from '../../src/threads/query-pool.ts';
import { recordingLogger } from '../support/kafka-cluster.ts';

it('is told of, and its statements fail', async () => {
  const { port1, port2 } = new MessageChannel();
  // Without a configuration it crashes as it begins.
  const data = { index: 3, shards: [], main: port2 } as unknown as GivenData;
  let statement: Promise<unknown> | null = null;
  const error = await new Promise<ZeptoError>((resolve) => {
    const pool = new QueryPool(
      [data],
      { logger: recordingLogger(), metrics: () => {} },
      systemClock,
      resolve,
    );
    statement = pool.run({ id: 'a' } as never, new AbortController().signal);
    statement.catch(() => {});
  });
  expect(error).toBeInstanceOf(ZeptoError);
  expect(error.message).toMatch(/^query thread 3 crashed: /);
  await expect(statement).rejects.toThrow('query thread 3 crashed');
  port1.close();
});
