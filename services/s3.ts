// What: the S3 service: which server, its keys and its bucket.
// Why: tests, demo and benchmarks need a bucket that is there and credentials that work, not a server's peculiarities.
// Invariant: the bucket exists once start() has resolved; objects are on disk and outlive a restart.

import { type Report, ServiceError } from './errors.ts';
import type { Server } from './process.ts';
import { openS3Proxy } from './s3proxy.ts';
import { fetchSigned, type Keys } from './sigv4.ts';
import { openVersityGw, type Policy } from './versitygw.ts';

export const S3_SERVER_NAMES = ['s3proxy', 'versitygw'] as const;
export type S3ServerName = (typeof S3_SERVER_NAMES)[number];

export interface S3Connection extends Keys {
  readonly endpoint: string;
  readonly region: string;
  readonly bucket: string;
}

export interface S3 extends Server {
  /** The root's: all rights. Clients need path-style addressing. */
  readonly connection: S3Connection;
  /** Makes a user with one policy and returns the connection with its keys; versitygw only. */
  createUser(options: { readonly name: string; readonly policy: Policy }): Promise<S3Connection>;
}

/** Known to everyone, and of use on 127.0.0.1 only. */
const ROOT_KEYS: Keys = { accessKeyId: 'zeptodb', secretAccessKey: 'zeptodb-on-this-machine-only' };
const REGION = 'us-east-1';
const BUCKET = 'zeptodb-ticks';

/** Prepares the folder and describes the server; nothing runs before `start()`. */
export async function openS3(dir: string, serverName: S3ServerName, report: Report): Promise<S3> {
  const opened =
    serverName === 's3proxy'
      ? { ...(await openS3Proxy(dir, ROOT_KEYS, report)), createUser: refuseUser }
      : await openVersityGw(dir, REGION, ROOT_KEYS, report);
  const connection: S3Connection = {
    endpoint: opened.endpoint,
    region: REGION,
    bucket: BUCKET,
    ...ROOT_KEYS,
  };
  const startServer = opened.server.start;
  return Object.assign(opened.server, {
    connection,
    async start(): Promise<void> {
      await startServer();
      await createBucket(connection);
    },
    async createUser({ name, policy }: { name: string; policy: Policy }): Promise<S3Connection> {
      return { ...connection, ...(await opened.createUser(name, policy)) };
    },
  });
}

async function refuseUser(): Promise<never> {
  throw new ServiceError(
    's3proxy knows one identity only.',
    "start versitygw for tests of users and policies: { s3Server: 'versitygw' }, or --s3 versitygw",
  );
}

async function createBucket({ endpoint, region, bucket, ...keys }: S3Connection): Promise<void> {
  const url = `${endpoint}/${bucket}`;
  const response = await fetchSigned({ method: 'PUT', url, service: 's3', region, keys });
  const text = await response.text();
  // 409: it is there since an earlier start.
  if (response.ok || response.status === 409) return;
  throw new ServiceError(
    `The S3 server refused to make the bucket (status ${response.status}).`,
    'read its answer above',
    { detail: text },
  );
}
