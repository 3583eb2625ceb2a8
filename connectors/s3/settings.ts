// What: what the S3 store is told, and the defaults of what it need not be told.
// Why: the composition root maps configuration to this; the connector knows no flags' values, only their names in its errors.
// Invariant: every wait, retry and pool has a bound here.

export interface S3Settings {
  /** A name, or the ARN of an access point. */
  readonly bucket: string;
  readonly region: string;
  /** Null: AWS. */
  readonly endpointUrl: string | null;
  readonly usePathStyle: boolean;
  /** Null: the SDK's default chain (environment, profile, SSO, web identity, container, instance), refreshed by it. */
  readonly credentials: S3Credentials | (() => Promise<S3Credentials>) | null;
  /** What another instance's `probe` of the same bucket found; null: nothing yet. With it, a refusal is not believed at once. */
  readonly learned: { readonly conditionalWrites: boolean } | null;
  readonly encryption: S3Encryption;
  /** Null: the bucket's default. */
  readonly storageClass: string | null;
  /** Connections kept alive and used at most; the caller uploads with at most this many at a time. */
  readonly connectionsMax: number;
  /** An object above this goes up in parts. */
  readonly multipartThresholdBytes: number;
  /** At least 5 MiB, which is S3's minimum for all parts but the last. */
  readonly partBytes: number;
  /** Parts of one object in flight. */
  readonly partConcurrency: number;
  /** A connection that makes no progress for this long is given up and the request tried again. */
  readonly stallMs: number;
  /** Back-off between attempts: from the first to the second, with jitter. */
  readonly backoffBaseMs: number;
  readonly backoffCapMs: number;
  /** How long one call goes on trying through passing faults. */
  readonly patienceMs: number;
  /** The same for the probe at start, where a wrong endpoint should be told soon. */
  readonly probePatienceMs: number;
  /** How long a refusal (403, no such bucket) is not believed from a store that has worked before: policies and roles change in steps. */
  readonly deniedPatienceMs: number;
}

export interface S3Credentials {
  readonly accessKeyId: string;
  readonly secretAccessKey: string;
  readonly sessionToken?: string;
  /** When they end; a provider is asked anew some minutes before. */
  readonly expiration?: Date;
}

export type S3Encryption =
  /** What the bucket does by default. */
  | { readonly kind: 'bucket-default' }
  | { readonly kind: 'sse-s3' }
  /** Null: the account's own key for S3. */
  | { readonly kind: 'sse-kms'; readonly keyId: string | null };

const MEBIBYTE = 1024 * 1024;

export const s3Defaults = {
  endpointUrl: null,
  usePathStyle: false,
  credentials: null,
  learned: null,
  encryption: { kind: 'bucket-default' },
  storageClass: null,
  connectionsMax: 32,
  multipartThresholdBytes: 16 * MEBIBYTE,
  partBytes: 8 * MEBIBYTE,
  partConcurrency: 3,
  stallMs: 30_000,
  backoffBaseMs: 100,
  backoffCapMs: 10_000,
  patienceMs: 300_000,
  probePatienceMs: 20_000,
  deniedPatienceMs: 60_000,
} as const satisfies Partial<S3Settings>;
