// What: pieces of answers gathered, with errors and slow ones among them.
// Why: bytes lost or an error that comes too early would make an answer look whole, or cut off what was right.
// Invariant: time stands still unless a test moves it.

import { expect, it } from 'vitest';
import type { Clock } from '../../src/kernel/clock.ts';
import { Gathered } from '../../src/threads/gather.ts';

let nowMs = 0;
const clock = { monotonicMs: () => nowMs } as Clock;
const bytes = (length: number, fill = 7): Uint8Array => new Uint8Array(length).fill(fill);

it('gives a small answer in one piece, and says that nothing follows', async () => {
  const gathered = new Gathered(
    (async function* () {
      yield Buffer.from('a');
      yield Buffer.from('bc');
    })(),
    clock,
  );
  const { piece, isDone } = await gathered.pull();
  expect(Buffer.from(piece!).toString()).toBe('abc');
  expect(isDone).toBe(true);
});

it('gives an answer without bytes', async () => {
  const gathered = new Gathered((async function* (): AsyncGenerator<Uint8Array> {})(), clock);
  expect(await gathered.pull()).toEqual({ piece: null, isDone: true });
});

it('takes no more of a large answer than asked for', async () => {
  let made = 0;
  const gathered = new Gathered(
    (async function* () {
      for (; made < 100; ) {
        made++;
        yield bytes(30_000);
      }
    })(),
    clock,
  );
  expect((await gathered.pull()).piece!.length).toBe(90_000);
  expect(made).toBe(3);
  let rest = 0;
  for (let isDone = false; !isDone; ) {
    const pulled = await gathered.pull();
    rest += pulled.piece?.length ?? 0;
    isDone = pulled.isDone;
  }
  expect(rest).toBe(97 * 30_000);
});

it('does not hold back rows that come slowly', async () => {
  const gathered = new Gathered(
    (async function* () {
      nowMs += 11;
      yield bytes(1);
      yield bytes(2);
    })(),
    clock,
  );
  expect((await gathered.pull()).piece!.length).toBe(1);
  expect(await gathered.pull()).toEqual({ piece: bytes(2), isDone: true });
});

it('throws at once while nothing was given, later only after what came before', async () => {
  const failing = async function* (sizes: readonly number[]): AsyncGenerator<Uint8Array> {
    for (const size of sizes) yield bytes(size);
    throw new Error('broke off');
  };
  await expect(new Gathered(failing([5, 5]), clock).pull()).rejects.toThrow('broke off');
  const begun = new Gathered(failing([70_000, 5]), clock);
  expect((await begun.pull()).piece!.length).toBe(70_000);
  expect(await begun.pull()).toEqual({ piece: bytes(5), isDone: false });
  await expect(begun.pull()).rejects.toThrow('broke off');
});

it('closes the pieces', async () => {
  let isClosed = false;
  const gathered = new Gathered(
    (async function* () {
      try {
        yield bytes(70_000);
        yield bytes(1);
      } finally {
        isClosed = true;
      }
    })(),
    clock,
  );
  await gathered.pull();
  await gathered.close();
  expect(isClosed).toBe(true);
});

it('finds out what tells of a time that is over before it is asked, and lets go of what it reads', async () => {
  let isOver = false;
  let isLetGo = false;
  const gathered = new Gathered(
    (async function* () {
      try {
        for (;;) {
          if (isOver) throw new Error('too long');
          yield bytes(70_000);
        }
      } catch (error) {
        yield Buffer.from(String(error));
      } finally {
        isLetGo = true;
      }
    })(),
    clock,
  );
  const first = gathered.pull();
  isOver = true;
  await gathered.finish(new Error('over'));
  expect(isLetGo).toBe(true);
  expect((await first).piece!.length).toBe(70_000);
  const { piece, isDone } = await gathered.pull();
  expect([Buffer.from(piece!).toString(), isDone]).toEqual(['Error: too long', true]);
});

it('ends an answer that does not end by itself when its time is over', async () => {
  let isLetGo = false;
  const gathered = new Gathered(
    (async function* () {
      try {
        for (;;) yield bytes(70_000);
      } finally {
        isLetGo = true;
      }
    })(),
    clock,
  );
  await gathered.pull();
  await gathered.finish(new Error('over'));
  expect(isLetGo).toBe(true);
  let pieces = 0;
  const rest = async (): Promise<void> => {
    for (; ; pieces++) await gathered.pull();
  };
  await expect(rest()).rejects.toThrow('over');
  expect(pieces).toBe(16);
  await expect(gathered.pull()).rejects.toThrow('over');
});

it('an answer that fails when its time is over fails for who asks next', async () => {
  let isOver = false;
  const gathered = new Gathered(
    (async function* () {
      yield bytes(70_000);
      if (isOver) throw new Error('too long');
      yield bytes(1);
    })(),
    clock,
  );
  await gathered.pull();
  isOver = true;
  await gathered.finish(new Error('over'));
  await expect(gathered.pull()).rejects.toThrow('too long');
});
