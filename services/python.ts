// What: a Python with the given packages, in a virtual environment of its own, made once and kept.
// Why: readers and peers of other ecosystems are tested and measured as their users have them: from PyPI.
// Invariant: an environment holds exactly the pinned packages that it is named after; a half-made one is never used.

import { createHash } from 'node:crypto';
import { join } from 'node:path';
import { type Report, ServiceError } from './errors.ts';
import { installOnce, tool } from './install.ts';

/**
 * Returns the path of its `python`. Packages are pip requirements such as `polars==2.1.0`.
 * @throws ServiceError that says what to install when there is no Python, no `venv`, or no way to the package index.
 */
export async function pythonWith(packages: readonly string[], report: Report): Promise<string> {
  const pins = [...packages].sort();
  const hash = createHash('sha256').update(pins.join('\n')).digest('hex').slice(0, 12);
  const dir = await installOnce(`python-${hash}`, 'python.lock', report, async (partial) => {
    await step('python3', ['-m', 'venv', partial], 'make a Python environment', NO_VENV);
    // Packages find one another by the interpreter's path, so the folder may be renamed afterwards.
    const install = ['-m', 'pip', 'install', '--quiet', '--disable-pip-version-check', '--no-input'];
    await step(join(partial, 'bin/python'), [...install, ...pins], `install ${pins.join(', ')}`, NO_INDEX);
  });
  return join(dir, 'bin/python');
}

const NO_VENV =
  'install Python 3.10 or newer with its venv module (Debian, Ubuntu: apt-get install python3 python3-venv; macOS: brew install python) and have `python3` on the PATH';
const NO_INDEX = 'check the network and start again; behind a proxy or a mirror, set up pip (PIP_INDEX_URL)';

async function step(command: string, args: readonly string[], purpose: string, todo: string): Promise<void> {
  try {
    await tool(command, args, purpose);
  } catch (cause) {
    throw new ServiceError(`Could not ${purpose}.`, todo, {
      cause,
      detail: cause instanceof Error ? cause.message : String(cause),
    });
  }
}
