// What: the seal policy that configuration asks for.
// Why: shards seal by it, and DDL checks a topic's retention against it.
// Invariant: pure.

import type { SealPolicy } from '../commit/plan.ts';
import type { Config } from '../config/config.ts';

export function sealPolicy({ seal, storage, memory }: Config): SealPolicy {
  const isWindow = storage.mode === 'pure';
  return {
    isWindow,
    intervalMs: seal.intervalMs,
    idleMs: seal.idleMs,
    rowsMax: seal.rowsMax,
    bytesMax: seal.bytesMax,
    allowedLatenessMs: isWindow ? memory.hotWindowMs : seal.allowedLatenessMs,
    holdBackRecords: seal.holdBackRecordsMax,
    holdBackBytes: seal.holdBackBytesMax,
    holdBackMs: seal.holdBackMsMax,
  };
}
