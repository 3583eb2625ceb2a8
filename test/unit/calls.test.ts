// What: calls between threads when a message does not get through.
// Why: whoever waits for an answer to it would wait for ever, and nobody would know.
// Invariant: a message that cannot be read ends the thread that it was for.

import { EventEmitter } from 'node:events';
import { MessageChannel } from 'node:worker_threads';
import { expect, test } from 'vitest';
import { Caller, offer } from '../../src/threads/calls.ts';

test('an answer, and an error with its code, come back', async () => {
  const { port1, port2 } = new MessageChannel();
  offer(port2, {
    double: (value: number) => 2 * value,
    fail: () => Promise.reject(new Error('no such thing')),
  });
  const caller = new Caller<{ double: (value: number) => number; fail: (none: null) => never }>(port1);
  await expect(caller.call('double', 21)).resolves.toBe(42);
  await expect(caller.call('fail', null)).rejects.toMatchObject({
    code: 'INTERNAL',
    message: 'no such thing',
  });
  port1.close();
});

test('a message that cannot be read is thrown on either side', () => {
  const sides = [new EventEmitter(), new EventEmitter()] as const;
  const port = (side: EventEmitter) => Object.assign(side, { postMessage: () => {} }) as never;
  offer(port(sides[0]), {});
  new Caller(port(sides[1]));
  for (const side of sides)
    expect(() => side.emit('messageerror', new Error('Unable to deserialize cloned data.'))).toThrow(
      'a message between threads cannot be read: Unable to deserialize',
    );
});
