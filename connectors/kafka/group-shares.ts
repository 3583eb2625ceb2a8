// What: who of a consumer group has which partitions, and where each answers queries.
// Why: a query to one member is about the rows of all; the group's coordinator knows who has them.
// Invariant: of a group that is sharing out anew nothing is said.

import type { GroupDirectory, GroupShare } from '../../src/ports.ts';
import type { Cluster, Target } from './cluster.ts';
import { refusal } from './errors.ts';
import { decodeAssignment, decodeSubscription } from './group-protocol.ts';
import { describeGroup } from './group-requests.ts';

export function openGroupDirectory(cluster: Cluster, group: string): GroupDirectory {
  const coordinator: Target = { kind: 'coordinator', of: 'group', key: group };
  const doing = `describe group ${group}`;
  return {
    async shares(): Promise<readonly GroupShare[] | null> {
      const { code, state, members } = await cluster.ask(
        coordinator,
        describeGroup(group),
        (answer) => answer.code,
        doing,
      );
      if (code !== 0) throw refusal(code, doing);
      if (state !== 'Stable') return null;
      return members.map(({ metadata, assignment }) => ({
        address: decodeSubscription(metadata).address,
        partitions: Object.entries(decodeAssignment(assignment)).flatMap(([topic, partitions]) =>
          partitions.map((partition) => ({ topic, partition })),
        ),
      }));
    },
  };
}
