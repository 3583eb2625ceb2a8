// What: compares a committed file, or the part of it between two markers, with what the code generates.
// Why: documents that are written by hand beside the code grow stale; those that are tested do not.
// Invariant: writes nothing unless UPDATE_GENERATED=1 is set.

import { execFileSync } from 'node:child_process';
import { readFileSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { expect } from 'vitest';

const root = join(import.meta.dirname, '../..');
const updates = process.env.UPDATE_GENERATED === '1';
const hint = 'is not current: run `UPDATE_GENERATED=1 npx vitest run --project offline test/unit`';

/** The text between `<!-- generated: {name} -->` and `<!-- end: {name} -->` in a Markdown file. */
export function expectGeneratedSection(path: string, name: string, generated: string): void {
  const file = join(root, path);
  const text = readFileSync(file, 'utf8');
  const [open, close] = [`<!-- generated: ${name} -->\n`, `<!-- end: ${name} -->\n`];
  const [from, to] = [text.indexOf(open) + open.length, text.indexOf(close)];
  expect(text.includes(open) && to >= from, `${path} has the markers ${open}`).toBe(true);
  compare(path, `${text.slice(0, from)}\n${generated.trim()}\n\n${text.slice(to)}`, text);
}

/** A whole JSON file. */
export const expectGeneratedJson = (path: string, value: unknown): void =>
  expectGeneratedFile(path, JSON.stringify(value, null, 2));

/** A whole file. */
export function expectGeneratedFile(path: string, generated: string): void {
  compare(path, generated, updates ? '' : readFileSync(join(root, path), 'utf8'));
}

/** Both as the repository formats them. */
function compare(path: string, wanted: string, text: string): void {
  const biome = join(root, 'node_modules/@biomejs/biome/bin/biome');
  const formatted = execFileSync(process.execPath, [biome, 'format', `--stdin-file-path=${path}`], {
    cwd: root,
    input: wanted,
    encoding: 'utf8',
  });
  if (updates) writeFileSync(join(root, path), formatted);
  else expect(text, `${path} ${hint}`).toBe(formatted);
}
