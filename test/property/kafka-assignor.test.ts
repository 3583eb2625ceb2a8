// What: the partition assignor over random groups.
// Why: two owners of a partition double its work, none stops it, and a needless move replays an hour.
// Invariant: complete, no overlap, even, sticky, independent of order, for members that say anything whatever.

import fc from 'fast-check';
import { describe, expect, test } from 'vitest';
import { assignPartitions, type GroupMember } from '../../connectors/kafka/assignor.ts';
import {
  decodeAssignment,
  decodeSubscription,
  encodeAssignment,
  encodeSubscription,
  type PartitionsByTopic,
} from '../../connectors/kafka/group-protocol.ts';

const topicNames = ['quotes', 'ticks', 'trades', '__proto__'];

const partitionsOf = fc
  .array(fc.nat(9), { minLength: topicNames.length, maxLength: topicNames.length })
  .map(
    (counts) =>
      new Map(topicNames.map((topic, at) => [topic, Array.from({ length: counts[at]! }, (_, p) => p)])),
  );

const owned = fc
  .array(fc.tuple(fc.constantFrom(...topicNames, 'gone'), fc.uniqueArray(fc.nat(12))), { maxLength: 4 })
  .map((entries): PartitionsByTopic => Object.assign(Object.create(null), Object.fromEntries(entries)));

const membersWanting = (topics: fc.Arbitrary<string[]>): fc.Arbitrary<GroupMember[]> =>
  fc.uniqueArray(
    fc.record({
      memberId: fc.string({ minLength: 1 }),
      topics,
      owned,
      generation: fc.integer({ min: -1, max: 5 }),
    }),
    { selector: ({ memberId }) => memberId, minLength: 1, maxLength: 7 },
  );
const alike = membersWanting(fc.constant(topicNames));
const different = membersWanting(fc.subarray(topicNames));

type Assigned = ReadonlyMap<string, PartitionsByTopic>;

const flat = (assigned: PartitionsByTopic): string[] =>
  Object.entries(assigned).flatMap(([topic, partitions]) =>
    partitions.map((partition) => `${topic}-${partition}`),
  );
const allOf = (assigned: Assigned): string[] => [...assigned.values()].flatMap(flat);
const sizes = (assigned: Assigned): number[] => [...assigned.values()].map((one) => flat(one).length);

/** The members of a next generation, who had what was assigned in this one. */
const next = (members: readonly GroupMember[], assigned: Assigned, generation = 9): GroupMember[] =>
  members.map((member) => ({ ...member, owned: assigned.get(member.memberId)!, generation }));

describe('an assignment', () => {
  test('gives each wanted partition to exactly one member that wants it', () => {
    fc.assert(
      fc.property(fc.oneof(alike, different), partitionsOf, (members, partitions) => {
        const assigned = assignPartitions(members, partitions);
        const wanted = [...partitions].filter(([topic]) =>
          members.some(({ topics }) => topics.includes(topic)),
        );
        const expected = wanted.flatMap(([topic, list]) => list.map((partition) => `${topic}-${partition}`));
        expect(allOf(assigned).sort()).toEqual(expected.sort());
        for (const { memberId, topics } of members)
          for (const topic of Object.keys(assigned.get(memberId)!)) expect(topics).toContain(topic);
      }),
    );
  });

  test('is within one partition where members want the same', () => {
    fc.assert(
      fc.property(alike, partitionsOf, (members, partitions) => {
        const counts = sizes(assignPartitions(members, partitions));
        expect(Math.max(...counts) - Math.min(...counts)).toBeLessThanOrEqual(1);
      }),
    );
  });

  test('leaves nobody with two more than another who wants one of its partitions', () => {
    fc.assert(
      fc.property(different, partitionsOf, (members, partitions) => {
        const assigned = assignPartitions(members, partitions);
        for (const from of members)
          for (const to of members) {
            const mine = assigned.get(from.memberId)!;
            if (Object.keys(mine).some((topic) => to.topics.includes(topic)))
              expect(flat(mine).length - flat(assigned.get(to.memberId)!).length).toBeLessThanOrEqual(1);
          }
      }),
    );
  });

  test('does not depend on the order of members', () => {
    fc.assert(
      fc.property(
        different.chain((members) =>
          fc.tuple(fc.constant(members), fc.shuffledSubarray(members, { minLength: members.length })),
        ),
        partitionsOf,
        ([members, shuffled], partitions) => {
          const asObject = (assigned: Assigned): object => Object.fromEntries([...assigned].sort());
          expect(asObject(assignPartitions(shuffled, partitions))).toEqual(
            asObject(assignPartitions(members, partitions)),
          );
        },
      ),
    );
  });
});

