// What: s3proxy, an S3 server over a folder, which needs nothing but Java.
// Why: it is running seconds after a fresh clone, and keeps If-None-Match and multipart uploads right.
// Invariant: one identity with all rights; for users with policies there is versitygw.

import { mkdir, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import type { Report } from './errors.ts';
import { answersHttp } from './http.ts';
import { installS3Proxy } from './install.ts';
import { portsOf } from './ports.ts';
import { openServer, portTaken, type Server } from './process.ts';
import type { Keys } from './sigv4.ts';

export async function openS3Proxy(
  dir: string,
  keys: Keys,
  report: Report,
): Promise<{ server: Server; endpoint: string }> {
  const jar = await installS3Proxy(report);
  const { s3 } = await portsOf(dir, ['s3']);
  const endpoint = `http://127.0.0.1:${s3}`;
  const data = join(dir, 'data');
  const config = join(dir, 's3proxy.properties');
  await mkdir(data, { recursive: true });
  const properties = [
    `s3proxy.endpoint=${endpoint}`,
    's3proxy.authorization=aws-v2-or-v4',
    `s3proxy.identity=${keys.accessKeyId}`,
    `s3proxy.credential=${keys.secretAccessKey}`,
    'jclouds.provider=filesystem-nio2',
    `jclouds.filesystem.basedir=${data}`,
  ];
  await writeFile(config, `${properties.join('\n')}\n`, { mode: 0o600 });
  const server = await openServer({
    name: 's3proxy',
    command: 'java',
    args: ['-Xmx256m', '-jar', jar, '--properties', config],
    dir,
    ready: () => answersHttp(endpoint),
    readyTimeoutMs: 120_000,
    hints: [
      { pattern: portTaken, todo: 'another program took the port meanwhile: start again' },
      { pattern: /UnsupportedClassVersionError/, todo: 's3proxy needs Java 17 or newer: install it' },
    ],
  });
  return { server, endpoint };
}
