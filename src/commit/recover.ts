// What: from what Kafka holds for a partition to where consumption restarts and what is skipped.
// Why: recovery is the same pure decision after a crash, a rebalance and a first start.
// Invariant: never a silent jump: a start that would lose or double rows is an error, or counted when the operator overrides.

import { ZeptoError } from '../kernel/errors.ts';
import type { CommittedOffset, PartitionBounds, TopicPartition } from '../ports.ts';
import { type CommitRecord, decodeMetadata, freshRecord } from './metadata.ts';

export interface RecoverOptions {
  readonly autoOffsetReset: 'earliest' | 'latest';
  readonly onDataLoss: 'stop' | 'earliest';
}

export interface Recovery {
  readonly record: CommitRecord;
  /** The record is not what Kafka holds: commit it before anything is consumed. */
  readonly isNew: boolean;
  /** Offsets that the topic no longer holds and that were not sealed, at most; 0 unless the operator let it pass. */
  readonly recordsLost: number;
  /** The group has no record of its own yet: no plan of it may stand in the store. */
  readonly expectNoPlans: boolean;
}

export function recover(
  committed: CommittedOffset | null,
  bounds: PartitionBounds,
  partition: TopicPartition,
  options: RecoverOptions,
): Recovery {
  if (committed === null || committed.metadata === '') {
    const offset =
      committed?.offset ?? (options.autoOffsetReset === 'earliest' ? bounds.earliest : bounds.latest);
    const within = Math.min(Math.max(offset, bounds.earliest), bounds.latest);
    return { record: freshRecord(within, 0), isNew: true, recordsLost: 0, expectNoPlans: true };
  }
  const record = decodeMetadata(committed.offset, committed.metadata);
  if (record.committed > bounds.latest) {
    const problem = `the group committed offset ${record.committed}, but the topic ends at ${bounds.latest}: it was recreated or has lost its end`;
    if (options.onDataLoss === 'stop') throw lost(problem, partition, record.committed);
    const fresh = freshRecord(bounds.earliest, record.incarnation + 1);
    return {
      record: fresh,
      isNew: true,
      recordsLost: record.committed - bounds.latest,
      expectNoPlans: false,
    };
  }
  if (record.committed < bounds.earliest) {
    const missing = bounds.earliest - record.committed;
    const problem = `the next offset to consume is ${record.committed}, but the topic starts at ${bounds.earliest}: retention removed ${missing} records before they were sealed`;
    if (options.onDataLoss === 'stop') throw lost(problem, partition, record.committed);
    return { record, isNew: false, recordsLost: missing, expectNoPlans: false };
  }
  return { record, isNew: false, recordsLost: 0, expectNoPlans: false };
}

function lost(problem: string, partition: TopicPartition, offset: number): ZeptoError {
  return new ZeptoError(
    'OFFSET_LOST',
    'stop',
    `${partition.topic}-${partition.partition}: ${problem}. Restore the topic, or start over from what is left with --on-data-loss earliest (the gap is counted in zepto_records_lost_total)`,
    { context: { topic: partition.topic, partition: partition.partition, offset } },
  );
}
