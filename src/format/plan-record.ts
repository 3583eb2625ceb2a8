// What: a plan in JSON, as manifests, segment folders and Parquet metadata carry it.
// Why: any file says by itself which plan it belongs to, in one spelling.
// Invariant: the recorded hash is the hash of the recorded identity.

import { z } from 'zod';
import { HOURS_MAX } from '../columns/types.ts';
import { ZeptoError } from '../kernel/errors.ts';
import { planHash } from './layout.ts';
import type { PlanIdentity } from './segment.ts';

/** Grows with any change that can alter the bytes of a file written for the same rows. */
export const ENCODER_VERSION = 1;

export const count = z.int().nonnegative();
/** Since 1970 UTC; those that a time in int64 nanoseconds can be of. */
export const hour = z.int().min(-HOURS_MAX).max(HOURS_MAX);
export const hash = z.string().regex(/^[0-9a-f]{16}$/);
export const checksum = z.string().regex(/^[0-9a-f]{8}$/);
export const int64Text = z.string().regex(/^(0|-?[1-9]\d{0,18})$/);

export const planRecordSchema = z.strictObject({
  hash,
  group: z.string().min(1),
  topic: z.string().min(1),
  partition: count,
  incarnation: count,
  /** Null = all hours. */
  hourLast: hour.nullable(),
  offsetNext: count,
});

export type PlanRecord = z.infer<typeof planRecordSchema>;

export function planRecord(plan: PlanIdentity): PlanRecord {
  return {
    hash: planHash(plan),
    group: plan.group,
    topic: plan.topic,
    partition: plan.partition,
    incarnation: plan.incarnation,
    hourLast: plan.hourLast === Infinity ? null : plan.hourLast,
    offsetNext: plan.offsetNext,
  };
}

/** @throws ZeptoError FORMAT_INVALID when the hash is another plan's. */
export function planOf(record: PlanRecord): PlanIdentity {
  const { hash: recorded, hourLast, ...rest } = record;
  const plan: PlanIdentity = { ...rest, hourLast: hourLast ?? Infinity };
  if (planHash(plan) !== recorded)
    throw new ZeptoError('FORMAT_INVALID', 'stop', `plan hash ${recorded} is not that of its plan`);
  return plan;
}
