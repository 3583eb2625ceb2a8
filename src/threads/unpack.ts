// What: a compressed body, expanded.
// Why: ClickHouse's clients compress what they insert as Kafka's producers do their batches: one decoder of each serves both.
// Invariant: whole, or FORMAT_INVALID; never beyond its bound.

import { type Codec, decompressInto } from '../../connectors/kafka/codecs.ts';
import { ZeptoError } from '../kernel/errors.ts';
import { GrowableBytes } from '../kernel/growable-bytes.ts';

export interface Packed {
  readonly codec: Codec;
  readonly bytes: Uint8Array;
  readonly bytesMax: number;
}

/** @throws ZeptoError FORMAT_INVALID when the bytes are not of the codec, are cut, or hold more than `bytesMax`. */
export function unpack({ codec, bytes, bytesMax }: Packed): Uint8Array {
  const out = new GrowableBytes();
  try {
    decompressInto(codec, bytes, out, bytesMax);
  } catch (cause) {
    throw new ZeptoError('FORMAT_INVALID', 'stop', (cause as Error).message, { cause });
  }
  // The spare room behind it would travel to the main thread too.
  return out.bytes.slice(0, out.length);
}
