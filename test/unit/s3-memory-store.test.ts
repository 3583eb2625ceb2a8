// What: the in-memory store keeps the contract, and its faults do what they say.
// Why: what is proved over it is worth no more than its likeness to the real ones.
// Invariant: time is the test's own.

import { describe, expect, test } from 'vitest';
import { systemClock } from '../../src/kernel/clock.ts';
import { memoryBucket, memoryStore, randomFaults } from '../support/memory-store.ts';
import { objectStoreContract } from '../support/object-store-contract.ts';

const options = { contentType: 'text/plain' };
const bytes = (text: string): Uint8Array => new TextEncoder().encode(text);

for (const conditionalWrites of [true, false]) {
  describe(`memory store, conditional writes ${conditionalWrites}`, () => {
    objectStoreContract(async () => ({
      store: memoryStore(memoryBucket({ conditionalWrites }), { clock: systemClock }),
      prefix: 'hdb',
      conditionalWrites,
      largeBytes: 100_000,
      manyObjects: 1_200,
      close: async () => {},
    }));
  });
}

/** Sleeps return at once and move the time. */
function stepClock(): typeof systemClock {
  let nowMs = 0;
  return {
    ...systemClock,
    nowMs: () => nowMs,
    monotonicMs: () => nowMs,
    sleep: async (delayMs) => {
      nowMs += delayMs;
    },
    random: () => 0.5,
  };
}

test('an error before a call leaves nothing; an error after it leaves the object', async () => {
  const bucket = memoryBucket({ conditionalWrites: true });
  const store = memoryStore(bucket, {
    clock: stepClock(),
    hooks: {
      before: ({ key }) => {
        if (key === 'before') throw new Error('crash');
      },
      after: ({ key }) => {
        if (key === 'after') throw new Error('crash');
      },
    },
  });
  await expect(store.put('before', bytes('x'), options)).rejects.toThrow('crash');
  await expect(store.put('after', bytes('x'), options)).rejects.toThrow('crash');
  expect([...bucket.objects.keys()]).toEqual(['after']);
});

test('a lost acknowledgement ends as exists where conditional writes are known, else as created', async () => {
  for (const conditionalWrites of [true, false]) {
    const bucket = memoryBucket({ conditionalWrites });
    const store = memoryStore(bucket, {
      clock: stepClock(),
      hooks: { fault: (_, attempt) => (attempt === 0 ? 'lost-acknowledgement' : undefined) },
    });
    expect(await store.put('k', bytes('x'), options)).toBe(conditionalWrites ? 'exists' : 'created');
    expect(bucket.overwrites).toEqual([]);
  }
});

test('faults that outlast patience end as STORE_UNAVAILABLE, to be retried', async () => {
  const store = memoryStore(memoryBucket({ conditionalWrites: true }), {
    clock: stepClock(),
    hooks: { fault: () => 'unavailable' },
  });
  const call = store.put('k', bytes('x'), options);
  await expect(call).rejects.toMatchObject({ code: 'STORE_UNAVAILABLE', action: 'retry' });
});

test('an upload-only credential may put, probe and list, and may not get or delete', async () => {
  const bucket = memoryBucket({ conditionalWrites: true });
  const store = memoryStore(bucket, { clock: stepClock(), mayRead: false, mayDelete: false });
  await store.probe('hdb');
  await store.put('k', bytes('x'), options);
  await expect(store.get('k')).rejects.toMatchObject({ code: 'STORE_DENIED' });
  expect(await store.delete('k')).toBe(false);
  expect(bucket.objects.has('k')).toBe(true);
});

test('a write of other bytes over an object is recorded, a repetition is not', async () => {
  const bucket = memoryBucket({ conditionalWrites: false });
  const store = memoryStore(bucket, { clock: stepClock() });
  await store.put('k', bytes('x'), options);
  await store.put('k', bytes('x'), options);
  expect(bucket.overwrites).toHaveLength(0);
  await store.put('k', bytes('y'), options);
  expect(bucket.overwrites).toHaveLength(1);
});

test('random faults repeat with the seed', async () => {
  const run = async (): Promise<string[]> => {
    const log: string[] = [];
    let state = 7;
    const random = (): number => {
      state = (Math.imul(state, 1_103_515_245) + 12_345) & 0x7fffffff;
      return state / 0x80000000;
    };
    const fault = randomFaults(random, { unavailable: 0.3, lostAcknowledgement: 0.3 });
    const store = memoryStore(memoryBucket({ conditionalWrites: true }), {
      clock: stepClock(),
      hooks: {
        fault(call, attempt) {
          const drawn = fault(call, attempt);
          log.push(`${call.key} ${attempt} ${drawn}`);
          return drawn;
        },
      },
    });
    for (let index = 0; index < 50; index += 1) log.push(await store.put(`k${index}`, bytes('x'), options));
    return log;
  };
  const log = await run();
  expect(log).toEqual(await run());
  expect(new Set(log.filter((line) => !line.includes(' ')))).toEqual(new Set(['created', 'exists']));
});
