// What: files whose content is read again when one of them changes.
// Why: keys are revoked and certificates renewed while the process runs; Kubernetes swaps them under a symbolic link.
// Invariant: a content that cannot be used leaves the last good one in force, and is reported once.

import { readFileSync, statSync } from 'node:fs';
import type { Clock } from '../../src/kernel/clock.ts';
import { ZeptoError } from '../../src/kernel/errors.ts';
import type { Logger } from '../../src/ports.ts';

const LOOK_INTERVAL_MS = 5_000;

export interface WatchedFiles<T> {
  /** The last good content. */
  current(): T;
  close(): void;
}

/**
 * @param flag names the setting in messages.
 * @param parse makes one content of the files' texts, or throws what is wrong with them.
 * @param changed is called with each good content but the first.
 * @throws ZeptoError CONFIG_INVALID when a file cannot be read; what `parse` throws.
 */
export function watchFiles<T>(
  paths: readonly string[],
  flag: string,
  parse: (texts: readonly string[]) => T,
  changed: (content: T) => void,
  { clock, logger }: { readonly clock: Clock; readonly logger: Logger },
): WatchedFiles<T> {
  const read = (): T => parse(paths.map((path) => readText(path, flag)));
  let seen = fingerprint(paths);
  let content = read();
  const timer = clock.every(LOOK_INTERVAL_MS, () => {
    const now = fingerprint(paths);
    if (now === seen) return;
    seen = now;
    try {
      content = read();
      changed(content);
      logger.info({ files: paths }, `${flag} was read again`);
    } catch (error) {
      logger.error({ files: paths, error }, `${flag} cannot be used; the former content stays in force`);
    }
  });
  return { current: () => content, close: () => timer.cancel() };
}

function readText(path: string, flag: string): string {
  try {
    return readFileSync(path, 'utf8');
  } catch (cause) {
    const reason = cause instanceof Error ? cause.message : String(cause);
    throw new ZeptoError('CONFIG_INVALID', 'stop', `${flag} cannot be read: ${reason}`, { cause });
  }
}

function fingerprint(paths: readonly string[]): string {
  return paths
    .map((path) => {
      const found = statSync(path, { throwIfNoEntry: false });
      return found === undefined ? 'missing' : `${found.mtimeMs}:${found.size}:${found.ino}`;
    })
    .join(' ');
}
