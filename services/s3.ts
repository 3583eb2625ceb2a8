// What: the S3 service: which server, its keys and its bucket.
// Why: tests, demo and benchmarks need a bucket that is there and credentials that work, not a server's peculiarities.
// Invariant: the bucket exists once start() has resolved; objects are on disk and outlive a restart.

import {
  BucketAlreadyExists,
  BucketAlreadyOwnedByYou,
  CreateBucketCommand,
  S3Client,
} from '@aws-sdk/client-s3';
import type { Report } from './errors.ts';
import type { Server } from './process.ts';
import { openS3Proxy } from './s3proxy.ts';

export const S3_SERVER_NAMES = ['s3proxy', 'versitygw'] as const;
export type S3ServerName = (typeof S3_SERVER_NAMES)[number];

export interface Keys {
  readonly accessKeyId: string;
  readonly secretAccessKey: string;
}

export interface S3Connection extends Keys {
  readonly endpoint: string;
  readonly region: string;
  readonly bucket: string;
}

export interface S3 extends Server {
  readonly server: S3ServerName;
  readonly connection: S3Connection;
}

/** Known to everyone, and of use on 127.0.0.1 only. */
const ROOT_KEYS: Keys = { accessKeyId: 'zeptodb', secretAccessKey: 'zeptodb-on-this-machine-only' };
const REGION = 'us-east-1';
const BUCKET = 'zeptodb-ticks';

/** Prepares the folder and describes the server; nothing runs before `start()`. */
export async function openS3(dir: string, serverName: S3ServerName, report: Report): Promise<S3> {
  const { server, endpoint } = await openS3Proxy(dir, ROOT_KEYS, report);
  const connection: S3Connection = { endpoint, region: REGION, bucket: BUCKET, ...ROOT_KEYS };
  const startServer = server.start;
  return Object.assign(server, {
    server: serverName,
    connection,
    async start(): Promise<void> {
      await startServer();
      await createBucket(connection);
    },
  });
}

/** A client for the connection; the caller destroys it. */
export function s3Client(connection: S3Connection): S3Client {
  const { endpoint, region, accessKeyId, secretAccessKey } = connection;
  return new S3Client({
    endpoint,
    region,
    forcePathStyle: true,
    credentials: { accessKeyId, secretAccessKey },
  });
}

async function createBucket(connection: S3Connection): Promise<void> {
  const client = s3Client(connection);
  try {
    await client.send(new CreateBucketCommand({ Bucket: connection.bucket }));
  } catch (error) {
    if (!(error instanceof BucketAlreadyOwnedByYou || error instanceof BucketAlreadyExists)) throw error;
  } finally {
    client.destroy();
  }
}
