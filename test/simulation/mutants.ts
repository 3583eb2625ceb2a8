// What: bugs to plant, each as a patch of one place in the code.
// Why: a simulation that finds nothing proves something only if it finds these.
// Invariant: each `find` stands exactly once in its file, so a patch that no longer fits is an error and not a mutant that survives.

export interface Mutant {
  readonly name: string;
  readonly file: string;
  readonly find: string;
  readonly replace: string;
}

const EXECUTE = 'src/commit/execute.ts';
const PARTITION = 'src/engine/partition.ts';
const PUBLISHING = 'src/engine/publishing.ts';
const GUARDED_LOG = 'src/engine/guarded-log.ts';

export const mutants: readonly Mutant[] = [
  {
    name: 'commit before upload',
    file: EXECUTE,
    find: `  const files = ports.writer === null ? [] : await ports.writer.write(work, signal);
  const { published, records } = await ports.publication();
  const after = { ...work.after, published };
  const outgoing = { deadLetters: work.deadLetters, published: records };
  await commitRecord(asCommitted(standing), after, outgoing, ports, signal); // THE COMMIT POINT
  held(after);`,
    replace: `  const { published, records } = await ports.publication();
  const after = { ...work.after, published };
  const outgoing = { deadLetters: work.deadLetters, published: records };
  await commitRecord(asCommitted(standing), after, outgoing, ports, signal);
  held(after);
  const files = ports.writer === null ? [] : await ports.writer.write(work, signal);`,
  },
  {
    name: 'intent skipped',
    file: EXECUTE,
    find: `  if (ports.writer !== null && !isAnnounced) {
    await commitRecord(asCommitted(work.before), announced, nothingOutgoing, ports, signal);
    held(announced);
  }
  const standing = ports.writer === null ? work.before : announced;`,
    replace: '  const standing = isAnnounced ? announced : work.before;',
  },
  {
    name: 'unknown commit taken for done',
    file: EXECUTE,
    find: '    await ports.clock.sleep(backoffMs(attempt, 50, 5_000, ports.clock), signal);',
    replace: '    return;',
  },
  {
    name: 'commit over the record of another owner',
    file: EXECUTE,
    find: '    if (!sameCommitted(found, from)) {',
    replace: '    if (from === undefined) {',
  },
  {
    name: 'staircase ignored on replay',
    file: PARTITION,
    find: 'const covered = isReplay ? (offset: number): number => hourCovered(staircase, offset) : null;',
    replace: 'const covered = null;',
  },
  {
    name: 'offset of a plan too high by one',
    file: 'src/commit/plan.ts',
    find: 'step: { hourLast: Number.POSITIVE_INFINITY, offsetNext: view.position },',
    replace: 'step: { hourLast: Number.POSITIVE_INFINITY, offsetNext: view.position + 1 },',
  },
  {
    name: 'committed offset too high by one',
    file: PARTITION,
    find: 'this.hot.offsetFirst ?? step.offsetNext,',
    replace: 'this.hot.offsetFirst === null ? step.offsetNext : this.hot.offsetFirst + 1,',
  },
  {
    name: 'zombie not fenced',
    file: 'test/simulation/world.ts',
    find: "if (epoch !== target.epoch) throw new ZeptoError('FENCED', 'rejoin', 'a newer owner exists');",
    replace: '',
  },
  {
    name: 'offsets read before fencing',
    file: 'test/simulation/member.ts',
    find: 'const taken = await world.call(clock, takeOver, lost);',
    replace: `const committed = await world.call(clock, () => target.committed, lost);
          const taken = { ...(await world.call(clock, takeOver, lost)), committed };`,
  },
  {
    name: 'a run that has ended commits',
    file: GUARDED_LOG,
    find: `      this.parts.run.signal.throwIfAborted();
      return call();`,
    replace: '      return call();',
  },
  {
    name: 'superseded run goes on after a rebalance',
    file: GUARDED_LOG,
    find: 'if (!holds) run.abort(',
    replace: 'if (isOurs === undefined) run.abort(',
  },
  {
    name: 'plan of another owner committed again',
    file: GUARDED_LOG,
    find: 'if (sameCommitted(this.held, { offset, metadata })) return;',
    replace: '',
  },
  {
    name: 'pending plan cut anew on recovery',
    file: PARTITION,
    find: 'return this.plan === null ? this.record.pending : null;',
    replace: 'return null;',
  },
  {
    name: 'late row sealed twice',
    file: 'src/store/hot.ts',
    find: 'hours[row]! > covered(offset[row]!)',
    replace: 'hours[row]! >= covered(offset[row]!)',
  },
  {
    name: 'staircase pruned one step too many',
    file: 'src/commit/staircase.ts',
    find: 'return staircase.filter((step) => step.offsetNext > committed);',
    replace: 'return staircase.filter((step) => step.offsetNext > committed).slice(1);',
  },
  {
    name: 'staircase forgets its higher steps',
    file: 'src/commit/staircase.ts',
    find: 'return [...staircase.filter((other) => other.hourLast > step.hourLast), step];',
    replace: 'return staircase.length < 0 ? staircase : [step];',
  },
  {
    name: 'symbol id assigned locally',
    file: 'src/engine/symbols.ts',
    find: 'return [...(await this.directory.assign(names))];',
    replace: `const ids = names.map((name, i) => this.table.idOf(name) ?? this.table.names.length + i);
        await this.directory.assign(names);
        return ids;`,
  },
  {
    name: 'wall clock for a missing time',
    file: 'test/simulation/member.ts',
    find: 'BigInt(records.timestampMs[i]!)',
    replace: 'BigInt(world.scheduler.nowMs)',
  },
  {
    name: 'manifest names only some of the files',
    file: 'src/engine/plan-writer.ts',
    find: 'const manifest = encodeManifest(manifestOf(work, files));',
    replace: `const some = files.slice(1);
    const part = manifestOf(work, some);
    const rowsSealed = some.reduce((sum, { rows }) => sum + rows, 0);
    const manifest = encodeManifest({ ...part, counts: { ...part.counts, rowsSealed } });`,
  },
  {
    name: 'manifest written before the files',
    file: 'src/engine/plan-writer.ts',
    find: '    const jobs = jobsOf(work, parts.outputs, parts.names);\n',
    replace: `    const jobs = jobsOf(work, parts.outputs, parts.names);
    const nothing = { ...work, segments: [] };
    await patiently(() => writeManifest(work, encodeManifest(manifestOf(nothing, [])), signal), signal);
`,
  },
  {
    name: 'dead letters outside the commit',
    file: 'test/simulation/world.ts',
    find: '    const target = this.partitions[partition]!;\n    if (epoch',
    replace:
      '    const target = this.partitions[partition]!;\n    target.deadLetters.push(...deadLetters);\n    if (epoch',
  },
  {
    name: 'dead letters published again on replay',
    file: PARTITION,
    find: 'if (record.offset < this.coveredBelow) continue;',
    replace: '',
  },
  {
    name: 'pending plan read under the newest version of its table',
    file: PARTITION,
    find: 'this.read(isBound ? record.tableVersion : ports.table.newest);',
    replace: 'this.read(ports.table.newest);',
  },
  {
    name: 'rows that an older version has read',
    file: PARTITION,
    find: '} while (reading !== this.reading);',
    replace: '} while (reading === null);',
  },
  {
    name: 'table altered before what is sealed is let go',
    file: PARTITION,
    find: '(this.record.staircase.length === 0 && this.taken.records === 0)',
    replace: 'this.record.pending === null',
  },
  {
    name: 'commit record without the version of the table',
    file: EXECUTE,
    find: 'announced: { ...before, watermarkHour, pending: step, tableVersion },',
    replace: 'announced: { ...before, watermarkHour, pending: step },',
  },
  {
    name: 'replayed records counted again',
    file: PARTITION,
    find: 'this.countedFrom = this.coveredBelow;',
    replace: 'this.countedFrom = record.committed;',
  },
  {
    name: 'partition altered before readers hear of it',
    file: PARTITION,
    find: 'return !this.isTold || this.position < from',
    replace: 'return this.position < from',
  },
  {
    name: 'folder left by a partition that readers have not heard of',
    file: PARTITION,
    find: '    if (!this.isTold) return false;',
    replace: '',
  },
  {
    name: 'readers hear of the end of a partition that never began',
    file: PARTITION,
    find: '    if (this.isTold) feed.section(',
    replace: '    feed.section(',
  },
  {
    name: 'bucket not published again for a late row',
    file: PUBLISHING,
    find: 'this.lateOf(view.name).add(bucket);',
    replace: 'if (bucket === 0n) this.lateOf(view.name).add(bucket);',
  },
  {
    name: 'late rows of a replay taken for published ones',
    file: PUBLISHING,
    find: 'this.published = { closedMs, offsetNext, offsetSeen: position() };',
    replace: 'this.published = { closedMs, offsetNext: position() + 8, offsetSeen: position() + 8 };',
  },
  {
    name: 'buckets published while their rows are taken in again',
    file: PARTITION,
    find: 'const from = Math.max(this.coveredBelow, this.publishing.offsetSeen);',
    replace: 'const from = this.coveredBelow;',
  },
  {
    name: 'what could not be published is taken for published',
    file: PUBLISHING,
    find: 'closedMs: this.notAfter(before?.closedMs ?? closedMs, [late, this.late]),',
    replace: 'closedMs: before?.closedMs ?? closedMs,',
  },
  {
    name: 'records of a later piece counted with this one',
    file: PARTITION,
    find: 'lowerBound(batch.offset, to, this.countedFrom)',
    replace: 'lowerBound(batch.offset, batch.count, this.countedFrom)',
  },
];
