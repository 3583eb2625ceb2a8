// What: one seeded history: producers, members that come, stall and die, rebalances, and the check after each event.
// Why: exactly once must hold at every moment of every history, not at the end of a few.
// Invariant: a violation is a fact about the code under test, found again by the same seed.

import { decodeMetadata } from '../../src/commit/metadata.ts';
import type { SealPolicy } from '../../src/commit/plan.ts';
import { hourCovered } from '../../src/commit/staircase.ts';
import { planManifestsOf } from '../../src/format/layout.ts';
import { parseManifest } from '../../src/format/manifest.ts';
import { isUnreadable } from './altered.ts';
import { contest } from './contested.ts';
import { openHours } from './hours.ts';
import { GROUP, Member } from './member.ts';
import type { LogRecord } from './world.ts';
import { World } from './world.ts';

const HOUR_MS = 3_600_000;
const TIERING_MS = 23;
const HOUR_NS = 3_600_000_000_000n;
const START_HOUR = 480_000;

export interface Outcome {
  readonly seed: number;
  readonly violations: readonly string[];
  readonly records: number;
  readonly files: number;
  readonly plans: number;
  readonly kills: number;
}

export async function simulate(
  seed: number,
  trace: ((line: string) => void) | null = null,
): Promise<Outcome> {
  const world = new World(seed, 1 + (seed % 3), START_HOUR * HOUR_MS, trace);
  const { chance, scheduler } = world;
  const policy = randomPolicy(world);
  const hours = openHours(seed, policy);
  if (hours.faults !== null) world.faults = hours.faults;
  const lateNotice = contest(seed, world);
  const members: Member[] = [];
  let kills = 0;
  let joined = 0;
  let rebalanceDue = false;
  let rebalances = 0;
  /** The last rebalance that each member has learned of. */
  const known = new Map<Member, number>();

  const rebalance = (): void => {
    if (rebalanceDue) return;
    rebalanceDue = true;
    scheduler.after(10 + chance.below(100), () => {
      rebalanceDue = false;
      const live = members.filter((member) => member.clock.isAlive);
      if (live.length === 0) return;
      const owners = world.partitions.map(() => chance.pick(live));
      const generation = ++rebalances;
      for (const member of live) {
        const owned = world.partitions.flatMap((_, partition) =>
          owners[partition] === member ? [{ topic: world.topic, partition }] : [],
        );
        scheduler.after(lateNotice?.() ?? chance.below(80), () => {
          if (generation < (known.get(member) ?? 0)) return;
          known.set(member, generation);
          member.clock.deliver(() => member.source.rebalanced(owned));
        });
      }
    });
  };
  const join = (): void => {
    const member = new Member(`m${joined++}`, world, hours.memberPolicy(), hours.budgetBytes, rebalance);
    member.clock.skewMs = hours.memberSkewMs();
    members.push(member);
    member.start();
  };
  const kill = (member: Member): void => {
    member.kill();
    members.splice(members.indexOf(member), 1);
    kills++;
    scheduler.after(chance.below(500), rebalance);
  };

  for (let i = 1 + chance.below(3); i > 0; i--) join();
  const endMs = scheduler.nowMs + 6_000;
  const produce = (): void => {
    if (scheduler.nowMs > endMs - 500) return;
    for (let i = chance.below(8); i > 0; i--)
      world.publish(chance.below(world.partitions.length), randomRecord(world, hours.lateHours));
    scheduler.after(chance.below(40), produce);
  };
  produce();
  const disturb = (): void => {
    if (scheduler.nowMs > endMs) return;
    scheduler.after(chance.below(700), disturb);
    const member = members.length > 0 ? chance.pick(members) : null;
    if (member !== null) member.clock.skewMs = hours.changedSkewMs(member.clock.skewMs);
    const what = chance.next();
    if (what < 0.25 && member !== null) kill(member);
    else if (what < 0.5 && members.length < 4) join();
    else if (what < 0.65) rebalance();
    else if (what < 0.85 && member !== null) {
      world.note(member.name, 'is stopped');
      member.clock.pause();
      scheduler.after(chance.below(1500), () => member.clock.resume());
      if (chance.happens(0.7)) scheduler.after(chance.below(300), rebalance);
    } else if (what < 0.95 && member !== null)
      member.clock.deliver(() => void member.shard.flush().catch(() => {}));
  };
  disturb();
  // At any moment a pass over old folders may reach a partition, in whatever state it is by then.
  const leaveFolders = (): void => {
    if (scheduler.nowMs > endMs) return;
    scheduler.after(TIERING_MS, leaveFolders);
    for (const member of members)
      for (const partition of world.partitions.keys())
        member.clock.deliver(
          () => void member.shard.leaveFolders({ topic: world.topic, partition }, ['old']),
        );
  };
  leaveFolders();
  const alter = (): void => {
    const pauseMs = world.alterations.pauseMs();
    if (pauseMs === null) return;
    scheduler.after(pauseMs, () => {
      if (scheduler.nowMs > endMs) return;
      const version = ++world.tableVersion;
      for (const member of members)
        scheduler.after(world.alterations.noticeMs(), () =>
          member.clock.deliver(() => member.learn(version)),
        );
      alter();
    });
  };
  alter();
  const check = (): void => {
    if (chance.happens(0.02)) checkWorld(world);
  };
  await scheduler.runUntil(endMs, check);

  // The world heals: one fresh member takes over from whatever stands, and seals everything.
  world.faults = { lostCalls: 0, latencyMs: 5 };
  for (const member of [...members]) kill(member);
  join();
  await scheduler.runUntil(endMs + 10_000, () => {});
  const last = members[0]!;
  void last.shard.flush();
  await scheduler.runUntil(endMs + 15_000, () => {});
  void last.shard.stop({ drain: true });
  await scheduler.runUntil(endMs + 20_000, () => {});
  if (last.stoppedWith !== null) world.violation(`the last member stopped: ${last.stoppedWith.message}`);
  checkWorld(world);
  checkComplete(world);
  checkManifests(world);
  return {
    seed,
    violations: world.violations,
    records: world.published.length,
    files: world.files.size,
    plans: world.manifests.size,
    kills,
  };
}

