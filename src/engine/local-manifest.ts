// What: writes a manifest to the local folder, whole or not at all.
// Why: plans and views' records of plans stand beside the folders that they list.
// Invariant: a manifest that has its name is complete; one that is there already says the same.

import { basename, dirname, join } from 'node:path';
import { TEMPORARY_FOLDER } from '../format/layout.ts';
import type { SegmentOutputs } from '../format/segment.ts';
import type { Disk } from '../ports.ts';

/** `path`: below the base directory. @throws ZeptoError DISK_FULL, DISK_ERROR */
export async function writeLocalManifest(
  path: string,
  bytes: Uint8Array,
  { baseDirectory, sync }: NonNullable<SegmentOutputs['bin']>,
  disk: Disk,
): Promise<void> {
  const target = join(baseDirectory, path);
  const temporary = join(baseDirectory, TEMPORARY_FOLDER, basename(path));
  await disk.makeDirectory(dirname(target));
  await disk.makeDirectory(dirname(temporary));
  await disk.writeFile(temporary, [bytes], sync);
  if ((await disk.rename(temporary, target)) === 'exists') await disk.remove(temporary);
  if (sync) await disk.syncDirectory(dirname(target));
}
