// What: versitygw, an S3 server over a folder with an IAM service beside it.
// Why: it enforces policies, so a test can run with the very credential that the documentation asks for.
// Invariant: two processes, the IAM service first: the gateway asks it for every identity but the root's.

import { mkdir } from 'node:fs/promises';
import { join } from 'node:path';
import { type Report, ServiceError } from './errors.ts';
import { answersHttp } from './http.ts';
import { installVersityGw } from './install.ts';
import { portsOf } from './ports.ts';
import { openServer, portTaken, type Server } from './process.ts';
import { fetchSigned, type Keys } from './sigv4.ts';

/** An IAM policy document, or its JSON text. */
export type Policy = string | { readonly Version: string; readonly Statement: readonly object[] };

export interface VersityGw {
  readonly server: Server;
  readonly endpoint: string;
  /** Makes a user who may do what `policy` says and nothing else. */
  createUser(name: string, policy: Policy): Promise<Keys>;
}

/** `dir` holds the gateway, `${dir}-iam` the IAM service. */
export async function openVersityGw(
  dir: string,
  region: string,
  rootKeys: Keys,
  report: Report,
): Promise<VersityGw> {
  const command = await installVersityGw(report);
  const ports = await portsOf(dir, ['s3', 'iam']);
  const endpoint = `http://127.0.0.1:${ports.s3}`;
  const iamEndpoint = `http://127.0.0.1:${ports.iam}/`;
  const iamDir = `${dir}-iam`;
  const iamSocket = join(iamDir, 'iam.sock');
  const iamUsers = join(iamDir, 'users');
  const data = join(dir, 'data');
  await mkdir(data, { recursive: true });
  await mkdir(iamUsers, { recursive: true, mode: 0o700 });
  if (iamSocket.length > 100) {
    throw new ServiceError(
      `The path of the IAM service's socket is too long: ${iamSocket}`,
      'choose a shorter folder (--dir, or TMPDIR)',
    );
  }
  // Keys go by the environment: a command line is open to every user of the machine.
  const env = {
    ROOT_ACCESS_KEY: rootKeys.accessKeyId,
    ROOT_SECRET_KEY: rootKeys.secretAccessKey,
    VGW_REGION: region,
  };
  const hints = [
    { pattern: portTaken, todo: 'another program took the port meanwhile: start again' },
    {
      pattern: /xattr/i,
      todo: 'the data folder needs a file system with extended attributes: set TMPDIR to one on ext4, xfs or APFS',
    },
  ];
  const iam = await openServer({
    name: 'versitygw IAM',
    command,
    args: ['--port', `127.0.0.1:${ports.iam}`, '--quiet', 'iam', '--dir', iamUsers].concat([
      '--private-ports',
      iamSocket,
    ]),
    env,
    dir: iamDir,
    ready: () => answersHttp(iamEndpoint),
    readyTimeoutMs: 60_000,
    hints,
  });
  const gateway = await openServer({
    name: 'versitygw',
    command,
    args: ['--port', `127.0.0.1:${ports.s3}`, '--health', '/health', '--quiet', '--keep-alive'].concat([
      '--iam-standalone-endpoint',
      iamSocket,
      'posix',
      data,
    ]),
    env,
    dir,
    ready: () => answersHttp(`${endpoint}/health`),
    readyTimeoutMs: 60_000,
    hints,
  });
  const startGateway = gateway.start;

  async function iamCall(action: string, parameters: Readonly<Record<string, string>>): Promise<string> {
    const response = await fetchSigned({
      method: 'POST',
      url: iamEndpoint,
      service: 'iam',
      region,
      keys: rootKeys,
      contentType: 'application/x-www-form-urlencoded',
      body: new URLSearchParams({ Action: action, Version: '2010-05-08', ...parameters }).toString(),
    });
    const text = await response.text();
    if (response.ok) return text;
    throw new ServiceError(
      `The IAM service refused ${action} with status ${response.status}.`,
      'read its answer above',
      { detail: text },
    );
  }

  return {
    endpoint,
    server: Object.assign(gateway, {
      async start(): Promise<void> {
        await iam.start();
        await startGateway();
      },
    }),
    async createUser(name, policy) {
      const document = typeof policy === 'string' ? policy : JSON.stringify(policy);
      await iamCall('CreateUser', { UserName: name });
      await iamCall('PutUserPolicy', { UserName: name, PolicyName: 'only', PolicyDocument: document });
      const answer = await iamCall('CreateAccessKey', { UserName: name });
      return {
        accessKeyId: elementText(answer, 'AccessKeyId'),
        secretAccessKey: elementText(answer, 'SecretAccessKey'),
      };
    },
  };
}

function elementText(xml: string, element: string): string {
  const text = new RegExp(`<${element}>([^<]+)</${element}>`).exec(xml)?.[1];
  if (text === undefined) {
    throw new ServiceError(
      `The IAM service's answer has no ${element}.`,
      'check the version of versitygw in services/versions.ts',
    );
  }
  return text;
}
