// What: whether a server answers HTTP.
// Why: a listening port is not yet a server that serves.
// Invariant: never throws; no answer within two seconds counts as none.

/** True for an answer with any status, or with an acceptable one when `accept` is given. */
export async function answersHttp(url: string, accept?: (status: number) => boolean): Promise<boolean> {
  try {
    const response = await fetch(url, { signal: AbortSignal.timeout(2_000), redirect: 'manual' });
    await response.arrayBuffer();
    return accept?.(response.status) ?? true;
  } catch {
    return false;
  }
}
