// What: who of the group gets which partitions: pure, run by the group's leader.
// Why: rows stay in the memory of the member that has them; each partition that moves is replayed from Kafka.
// Invariant: every partition of a topic that somebody wants has exactly one owner; the same input gives the same answer, in whatever order members stand.

import type { PartitionsByTopic, Subscription } from './group-protocol.ts';

export interface GroupMember extends Pick<Subscription, 'topics' | 'owned' | 'generation'> {
  readonly memberId: string;
}

interface Share {
  readonly member: GroupMember;
  readonly topics: ReadonlySet<string>;
  /** Partitions by topic, and how many in all. */
  readonly held: Map<string, number[]>;
  count: number;
}

/**
 * Shares the partitions out: first everybody keeps what it had, then the rest goes to who has least, then partitions
 * move from those with more to those with less until no move makes it more even. Members with the same topics end
 * within one partition of each other.
 */
export function assignPartitions(
  members: readonly GroupMember[],
  partitionsOf: ReadonlyMap<string, readonly number[]>,
): ReadonlyMap<string, PartitionsByTopic> {
  const shares = [...members]
    .sort((a, b) => (a.memberId < b.memberId ? -1 : 1))
    .map((member): Share => ({ member, topics: new Set(member.topics), held: new Map(), count: 0 }));
  const claims = claimsOf(shares);
  for (const topic of [...partitionsOf.keys()].sort()) {
    for (const partition of partitionsOf.get(topic)!) {
      const owner = claims.get(claimKey(topic, partition));
      if (owner !== undefined) give(owner, topic, partition);
    }
  }
  for (const topic of [...partitionsOf.keys()].sort()) {
    for (const partition of partitionsOf.get(topic)!) {
      if (claims.has(claimKey(topic, partition))) continue;
      const receiver = poorest(shares, topic);
      if (receiver !== null) give(receiver, topic, partition);
    }
  }
  while (levelOnce(shares));
  return new Map(shares.map(({ member, held }) => [member.memberId, sorted(held)]));
}

const claimKey = (topic: string, partition: number): string => `${partition} ${topic}`;

/** Who had a partition last. Of two that say so, the one of the later generation is right; a zombie's claim is old. */
function claimsOf(shares: readonly Share[]): ReadonlyMap<string, Share> {
  const claims = new Map<string, Share>();
  for (const share of shares) {
    for (const [topic, partitions] of Object.entries(share.member.owned)) {
      if (!share.topics.has(topic)) continue;
      for (const partition of partitions) {
        const other = claims.get(claimKey(topic, partition));
        if (other === undefined || other.member.generation < share.member.generation)
          claims.set(claimKey(topic, partition), share);
      }
    }
  }
  return claims;
}

function give(share: Share, topic: string, partition: number): void {
  const held = share.held.get(topic);
  if (held === undefined) share.held.set(topic, [partition]);
  else held.push(partition);
  share.count++;
}

const countOf = (share: Share, topic: string): number => share.held.get(topic)?.length ?? 0;

/** Of those who want the topic, who has least in all; of these, least of the topic; of these, the first. */
function poorest(shares: readonly Share[], topic: string): Share | null {
  let best: Share | null = null;
  for (const share of shares) {
    if (!share.topics.has(topic)) continue;
    const isBetter =
      best === null ||
      share.count < best.count ||
      (share.count === best.count && countOf(share, topic) < countOf(best, topic));
    if (isBetter) best = share;
  }
  return best;
}

/**
 * Makes the shares more even by one partition; false when that cannot be done. Where members want different topics,
 * the partition that leaves the fullest share may have to go to one that passes another of its own on.
 */
function levelOnce(shares: readonly Share[]): boolean {
  const richestFirst = [...shares].sort((a, b) => b.count - a.count);
  for (const from of richestFirst) {
    const path = pathToPoorer(from, shares);
    if (path === null) continue;
    for (let step = path.length - 1; step > 0; step--) move(path[step - 1]!, path[step]!);
    return true;
  }
  return false;
}

/** Shortest chain from a share to one with at least two partitions less, each link able to pass one on. */
function pathToPoorer(from: Share, shares: readonly Share[]): Share[] | null {
  const cameFrom = new Map<Share, Share | null>([[from, null]]);
  for (const share of cameFrom.keys()) {
    if (share.count <= from.count - 2) {
      const path: Share[] = [];
      for (let link: Share | null = share; link !== null; link = cameFrom.get(link) ?? null)
        path.unshift(link);
      return path;
    }
    const next = shares.filter((other) => !cameFrom.has(other) && passable(share, other) !== null);
    for (const other of next.sort((a, b) => a.count - b.count)) cameFrom.set(other, share);
  }
  return null;
}

/** A topic of which `from` has a partition and that `to` wants: the one of which `from` has most more than `to`. */
function passable(from: Share, to: Share): string | null {
  let best: string | null = null;
  let mostMore = Number.NEGATIVE_INFINITY;
  for (const [topic, partitions] of from.held) {
    const more = partitions.length - countOf(to, topic);
    if (partitions.length > 0 && to.topics.has(topic) && more > mostMore) {
      best = topic;
      mostMore = more;
    }
  }
  return best;
}

function move(from: Share, to: Share): void {
  const topic = passable(from, to)!;
  // The last one: of what was given in this round if there is any, since those are at the end.
  const partition = from.held.get(topic)!.pop()!;
  from.count--;
  give(to, topic, partition);
}

function sorted(held: ReadonlyMap<string, readonly number[]>): PartitionsByTopic {
  return Object.fromEntries(
    [...held]
      .filter(([, partitions]) => partitions.length > 0)
      .map(([topic, partitions]) => [topic, [...partitions].sort((a, b) => a - b)] as const)
      .sort(([a], [b]) => (a < b ? -1 : 1)),
  );
}
