// What: EXPLAIN ALTER TABLE … SET STORAGE POLICY: what the policy would do to the rows that are there.
// Why: a policy that drops is not tried out on the real thing.
// Invariant: nothing is changed.

import { policyHours } from '../columns/storage-policy.ts';
import { ZeptoError } from '../kernel/errors.ts';
import { plainResult } from '../query/plain-result.ts';
import type { ResultSet } from '../query/result.ts';
import type { AnyPart, Snapshot } from '../query/snapshot.ts';
import { partsIn } from '../query/table-parts.ts';
import type { AlterTable } from '../sql/ast.ts';
import { nodeError } from '../sql/errors.ts';
import { storagePolicy } from '../sql/storage-policy.ts';
import { INT64, STRING } from '../sql/types.ts';

/** @throws ZeptoError SQL_* with position. Releases the snapshot. */
export function policyPlan({ table, action, at }: AlterTable, snapshot: Snapshot, nowMs: number): ResultSet {
  try {
    if (action.kind !== 'set-storage-policy')
      throw new ZeptoError('SQL_UNSUPPORTED', 'stop', 'EXPLAIN ALTER TABLE is for SET STORAGE POLICY', {
        context: { position: at },
      });
    const found = snapshot.tables.get(table.name);
    if (found === undefined) throw nodeError('SQL_NAME', table.at, `Table '${table.name}' does not exist`);
    const hours = policyHours(storagePolicy(action.rules), nowMs);
    const parts = partsIn(found);
    const isDropped = ({ hour }: AnyPart): boolean => isUpTo(hour, hours.isDropped);
    const rowOf = (what: string, chosen: readonly AnyPart[]): [string, bigint, bigint] => [
      what,
      BigInt(chosen.length),
      chosen.reduce((sum, { rows }) => sum + BigInt(rows), 0n),
    ];
    const left = parts.filter((part) => !isDropped(part));
    return plainResult(
      [
        { name: 'action', type: STRING },
        { name: 'parts', type: INT64 },
        { name: 'rows', type: INT64 },
      ],
      [
        rowOf(
          'leave memory',
          left.filter(({ tier, hour }) => tier === 'hot' && isUpTo(hour, hours.leavesMemory)),
        ),
        rowOf(
          'leave the local disk',
          left.filter(({ tier, hour }) => tier === 'warm' && isUpTo(hour, hours.leavesDisk)),
        ),
        rowOf('are dropped', parts.filter(isDropped)),
        rowOf(
          'stay where they are',
          left.filter(
            ({ tier, hour }) =>
              !(tier === 'hot' && isUpTo(hour, hours.leavesMemory)) &&
              !(tier === 'warm' && isUpTo(hour, hours.leavesDisk)),
          ),
        ),
      ],
    );
  } finally {
    snapshot.release();
  }
}

const isUpTo = (hour: number, last: number | null): boolean => last !== null && hour <= last;
