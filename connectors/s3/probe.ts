// What: one tiny object, put twice, to learn whether the store keeps `If-None-Match: *`.
// Why: a wrong bucket, region, credential or endpoint should stop the process at start, not at the first sealed hour.
// Invariant: puts only, always under the same key; works with an upload-only credential and leaves one object.

import { classify, type FaultKind } from './fault.ts';

const BODY = new TextEncoder().encode('Written at start to learn whether this store keeps If-None-Match.\n');

export const probeKey = (prefix: string): string =>
  `${prefix === '' ? '' : `${prefix}/`}_probe/conditional-writes`;

type Put = (
  key: string,
  body: Uint8Array,
  conditional: boolean,
  answers: readonly FaultKind[],
) => Promise<'created' | 'exists'>;

/** Whether the second of two conditional writes is refused. */
export async function probeStore(prefix: string, put: Put): Promise<boolean> {
  const key = probeKey(prefix);
  try {
    const once = (): Promise<'created' | 'exists'> => put(key, BODY, true, ['exists', 'not-implemented']);
    return (await once()) === 'exists' || (await once()) === 'exists';
  } catch (error) {
    if (classify(error).kind !== 'not-implemented') throw error;
    await put(key, BODY, false, ['exists']);
    return false;
  }
}
