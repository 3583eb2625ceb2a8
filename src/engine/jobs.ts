// What: segments cut into jobs for the encoder threads.
// Why: several threads share a plan, and an abort is heard soon.
// Invariant: jobs hold all segments, in their order; each at least one.

const JOB_ROWS_MAX = 1_000_000;
const JOB_SEGMENTS_MAX = 256;

/** A job is larger than its bounds only for a single segment. */
export function inJobs<T>(segments: readonly T[], rowsOf: (segment: T) => number): T[][] {
  const jobs: T[][] = [];
  let rows = 0;
  for (const segment of segments) {
    const last = jobs.at(-1);
    if (last === undefined || last.length >= JOB_SEGMENTS_MAX || rows + rowsOf(segment) > JOB_ROWS_MAX) {
      jobs.push([segment]);
      rows = rowsOf(segment);
    } else {
      last.push(segment);
      rows += rowsOf(segment);
    }
  }
  return jobs;
}