describe('stickiness', () => {
  test('nothing moves when nothing has changed', () => {
    fc.assert(
      fc.property(fc.oneof(alike, different), partitionsOf, (members, partitions) => {
        const assigned = assignPartitions(members, partitions);
        expect(assignPartitions(next(members, assigned), partitions)).toEqual(assigned);
      }),
    );
  });

  test('as few partitions move as an even assignment allows', () => {
    fc.assert(
      fc.property(alike, partitionsOf, (members, partitions) => {
        // Claims without conflicts: of partitions that are there, each by one member.
        const taken = new Set<string>();
        const honest = members.map((member) => ({
          ...member,
          owned: Object.fromEntries(
            Object.entries(member.owned)
              .filter(([topic]) => topic !== '__proto__')
              .map(([topic, list]) => [
                topic,
                list.filter((p) => {
                  const key = `${topic}-${p}`;
                  if (!partitions.get(topic)?.includes(p) || taken.has(key)) return false;
                  taken.add(key);
                  return true;
                }),
              ]),
          ),
        }));
        const assigned = assignPartitions(honest, partitions);
        const total = [...partitions.values()].reduce((sum, list) => sum + list.length, 0);
        const floor = Math.floor(total / members.length);
        let larger = total % members.length;
        const had = honest.map(({ owned: list }) => flat(list).length).sort((a, b) => b - a);
        const keepable = had.reduce(
          (sum, count) => sum + Math.min(count, larger-- > 0 ? floor + 1 : floor),
          0,
        );
        const kept = honest.reduce((sum, { memberId, owned: list }) => {
          const now = new Set(flat(assigned.get(memberId)!));
          return sum + flat(list).filter((key) => now.has(key)).length;
        }, 0);
        expect(kept).toBe(keepable);
      }),
    );
  });

  test('when a member leaves, only its partitions move', () => {
    fc.assert(
      fc.property(
        alike.filter((members) => members.length > 1),
        partitionsOf,
        (members, partitions) => {
          const before = assignPartitions(members, partitions);
          const left = next(members, before).slice(1);
          const after = assignPartitions(left, partitions);
          for (const { memberId } of left)
            expect(flat(after.get(memberId)!)).toEqual(expect.arrayContaining(flat(before.get(memberId)!)));
        },
      ),
    );
  });

  test('of two who claim a partition, the later generation keeps it', () => {
    const claim = { topics: ['ticks'], owned: { ticks: [0, 1] } };
    const partitions = new Map([['ticks', [0, 1, 2, 3]]]);
    const assigned = assignPartitions(
      [
        { memberId: 'zombie', generation: 3, ...claim },
        { memberId: 'owner', generation: 4, ...claim },
      ],
      partitions,
    );
    expect(assigned.get('owner')).toEqual({ ticks: [0, 1] });
    expect(assigned.get('zombie')).toEqual({ ticks: [2, 3] });
  });

  test('from scratch, each topic is spread too', () => {
    const members = ['a', 'b'].map((memberId) => ({
      memberId,
      topics: ['quotes', 'ticks'],
      owned: {},
      generation: -1,
    }));
    const assigned = assignPartitions(
      members,
      new Map([
        ['ticks', [0, 1, 2, 3]],
        ['quotes', [0, 1, 2, 3]],
      ]),
    );
    for (const one of assigned.values())
      expect(Object.values(one).map((list) => list.length)).toEqual([2, 2]);
  });

  test('a chain of moves evens out what no single move can', () => {
    const assigned = assignPartitions(
      [
        { memberId: 'a', topics: ['x'], owned: { x: [0, 1, 2] }, generation: 1 },
        { memberId: 'b', topics: ['x', 'y'], owned: { y: [0, 1] }, generation: 1 },
        { memberId: 'c', topics: ['y'], owned: {}, generation: 1 },
      ],
      new Map([
        ['x', [0, 1, 2]],
        ['y', [0, 1]],
      ]),
    );
    expect(sizes(assigned).sort()).toEqual([1, 2, 2]);
  });
});

describe('what members say', () => {
  test('comes back as it was said', () => {
    fc.assert(
      fc.property(
        fc.array(fc.string()),
        owned.filter((one) => !Object.hasOwn(one, '__proto__')),
        fc.nat(),
        fc.option(fc.webUrl()),
        (topics, mine, generation, address) => {
          const said = { topics, owned: { ...mine }, generation, address };
          const heard = decodeSubscription(encodeSubscription(said));
          expect({ ...heard, owned: { ...heard.owned } }).toEqual(said);
        },
      ),
    );
    fc.assert(
      fc.property(owned, (assigned) => {
        expect(decodeAssignment(encodeAssignment(assigned))).toEqual(assigned);
      }),
    );
  });

  test('may be any bytes: the member then owns nothing, and keeps its topics if they can be read', () => {
    fc.assert(
      fc.property(fc.uint8Array(), (bytes) => {
        expect(decodeSubscription(bytes)).toMatchObject({ address: null });
      }),
    );
    const said = encodeSubscription({
      topics: ['ticks'],
      owned: { ticks: [1] },
      generation: 3,
      address: null,
    });
    for (const end of [said.length - 1, said.length - 10]) {
      expect(decodeSubscription(said.subarray(0, end))).toEqual({
        topics: ['ticks'],
        owned: {},
        generation: -1,
        address: null,
      });
    }
    for (const userData of [
      'null',
      '[]',
      '7',
      '{"owned":7,"generation":"x","address":4}',
      '{"owned":{"ticks":[1.5,-1,"2",null]}}',
    ]) {
      const bytes = encodeSubscription({ topics: ['ticks'], owned: {}, generation: 1, address: null });
      const head = Buffer.from(bytes.subarray(0, 2 + 4 + 2 + 'ticks'.length + 4));
      head.writeInt32BE(userData.length, head.length - 4);
      const heard = decodeSubscription(Buffer.concat([head, Buffer.from(userData)]));
      expect({ topics: heard.topics, generation: heard.generation, address: heard.address }).toEqual({
        topics: ['ticks'],
        generation: -1,
        address: null,
      });
      expect(Object.values(heard.owned).flat()).toEqual([]);
    }
  });
});