function randomPolicy({ chance }: World): SealPolicy {
  return {
    isWindow: false,
    intervalMs: chance.pick([0, 300, 1000]),
    idleMs: chance.pick([0, 400]),
    rowsMax: chance.pick([0, 20, 100]),
    bytesMax: chance.pick([0, 200_000]),
    allowedLatenessMs: chance.pick([0, 60_000]),
    holdBackRecords: chance.pick([0, 60, 400]),
    holdBackBytes: 0,
    holdBackMs: chance.pick([0, 2000]),
  };
}

function randomRecord(world: World, lateHours: number): Omit<LogRecord, 'offset' | 'id'> {
  const { chance, scheduler } = world;
  const kind = chance.happens(0.05) ? 'undecodable' : chance.happens(0.03) ? 'tombstone' : 'row';
  // Hours before the present, so that they close; a few late ones, a few in the future.
  const current = START_HOUR - 3 + Math.floor((scheduler.nowMs - START_HOUR * HOUR_MS) / 2000);
  const late = chance.happens(0.2) ? -chance.below(lateHours + 1) : 0;
  const future = chance.happens(0.01) ? 1000 : 0;
  const isTimed = chance.happens(0.95);
  const timestampMs = scheduler.nowMs - chance.below(1000);
  const hour = isTimed ? current + late + future : Math.floor(timestampMs / HOUR_MS);
  const timeNs = isTimed ? BigInt(hour) * HOUR_NS + BigInt(chance.below(1_000_000)) : null;
  const symbol = `S${chance.below(4)}`;
  return { kind, fails: world.alterations.fails(), symbol, hour, timeNs, timestampMs };
}

