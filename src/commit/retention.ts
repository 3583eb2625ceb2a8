// What: whether a topic keeps its records long enough for the seal policy.
// Why: rows that wait in memory longer than the topic keeps them are lost by the next crash.
// Invariant: pure; a configuration that could lose rows is named with its numbers before anything is consumed.

import type { SealPolicy } from './plan.ts';

export interface TopicRetention {
  /** Null = for ever. */
  readonly ms: number | null;
  readonly compacted: boolean;
}

/** The problem and its fix, or null. */
export function retentionProblem(
  topic: string,
  retention: TopicRetention,
  policy: SealPolicy,
): string | null {
  if (retention.compacted)
    return `topic ${topic} is compacted (cleanup.policy): records that are replayed after a crash may be gone. Set cleanup.policy=delete`;
  if (retention.ms === null) return null;
  const bound = policy.isWindow
    ? { ms: policy.allowedLatenessMs, setting: '--hot-window' }
    : smallest([
        { ms: policy.holdBackMs, setting: '--hold-back-max-time' },
        { ms: policy.intervalMs, setting: '--seal-interval' },
      ]);
  if (bound !== null && bound.ms < retention.ms) return null;
  const waits =
    bound === null ? 'rows may wait for ever' : `rows may wait ${hours(bound.ms)} (${bound.setting})`;
  return `topic ${topic} keeps records for ${hours(retention.ms)} (retention.ms), but ${waits} before they are sealed: a crash in between could lose them. Lower ${bound?.setting ?? '--hold-back-max-time or --seal-interval'}, or raise the retention`;
}

function smallest(
  bounds: readonly { ms: number; setting: string }[],
): { ms: number; setting: string } | null {
  return bounds.filter(({ ms }) => ms > 0).sort((a, b) => a.ms - b.ms)[0] ?? null;
}

const hours = (ms: number): string =>
  ms < 3_600_000 ? `${Math.round(ms / 1000)} s` : `${Math.round(ms / 360_000) / 10} h`;
