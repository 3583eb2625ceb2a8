// What: what every ObjectStore promises, as tests.
// Why: the engine is proved over the in-memory store; that proof holds for the others as far as they pass the same tests.
// Invariant: only what the port says is tested here; each run works below a prefix of its own.

import { afterAll, beforeAll, expect, test } from 'vitest';
import { ZeptoError } from '../../src/kernel/errors.ts';
import type { ObjectInfo, ObjectStore, PutOptions } from '../../src/ports.ts';

export interface StoreUnderTest {
  readonly store: ObjectStore;
  /** Nothing lies below it yet. */
  readonly prefix: string;
  readonly conditionalWrites: boolean;
  /** More than the store writes in one piece. */
  readonly largeBytes: number;
  /** More than it lists in one answer. */
  readonly manyObjects: number;
  close(): Promise<void>;
}

const options: PutOptions = { contentType: 'application/vnd.apache.parquet' };

/** Call inside a `describe`. */
export function objectStoreContract(open: () => Promise<StoreUnderTest>): void {
  let under: StoreUnderTest;
  let store: ObjectStore;
  beforeAll(async () => {
    under = await open();
    store = under.store;
  });
  afterAll(() => under?.close());

  const key = (name: string): string => `${under.prefix}/${name}`;

  test('the probe learns whether conditional writes are kept, and learns the same the second time', async () => {
    const learned = { conditionalWrites: under.conditionalWrites };
    expect(await store.probe(under.prefix)).toEqual(learned);
    expect(await store.probe(under.prefix)).toEqual(learned);
    const left = await collect(store.list(`${under.prefix}/_probe/`));
    expect(left.map((object) => object.key)).toEqual([key('_probe/conditional-writes')]);
  });

  test('what was put is read back byte for byte', async () => {
    const body = pattern(10_000, 1);
    expect(await store.put(key('read-back/a.parquet'), body, options)).toBe('created');
    expect(sameBytes(await store.get(key('read-back/a.parquet')), body)).toBe(true);
  });

  test('a view of a larger buffer is put without its surroundings', async () => {
    const around = pattern(300, 2);
    const body = around.subarray(100, 200);
    await store.put(key('view'), body, options);
    expect(sameBytes(await store.get(key('view')), body)).toBe(true);
  });

  test('an empty body makes an empty object', async () => {
    await store.put(key('empty'), new Uint8Array(0), options);
    expect((await store.get(key('empty'))).byteLength).toBe(0);
  });

  test('an object that is there is left alone and reported, where the store knows conditional writes', async () => {
    const [first, second] = [pattern(100, 3), pattern(100, 4)];
    expect(await store.put(key('twice'), first, options)).toBe('created');
    expect(await store.put(key('twice'), second, options)).toBe(
      under.conditionalWrites ? 'exists' : 'created',
    );
    const stands = under.conditionalWrites ? first : second;
    expect(sameBytes(await store.get(key('twice')), stands)).toBe(true);
  });

  test('of writers that race for one key exactly one creates it', async () => {
    const bodies = Array.from({ length: 8 }, (_, index) => pattern(5_000, index));
    const results = await Promise.all(bodies.map((body) => store.put(key('race'), body, options)));
    const stands = await store.get(key('race'));
    if (under.conditionalWrites) {
      expect(results.filter((result) => result === 'created')).toHaveLength(1);
      expect(sameBytes(stands, bodies[results.indexOf('created')]!)).toBe(true);
    }
    expect(bodies.some((body) => sameBytes(stands, body))).toBe(true);
  });

  test('a large object is put whole, and once', async () => {
    const body = pattern(under.largeBytes, 5);
    expect(await store.put(key('large'), body, options)).toBe('created');
    expect(sameBytes(await store.get(key('large')), body)).toBe(true);
    const again = await store.put(key('large'), body, options);
    expect(again).toBe(under.conditionalWrites ? 'exists' : 'created');
  });

  test.each([
    'year=2026/month=03/day=21/symbol=7/7-493021-0a1b2c3d.parquet',
    'blank and + and % and &',
    "quote'(1)!*~",
    'ümlaut/価格',
    'dots.../a..b',
  ])('the key %j is taken as it is', async (name) => {
    const body = Buffer.from(name);
    expect(await store.put(key(`keys/${name}`), body, options)).toBe('created');
    expect(sameBytes(await store.get(key(`keys/${name}`)), body)).toBe(true);
    const found = await collect(store.list(key(`keys/${name}`)));
    expect(found.map((object) => object.key)).toEqual([key(`keys/${name}`)]);
  });

  test('a listing gives every object below the prefix once, with its size, in key order', async () => {
    const names = Array.from(
      { length: under.manyObjects },
      (_, index) => `many/${String(index).padStart(5, '0')}`,
    );
    await inLanes(16, names, (name, index) => store.put(key(name), pattern(index % 7, index), options));
    await store.put(key('many-but-another'), pattern(1, 0), options);
    const found = await collect(store.list(key('many/')));
    expect(found.map((object) => object.key)).toEqual(names.map(key));
    expect(found.map((object) => object.size)).toEqual(names.map((_, index) => index % 7));
    expect(found.every((object) => object.etag !== '')).toBe(true);
  });

  test('a prefix ends anywhere in a key, and one that nothing has lists nothing', async () => {
    await store.put(key('listed/symbol=1/a'), pattern(1, 0), options);
    await store.put(key('listed/symbol=12/b'), pattern(1, 0), options);
    await store.put(key('listed/symbol=2/c'), pattern(1, 0), options);
    const found = await collect(store.list(key('listed/symbol=1')));
    expect(found.map((object) => object.key)).toEqual([key('listed/symbol=1/a'), key('listed/symbol=12/b')]);
    expect(await collect(store.list(key('nothing/here')))).toEqual([]);
  });

  test('a deleted object is gone, and deleting it again succeeds', async () => {
    await store.put(key('deleted'), pattern(10, 0), options);
    expect(await store.delete(key('deleted'))).toBe(true);
    expect(await store.delete(key('deleted'))).toBe(true);
    expect(await collect(store.list(key('deleted')))).toEqual([]);
    expect(await store.put(key('deleted'), pattern(10, 1), options)).toBe('created');
  });

  test('getting what is not there says so', async () => {
    const error = await store.get(key('missing')).catch((thrown: unknown) => thrown);
    expect(error).toBeInstanceOf(ZeptoError);
    expect(error).toMatchObject({ code: 'STORE_NO_OBJECT', action: 'stop' });
  });

  test('a call whose signal has aborted does nothing and rejects with its reason', async () => {
    const signal = AbortSignal.abort(new Error('given up'));
    await expect(store.put(key('aborted'), pattern(10, 0), { ...options, signal })).rejects.toThrow(
      'given up',
    );
    expect(await collect(store.list(key('aborted')))).toEqual([]);
  });
}

export async function collect(objects: AsyncIterable<ObjectInfo>): Promise<ObjectInfo[]> {
  const found: ObjectInfo[] = [];
  for await (const object of objects) found.push(object);
  return found;
}

/** Bytes that differ from position to position and from seed to seed. */
export function pattern(length: number, seed: number): Uint8Array {
  const bytes = new Uint8Array(length);
  let state = (seed + 1) * 2_654_435_761;
  for (let index = 0; index < length; index += 1) {
    state = (Math.imul(state, 1_664_525) + 1_013_904_223) >>> 0;
    bytes[index] = state >>> 24;
  }
  return bytes;
}

/** A comparison that does not print megabytes when it fails. */
export const sameBytes = (a: Uint8Array, b: Uint8Array): boolean => Buffer.compare(a, b) === 0;

export async function inLanes<T>(
  lanes: number,
  items: readonly T[],
  work: (item: T, index: number) => Promise<unknown>,
): Promise<void> {
  let next = 0;
  const lane = async (): Promise<void> => {
    while (next < items.length) {
      const index = next++;
      await work(items[index]!, index);
    }
  };
  await Promise.all(Array.from({ length: lanes }, lane));
}
