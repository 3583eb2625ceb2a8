// What: the record of a plan below a view's prefix: the partials that the view has of the plan's segments.
// Why: readers see which plans a view's partials cover, and who looks for missing ones compares two listings.
// Invariant: written after all its files; the same plan and definition over the same log give the same bytes.

import { compareSegmentFiles } from './manifest.ts';
import { ENCODER_VERSION, planRecord } from './plan-record.ts';
import type { PlanIdentity, SegmentFile } from './segment.ts';
import { encodeRecord } from './strict-json.ts';

export interface ViewManifest {
  readonly plan: PlanIdentity;
  readonly view: string;
  readonly definition: string;
  /** The table that it reads, and its query. */
  readonly source: string;
  readonly query: string;
  /** Of one kind. `rows` counts groups; times are those of the segment's rows. */
  readonly files: readonly SegmentFile[];
}

export function encodeViewManifest({
  plan,
  view,
  definition,
  source,
  query,
  files,
}: ViewManifest): Uint8Array {
  return encodeRecord({
    format: 'zepto view plan',
    version: 1,
    encoder: ENCODER_VERSION,
    plan: planRecord(plan),
    view,
    definition,
    source,
    query,
    files: files.toSorted(compareSegmentFiles).map(({ symbol, hour, path, rows, bytes, crc32c }) => ({
      symbol,
      hour,
      path,
      rows,
      bytes,
      crc32c,
    })),
  });
}
