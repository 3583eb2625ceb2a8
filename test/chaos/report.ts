// What: the report of a run of chaos, as Markdown.
// Why: what was done and what survived is for people who decide whether to trust the promise.
// Invariant: every figure comes from the run.

import type { Audit } from './audit.ts';
import type { OwnEnd } from './supervised.ts';
import type { Watched } from './watch.ts';

export interface ChaosResult {
  readonly seed: number;
  readonly minutes: number;
  readonly machine: string;
  readonly faults: Readonly<Record<string, number>>;
  readonly faultsInAll: number;
  readonly produced: number;
  readonly undecodable: number;
  readonly starts: number;
  readonly ownEnds: readonly OwnEnd[];
  readonly watched: Watched;
  readonly audits: readonly Audit[];
  readonly lost: number;
  readonly doubled: number;
  readonly seconds: number;
  readonly sound: boolean;
}

export function markdown(result: ChaosResult): string {
  const { seed, minutes, machine, faultsInAll, produced, undecodable, starts, watched, audits, ownEnds } =
    result;
  const faults = Object.entries(result.faults).sort((a, b) => b[1] - a[1]);
  return `# A run of chaos

\`npm run chaos -- --minutes ${minutes} --seed ${seed} --report docs/chaos.md\` wrote this report. Real members, a real broker and a real S3
server on one machine (${machine}); two groups of two members on one topic of 4 partitions, one commits after objects in S3 and
seals each second, the other after fsynced local files and seals each five seconds. A producer numbers its ticks. Faults come one
after the other and overlap. At the end everything is healed, a fresh member of each group takes over what is left, and others
count: DuckDB the ids in Parquet, a reader of the documented layout those in \`.bin\`, a read-committed consumer the dead
letters, \`zepto verify --deep --brokers\` the chain of plans.

| | |
| --- | --- |
| faults | ${faultsInAll} in ${minutes} minutes |
| ticks produced, undecodable records | ${produced.toLocaleString('en')}, ${undecodable.toLocaleString('en')} |
| processes started | ${starts} |
| **lost** | **${result.lost}** |
| **doubled** | **${result.doubled}** |
| SQL answers in the midst of it, with a row twice | ${watched.answers.toLocaleString('en')}, ${watched.violations.length} |
| SQL asked of a member that could not answer | ${watched.refusals.toLocaleString('en')} |
| seconds, with the audit | ${Math.round(result.seconds)} |

| group | rows in files | lost | doubled | under their own symbol | \`zepto verify --deep\` |
| --- | --- | --- | --- | --- | --- |
${audits.map((one) => `| ${one.group} | ${one.rows.toLocaleString('en')} | ${one.lost} | ${one.doubled} | ${one.misplaced ? 'no' : 'yes'} | ${one.verified ? 'sound' : 'NOT SOUND'} |`).join('\n')}

Dead letters: ${audits[0]!.deadLetters} of ${audits[0]!.deadLettersExpected} expected (each group writes its own).

| fault | times |
| --- | --- |
${faults.map(([kind, times]) => `| ${kind} | ${times} |`).join('\n')}

${ownEnds.length === 0 ? 'No member ended by itself.' : `${ownEnds.length} times a member ended by itself and was started again, as an orchestrator does.`}
`;
}
