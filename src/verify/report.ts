// What: what a verification found, as plain data.
// Why: the table for people, the JSON for machines and the exit status come from the same facts.
// Invariant: every problem is counted; of very many only the first ones are kept.

export type ProblemKind =
  | 'nothing'
  | 'manifest-unreadable'
  | 'manifest-misplaced'
  | 'gap'
  | 'overlap'
  | 'counts'
  | 'not-committed'
  | 'missing'
  | 'size'
  | 'named-twice'
  | 'unnamed'
  | 'checksum'
  | 'rows'
  | 'unreadable';

export interface Finding {
  readonly kind: ProblemKind | 'unfinished' | 'restart';
  /** The key, folder or partition that it is about. */
  readonly subject: string;
  readonly message: string;
}

/** Sums over the chain of one Kafka partition. */
export interface PartitionSummary {
  readonly group: string;
  readonly topic: string;
  readonly partition: number;
  plans: number;
  /** Where consumption began. */
  offsetFirst: number;
  /** Past the last offset that a plan looked at. */
  offsetNext: number;
  records: number;
  rowsDecoded: number;
  rowsSealed: number;
  /** Rows below offsetNext that no plan has sealed yet. */
  rowsUnsealed: number;
  deadLettered: number;
  tombstones: number;
  files: number;
  bytes: number;
}

export interface VerifyReport {
  readonly isSound: boolean;
  readonly partitions: readonly PartitionSummary[];
  /** Parquet objects, or `.bin` folders, that stand. */
  readonly filesFound: number;
  /** Files whose bytes were read, with `--deep`. */
  readonly filesRead: number;
  /** Local folders that were let go because their rows stand on S3. */
  readonly filesExpired: number;
  readonly problemCount: number;
  readonly problems: readonly Finding[];
  readonly warningCount: number;
  readonly warnings: readonly Finding[];
}

const KEPT_MAX = 1000;

export class Findings {
  readonly problems: Finding[] = [];
  readonly warnings: Finding[] = [];
  problemCount = 0;
  warningCount = 0;

  problem(kind: ProblemKind, subject: string, message: string): void {
    this.problemCount++;
    if (this.problems.length < KEPT_MAX) this.problems.push({ kind, subject, message });
  }

  warning(kind: 'unfinished' | 'restart', subject: string, message: string): void {
    this.warningCount++;
    if (this.warnings.length < KEPT_MAX) this.warnings.push({ kind, subject, message });
  }
}
