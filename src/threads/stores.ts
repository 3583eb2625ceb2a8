// What: the object store that the configuration names.
// Why: the shard writes manifests, its encoders write segments, the process probes: all through the same settings.
// Invariant: credentials come from the SDK's default chain and stay inside the connector.

import { s3Defaults } from '../../connectors/s3/settings.ts';
import { createS3Store } from '../../connectors/s3/store.ts';
import type { ColdTierConfig, S3Config } from '../config/config.ts';
import type { Clock } from '../kernel/clock.ts';
import type { Logger, Metrics, ObjectStore } from '../ports.ts';

/** What the probe at start found out about the store. */
export interface StoreAbilities {
  readonly conditionalWrites: boolean;
}

/** `learned` null: the probe is still to come. */
export function openObjectStore(
  cold: ColdTierConfig,
  learned: StoreAbilities | null,
  clock: Clock,
  metrics: Metrics,
  log: Logger,
): ObjectStore {
  return openBucket(cold.s3, Math.max(cold.uploadConcurrency, 2), learned, clock, metrics, log);
}

export function openBucket(
  { bucket, region, endpointUrl, usePathStyle }: Omit<S3Config, 'prefix'>,
  connectionsMax: number,
  learned: StoreAbilities | null,
  clock: Clock,
  metrics: Metrics,
  log: Logger,
): ObjectStore {
  return createS3Store(
    {
      ...s3Defaults,
      bucket,
      region,
      endpointUrl,
      usePathStyle,
      connectionsMax,
      ...(learned === null ? {} : { learned }),
    },
    { clock, metrics, log },
  );
}
