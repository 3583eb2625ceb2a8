// What: the chain that the manifests of one Kafka partition form, link by link.
// Why: each plan says where it took over and where it ended, so offsets and counts prove coverage without reading a row.
// Invariant: manifests come in the order of their offsets; only sums and the last link are kept.

import type { PlanManifest } from '../format/manifest.ts';
import type { Findings, PartitionSummary } from './report.ts';

export class Chain {
  readonly summary: PartitionSummary;
  private readonly findings: Findings;
  private last: PlanManifest | null = null;
  private shortfall: string | null = null;
  private hasManyRowsPerRecord = false;

  constructor(summary: PartitionSummary, findings: Findings) {
    this.summary = summary;
    this.findings = findings;
  }

  get name(): string {
    const { group, topic, partition } = this.summary;
    return `${group}/${topic}-${partition}`;
  }

  /** Plans that end at the same offset, in any order. */
  addAll(manifests: readonly PlanManifest[]): void {
    const inOrder = manifests.toSorted(
      (a, b) =>
        a.plan.incarnation - b.plan.incarnation ||
        a.previousOffsetNext - b.previousOffsetNext ||
        a.plan.hourLast - b.plan.hourLast,
    );
    for (const manifest of inOrder) this.add(manifest);
  }

  /** To be called once, after the last plan. */
  end(): void {
    // Formats with several rows per record may have records without any, so only a partition that never shows more tells.
    if (this.shortfall !== null && !this.hasManyRowsPerRecord)
      this.findings.problem('counts', this.name, this.shortfall);
  }

  private add(manifest: PlanManifest): void {
    this.checkLink(manifest);
    const { counts, plan } = manifest;
    const accounted = counts.rowsDecoded + counts.deadLettered + counts.tombstones;
    if (accounted > counts.records) this.hasManyRowsPerRecord = true;
    if (accounted < counts.records)
      this.shortfall ??= `plan ${plan.offsetNext} consumed ${counts.records} records, but rows, dead letters and tombstones are ${accounted}`;
    const { summary } = this;
    if (summary.plans === 0) summary.offsetFirst = manifest.previousOffsetNext;
    summary.plans++;
    summary.offsetNext = plan.offsetNext;
    summary.records += counts.records;
    summary.rowsDecoded += counts.rowsDecoded;
    summary.rowsSealed += counts.rowsSealed;
    summary.rowsUnsealed = counts.rowsUnsealed;
    summary.deadLettered += counts.deadLettered;
    summary.tombstones += counts.tombstones;
    this.last = manifest;
  }

  private checkLink(manifest: PlanManifest): void {
    const { last, findings, name } = this;
    const { plan, previousOffsetNext: from, counts, committedBefore } = manifest;
    if (last === null) {
      const { offset, staircase } = committedBefore;
      if (offset !== from || staircase.length > 0)
        findings.problem('gap', name, `plan ${plan.offsetNext} is the first, but plans went before it`);
      this.checkRows(manifest, 0);
      return;
    }
    if (plan.incarnation !== last.plan.incarnation) {
      const lost = `from ${last.plan.offsetNext} to ${from}`;
      findings.warning(
        'restart',
        name,
        `the group was told to start over (--on-data-loss earliest), ${lost}`,
      );
      this.checkRows(manifest, 0);
      return;
    }
    const end = last.plan.offsetNext;
    if (from > end) {
      const what = `no manifest covers offsets ${end} to ${from - 1}`;
      findings.problem('gap', name, `${what}: plan ${plan.offsetNext} follows on ${from}`);
    } else if (from < end) {
      findings.problem(
        'overlap',
        name,
        `plan ${plan.offsetNext} covers offsets from ${from}, ${end} were covered`,
      );
    } else if (committedBefore.offset !== last.committedAfter.offset) {
      const was = `after the plan before it stood ${last.committedAfter.offset}`;
      findings.problem(
        'overlap',
        name,
        `plan ${plan.offsetNext} started at commit ${committedBefore.offset}, ${was}`,
      );
    } else this.checkRows(manifest, last.counts.rowsUnsealed);
    // After a gap or an overlap the rows cannot add up, and saying so would say it twice.
    if (counts.records === 0 && counts.rowsDecoded > 0)
      findings.problem('counts', name, `plan ${plan.offsetNext} decoded rows of no record`);
  }

  private checkRows({ plan, counts }: PlanManifest, unsealed: number): void {
    const held = unsealed + counts.rowsDecoded;
    const left = counts.rowsSealed + counts.rowsUnsealed;
    if (held === left) return;
    const sum = `${unsealed} unsealed before + ${counts.rowsDecoded} decoded, ${counts.rowsSealed} sealed + ${counts.rowsUnsealed} unsealed after`;
    this.findings.problem('counts', this.name, `plan ${plan.offsetNext}: rows do not add up: ${sum}`);
  }
}
