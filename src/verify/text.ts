// What: a verification as text for people: a table of partitions, then what was found.
// Why: it is read in a terminal and pasted into tickets.
// Invariant: the last line says whether the data is sound.

import type { Finding, VerifyReport } from './report.ts';

const SHOWN_MAX = 50;

export function verifyText(report: VerifyReport): string {
  const { problems, problemCount, warnings, warningCount } = report;
  const lines = table([
    [
      'PARTITION',
      'PLANS',
      'OFFSETS',
      'RECORDS',
      'SEALED ROWS',
      'UNSEALED',
      'DEAD LETTERS',
      'TOMBSTONES',
      'FILES',
      'BYTES',
    ],
    ...report.partitions.map((one) => [
      `${one.group}/${one.topic}-${one.partition}`,
      String(one.plans),
      `${one.offsetFirst}–${one.offsetNext - 1}`,
      String(one.records),
      String(one.rowsSealed),
      String(one.rowsUnsealed),
      String(one.deadLettered),
      String(one.tombstones),
      String(one.files),
      String(one.bytes),
    ]),
  ]);
  if (report.partitions.length === 0) lines.push('(no manifests)');
  lines.push(
    '',
    `${report.filesFound} files stand${report.filesRead > 0 ? `, ${report.filesRead} read` : ''}.`,
  );
  if (report.filesExpired > 0)
    lines.push(`${report.filesExpired} local folders were let go, their rows stand on S3.`);
  lines.push(...list('Warnings', warnings, warningCount), ...list('Problems', problems, problemCount), '');
  lines.push(
    report.isSound
      ? 'SOUND: no gap, no overlap, every file stands as its manifest says, no file without one.'
      : `NOT SOUND: ${problemCount} ${problemCount === 1 ? 'problem' : 'problems'}.`,
  );
  return `${lines.join('\n')}\n`;
}

function list(title: string, findings: readonly Finding[], count: number): string[] {
  if (count === 0) return [];
  const shown = findings.slice(0, SHOWN_MAX).map((one) => `  ${one.kind}: ${one.subject}: ${one.message}`);
  if (count > shown.length) shown.push(`  … and ${count - shown.length} more (--json shows up to 1000)`);
  return ['', `${title} (${count}):`, ...shown];
}

function table(rows: readonly (readonly string[])[]): string[] {
  const widths = rows[0]!.map((_, column) => Math.max(...rows.map((row) => row[column]!.length)));
  return rows.map((row) =>
    row.map((cell, i) => (i === 0 ? cell.padEnd(widths[i]!) : cell.padStart(widths[i]!))).join('  '),
  );
}
