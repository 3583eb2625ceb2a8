// What: where a file of the repository lies, seen from a benchmark, compiled or not.
// Why: benchmarks start Python scripts and the built program; compiled ones lie deeper.
// Invariant: paths are from the repository's root.

import { join } from 'node:path';

const root = join(import.meta.dirname.replace(/\bdist\/bench\/bench$/, 'bench'), '..');

export const inRepository = (path: string): string => join(root, path);
