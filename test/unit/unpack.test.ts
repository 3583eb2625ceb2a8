// What: compressed bodies of requests, expanded.
// Why: what a client has compressed must come out byte for byte, and what is no such thing must be said to be none.
// Invariant: the frames are made by encoders that others wrote.

import { compressFrameSync } from 'lz4-napi';
import { expect, it } from 'vitest';
import { Codec } from '../../connectors/kafka/codecs.ts';
import { unpack } from '../../src/threads/unpack.ts';
import { contentOf, zstdFrames } from '../support/zstd-frames.ts';

const rows = Buffer.from(`INSERT INTO t FORMAT CSV\n${'1,2\n'.repeat(10_000)}`);
const frame = compressFrameSync(rows);
const unlz4 = (bytes: Uint8Array, bytesMax = 100_000): Buffer =>
  Buffer.from(unpack({ codec: Codec.LZ4, bytes, bytesMax }));

it('come out as they were, one frame or many', () => {
  expect(unlz4(frame)).toEqual(rows);
  expect(unlz4(Buffer.concat([frame, frame]))).toEqual(Buffer.concat([rows, rows]));
  for (const { kind, size, bytes } of zstdFrames())
    expect(
      Buffer.from(unpack({ codec: Codec.ZSTD, bytes, bytesMax: size })).equals(contentOf(kind, size)),
    ).toBe(true);
});

it.each([
  ['cut', frame.subarray(0, -5), 100_000, 'LZ4'],
  ['something else', rows, 100_000, 'not an LZ4 frame'],
  ['larger than the bound', compressFrameSync(Buffer.alloc(2 ** 20)), 2 ** 19, 'more than its limit'],
])('that are %s are refused', (_, bytes, bytesMax, message) => {
  expect(() => unlz4(bytes, bytesMax)).toThrow(
    expect.objectContaining({ code: 'FORMAT_INVALID', message: expect.stringContaining(message) }),
  );
});