/** Holds at every moment: no row or dead letter twice; what the committed record covers stands exactly once. */
function checkWorld(world: World): void {
  const seen = new Map<number, string>();
  for (const file of world.files.values())
    for (const id of file.ids) {
      const other = seen.get(id);
      if (other !== undefined) world.violation(`row ${id} stands in ${other} and in ${file.key}`);
      seen.set(id, file.key);
    }
  world.partitions.forEach((partition, index) => {
    const letters = new Set<number>();
    for (const { offset } of partition.deadLetters) {
      if (letters.has(offset)) world.violation(`dead letter ${index}/${offset} was published twice`);
      letters.add(offset);
    }
    if (partition.committed === null || partition.committed.metadata === '') return;
    const { committed, staircase, tableVersion } = decodeMetadata(
      partition.committed.offset,
      partition.committed.metadata,
    );
    for (const record of partition.records) {
      if (record.kind === 'tombstone') continue;
      if (seen.has(record.id) && letters.has(record.offset))
        world.violation(`row ${record.id} (${index}/${record.offset}) stands in a file and is a dead letter`);
      // Which version has read what lies below the committed offset is history: it was one of them.
      const isEither = record.kind === 'row' && record.fails !== 'never' && record.offset < committed;
      const isLetter = isEither ? letters.has(record.offset) : isUnreadable(record, tableVersion);
      const hour = isLetter ? Number.NEGATIVE_INFINITY : record.hour;
      const covering = hourCovered(staircase, record.offset);
      const isCovered =
        record.offset < committed || (covering > Number.NEGATIVE_INFINITY && hour <= covering);
      if (!isCovered) continue;
      if (!isLetter && !seen.has(record.id))
        world.violation(
          `row ${record.id} (${index}/${record.offset}, hour ${record.hour}) is committed but stands nowhere`,
        );
      if (isLetter && !letters.has(record.offset))
        world.violation(`dead letter ${index}/${record.offset} is committed but was never published`);
    }
  });
}

/** Holds when all is drained: nothing is left out. */
function checkComplete(world: World): void {
  const ids = new Set([...world.files.values()].flatMap((file) => file.ids));
  const dead = world.partitions.map(({ deadLetters }) => new Set(deadLetters.map(({ offset }) => offset)));
  const rows = world.partitions.flatMap(({ records }, index) =>
    records.filter(
      ({ kind, fails, offset }) => kind === 'row' && (fails === 'never' || !dead[index]!.has(offset)),
    ),
  );
  const missing = rows.filter(({ id }) => !ids.has(id));
  if (missing.length > 0)
    world.violation(
      `${missing.length} of ${rows.length} rows were never sealed, first that of offset ${missing[0]!.offset}`,
    );
  const letters = world.partitions.reduce((sum, { deadLetters }) => sum + deadLetters.length, 0);
  const records = world.partitions.reduce(
    (sum, one) => sum + one.records.filter(({ kind }) => kind !== 'tombstone').length,
    0,
  );
  if (letters + ids.size !== records)
    world.violation(`${records} records are ${ids.size} rows and ${letters} dead letters`);
}

/** The manifests of each partition form one chain: no gap, no overlap, counts that add up, and every file is named once. */
function checkManifests(world: World): void {
  const named = new Set<string>();
  world.partitions.forEach((partition, index) => {
    const folder = planManifestsOf('', GROUP, world.topic, index);
    const chain = [...world.manifests]
      .filter(([key]) => key.startsWith(folder))
      .map(([key, content]) => parseManifest(Buffer.from(content), key))
      .sort(
        (a, b) => a.plan.offsetNext - b.plan.offsetNext || a.committedAfter.offset - b.committedAfter.offset,
      );
    let unsealed = 0;
    chain.forEach(({ plan, previousOffsetNext, counts, files }, i) => {
      const name = `plan ${index}/${plan.offsetNext}`;
      const before = i === 0 ? previousOffsetNext : chain[i - 1]!.plan.offsetNext;
      if (previousOffsetNext !== before)
        world.violation(`${name} follows ${previousOffsetNext}, expected ${before}`);
      const records = partition.records.filter(
        ({ offset }) => offset >= previousOffsetNext && offset < plan.offsetNext,
      ).length;
      if (records !== counts.records)
        world.violation(`${name} counts ${counts.records} records of ${records}`);
      const accounted = counts.rowsDecoded + counts.deadLettered + counts.tombstones;
      if (accounted !== records) world.violation(`${name} accounts for ${accounted} of ${records} records`);
      if (unsealed + counts.rowsDecoded !== counts.rowsSealed + counts.rowsUnsealed)
        world.violation(`${name}: rows do not add up`);
      unsealed = counts.rowsUnsealed;
      for (const { path, rows } of files) {
        if (world.files.get(path)?.ids.length !== rows)
          world.violation(`${name}: ${path} has not ${rows} rows`);
        if (named.has(path)) world.violation(`${path} is named twice`);
        named.add(path);
      }
    });
  });
  for (const key of world.files.keys())
    if (!named.has(key)) world.violation(`${key} stands and no plan names it`);
}
