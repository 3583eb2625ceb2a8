// What: name and version of the package, from its package.json.
// Why: the command line and HTTP say the version; it is written down once.
// Invariant: found from the source tree and from the built tree alike.

import { readFileSync } from 'node:fs';
import { dirname, join } from 'node:path';

export interface PackageVersion {
  readonly name: string;
  readonly version: string;
}

export function packageVersion(from: string = import.meta.dirname): PackageVersion {
  for (let folder = from; ; folder = dirname(folder)) {
    try {
      return JSON.parse(readFileSync(join(folder, 'package.json'), 'utf8')) as PackageVersion;
    } catch (error) {
      if (folder === dirname(folder)) throw error;
    }
  }
}
