// What: bytes of several kinds, made by rule, as the zstd program compressed them (test/fixtures/zstd.json).
// Why: nothing at hand in Node 20 writes zstd frames, and ours reads them.
// Invariant: the content of a frame is a function of its kind and size alone.

import { readFileSync } from 'node:fs';

export interface ZstdFrame {
  readonly kind: ContentKind;
  readonly size: number;
  /** Arguments of `zstd -c -q`. */
  readonly args: readonly string[];
  readonly bytes: Buffer;
}

export type ContentKind = 'noise' | 'ticks' | 'one-byte' | 'skewed' | 'mixed' | 'far-repeat';

export function contentOf(kind: ContentKind, size: number): Buffer {
  const random = lcg(12345 + size);
  const bytes = Buffer.alloc(size);
  switch (kind) {
    case 'noise':
      for (let at = 0; at < size; at++) bytes[at] = random() * 256;
      return bytes;
    case 'ticks': {
      let text = '';
      while (text.length < size)
        text += `{"symbol":"S${Math.floor(random() * 50)}","price":${(100 + random() * 50).toFixed(2)},"volume":${Math.floor(random() * 1000)}}`;
      bytes.write(text.slice(0, size), 'latin1');
      return bytes;
    }
    case 'one-byte':
      return bytes.fill(7);
    case 'skewed':
      for (let at = 0; at < size; at++) bytes[at] = Math.floor(random() * random() * 20);
      return bytes;
    case 'mixed':
      for (let at = 0; at < size; at++) bytes[at] = at % 1000 < 500 ? at & 15 : random() * 4;
      return bytes;
    case 'far-repeat': {
      // The same thousand bytes at both ends, so that a match reaches across all of it.
      const end = contentOf('noise', 1_000);
      bytes.set(end);
      bytes.set(end, size - end.length);
      return bytes;
    }
  }
}

/** The C library's rule of old; good enough to be different everywhere. */
function lcg(seed: number): () => number {
  let state = seed;
  return () => {
    state = (Math.imul(state, 1_103_515_245) + 12_345) & 0x7fffffff;
    return state / 0x80000000;
  };
}

export function zstdFrames(): ZstdFrame[] {
  const path = new URL('../fixtures/zstd.json', import.meta.url);
  const frames = JSON.parse(readFileSync(path, 'utf8')) as (Omit<ZstdFrame, 'bytes'> & { base64: string })[];
  return frames.map(({ base64, ...rest }) => ({ ...rest, bytes: Buffer.from(base64, 'base64') }));
}
