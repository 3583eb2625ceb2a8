// What: time, timers and randomness behind one interface.
// Why: the simulation replays a run from one seed, so nothing may read the machine's clock on its own.
// Invariant: this is the only file outside tests that touches Date, timers or Math.random.

export interface Timer {
  cancel(): void;
}

export interface Clock {
  /** Wall clock, milliseconds since 1970 UTC. May jump. */
  nowMs(): number;
  /** Monotonic, milliseconds with a fraction, origin arbitrary. */
  monotonicMs(): number;
  /** Runs `callback` once after `delayMs`. */
  after(delayMs: number, callback: () => void): Timer;
  /** Runs `callback` every `intervalMs`; does not keep the process alive. */
  every(intervalMs: number, callback: () => void): Timer;
  /** Resolves after `delayMs`, or rejects with the signal's reason. */
  sleep(delayMs: number, signal?: AbortSignal): Promise<void>;
  /** Uniform in [0, 1). */
  random(): number;
}

export const systemClock: Clock = {
  nowMs: () => Date.now(),
  monotonicMs: () => performance.now(),
  after(delayMs, callback) {
    const handle = setTimeout(callback, delayMs);
    return { cancel: () => clearTimeout(handle) };
  },
  every(intervalMs, callback) {
    const handle = setInterval(callback, intervalMs);
    handle.unref();
    return { cancel: () => clearInterval(handle) };
  },
  sleep(delayMs, signal) {
    return new Promise((resolve, reject) => {
      if (signal?.aborted) {
        reject(signal.reason);
        return;
      }
      const onAbort = (): void => {
        clearTimeout(handle);
        reject(signal?.reason);
      };
      const handle = setTimeout(() => {
        signal?.removeEventListener('abort', onAbort);
        resolve();
      }, delayMs);
      signal?.addEventListener('abort', onAbort, { once: true });
    });
  },
  random: () => Math.random(),
};

/** Exponential back-off with full jitter: attempt 0 → up to `baseMs`, doubling up to `capMs`. Never below a quarter of the step. */
export function backoffMs(attempt: number, baseMs: number, capMs: number, clock: Clock): number {
  const step = Math.min(capMs, baseMs * 2 ** Math.min(attempt, 30));
  return step * (0.25 + 0.75 * clock.random());
}
