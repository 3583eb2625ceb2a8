// What: docs/configuration.md and schemas/config.schema.json say what the settings table says.
// Why: an operator reads the documents, not the table.
// Invariant: the examples in the document are valid.

import { readFileSync } from 'node:fs';
import { join } from 'node:path';
import { describe, expect, it } from 'vitest';
import { parse } from 'yaml';
import {
  configFileSchema,
  configFileShape,
  effectiveConfigFile,
  legacyDocument,
  settingsDocument,
  tablesDocument,
} from '../../src/config/describe.ts';
import { loadConfig } from '../../src/config/load.ts';
import { expectGeneratedJson, expectGeneratedSection } from '../support/generated.ts';

const DOCUMENT = 'docs/configuration.md';
const shape = configFileShape();

describe('documents', () => {
  it('docs/configuration.md lists the settings as they are', () => {
    expectGeneratedSection(DOCUMENT, 'settings', settingsDocument());
    expectGeneratedSection(DOCUMENT, 'tables', tablesDocument());
    expectGeneratedSection(DOCUMENT, 'legacy', legacyDocument());
  });

  it('schemas/config.schema.json is current', () => {
    expectGeneratedJson('schemas/config.schema.json', configFileSchema());
  });
});

describe('the schema', () => {
  it('accepts the example in the document, which loads', () => {
    const text = readFileSync(join(import.meta.dirname, '../..', DOCUMENT), 'utf8');
    const example = /```yaml\n([\s\S]*?)```/.exec(text)![1]!;
    expect(shape.safeParse(parse(example)).error).toBeUndefined();
    const { config } = loadConfig({ argv: ['--config', 'x'], env: {}, readText: () => example });
    expect(config.tables.map(({ table }) => table.name)).toEqual(['bars', 'trades', 'quotes']);
  });

  it('accepts what --print-config prints', () => {
    const loaded = loadConfig({ argv: ['--brokers', 'a:1', '--group', 'g', '--topics', 'trades'], env: {} });
    expect(shape.safeParse(parse(effectiveConfigFile(loaded))).error).toBeUndefined();
  });

  it.each([
    [{ prot: 1 }],
    [{ port: 70_000 }],
    [{ 'seal-interval': 5 }],
    [{ 'kafka-sasl-password': 'x' }],
    [{ tables: { bars: { colums: [] } } }],
  ])('refuses %j', (file) => {
    expect(shape.safeParse(file).success).toBe(false);
  });
});
