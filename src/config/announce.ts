// What: the line that says at start that the cold tier is on, and where it writes.
// Why: operators and their log searches know this line from the original system, word for word.
// Invariant: fixed format; no credential is part of it, because none is part of the configuration.

import type { ColdTierConfig } from './config.ts';

export function coldTierLine({ format, layout, ageHours, deleteLocalAfterS3, s3 }: ColdTierConfig): string {
  return (
    `Cold tier S3 Parquet sink ENABLED: format=${format} layout=${layout} age_hours=${ageHours} ` +
    `delete_local=${deleteLocalAfterS3} bucket=${s3.bucket} region=${s3.region} prefix=${s3.prefix} ` +
    `endpoint=${s3.endpointUrl ?? '<aws>'} path_style=${s3.usePathStyle}`
  );
}
