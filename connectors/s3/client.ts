// What: the SDK's client for one bucket, and the address and signature of a plain PUT to it.
// Why: the SDK knows credentials, endpoints, partitions and access points; the frequent request only borrows what it needs.
// Invariant: a bucket whose requests are signed in another way than SigV4 (directory buckets, multi-region access points) has no `direct`.

import { S3Client } from '@aws-sdk/client-s3';
import { NodeHttpHandler } from '@smithy/node-http-handler';
import { type Agents, longestRequestMs } from './request.ts';
import type { S3Credentials, S3Settings } from './settings.ts';
import { createSigner, type Signer } from './sign.ts';

export interface BucketClient {
  readonly sdk: S3Client;
  readonly direct: DirectAccess | null;
  credentials(): Promise<S3Credentials>;
  /** Asks the provider anew, even if what it gave last should still hold. */
  renewCredentials(): Promise<void>;
}

export interface DirectAccess {
  /** Of the bucket: without a trailing slash. */
  readonly url: URL;
  readonly basePath: string;
  readonly signer: Signer;
}

export function createBucketClient(settings: S3Settings, agents: Agents): BucketClient {
  const sdk = new S3Client({
    region: settings.region,
    forcePathStyle: settings.usePathStyle,
    ...(settings.endpointUrl !== null && { endpoint: settings.endpointUrl }),
    ...(settings.credentials !== null && { credentials: settings.credentials }),
    // The composition root decides on the endpoint; the two ways to the bucket must never differ.
    ignoreConfiguredEndpointUrls: true,
    // The caller retries, counts and waits; checksums are given where they are wanted.
    maxAttempts: 1,
    requestChecksumCalculation: 'WHEN_REQUIRED',
    responseChecksumValidation: 'WHEN_SUPPORTED',
    // Its default opens a connection per large request.
    expectContinueHeader: false,
    requestHandler: new NodeHttpHandler({
      httpAgent: agents.http,
      httpsAgent: agents.https,
      socketTimeout: settings.stallMs,
      // The socket's own time-out does not see a server that trickles.
      requestTimeout: longestRequestMs(settings.partBytes, settings.stallMs),
      throwOnRequestTimeout: true,
    }),
  });
  return {
    sdk,
    direct: directAccess(sdk, settings),
    credentials: () => sdk.config.credentials(),
    renewCredentials: async () => {
      await sdk.config.credentials({ forceRefresh: true });
    },
  };
}

function directAccess(sdk: S3Client, settings: S3Settings): DirectAccess | null {
  const endpoint = sdk.config.endpointProvider({
    Bucket: settings.bucket,
    Region: settings.region,
    ForcePathStyle: settings.usePathStyle,
    UseFIPS: false,
    UseDualStack: false,
    ...(settings.endpointUrl !== null && { Endpoint: settings.endpointUrl }),
  });
  const scheme = (endpoint.properties?.authSchemes as readonly AuthScheme[] | undefined)?.[0];
  if (scheme?.name !== 'sigv4') return null;
  const { url } = endpoint;
  return {
    url,
    basePath: url.pathname.replace(/\/+$/, ''),
    signer: createSigner(scheme.signingRegion ?? settings.region, scheme.signingName ?? 's3'),
  };
}

interface AuthScheme {
  readonly name: string;
  readonly signingName?: string;
  readonly signingRegion?: string;
}
