// What: which places paths of duckdb('…') reach, what patterns name, and which columns stand in paths.
// Why: a query names any path it likes; only what the operator opened may be read.
// Invariant: nothing outside of the roots is reached, by whatever spelling.

import { mkdir, mkdtemp, realpath, rm, symlink, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { bucketFiles } from '../../connectors/duckdb/bucket-files.ts';
import { matchesName, matchesPath } from '../../connectors/duckdb/glob.ts';
import { pathColumns, valuesInPaths } from '../../connectors/duckdb/hive.ts';
import { localFiles } from '../../connectors/duckdb/local-files.ts';
import { placeOf } from '../../connectors/duckdb/roots.ts';
import { ZeptoError } from '../../src/kernel/errors.ts';

const roots = ['/data/research', 's3://ticks/hdb', 's3://ticks/hdb-*', 's3://open'];
const calm = new AbortController().signal;

const codeOf = async (work: () => unknown): Promise<string> => {
  try {
    await work();
    return 'none';
  } catch (error) {
    return error instanceof ZeptoError ? error.code : String(error);
  }
};

describe('places', () => {
  it.each([
    '/data/research/a.parquet',
    '/data/research/**/*.parquet',
    '/data/research/./a/b.parquet',
    '/data//research/a.parquet',
    's3://ticks/hdb/a.parquet',
    's3://ticks/hdb/**/*.parquet',
    's3://ticks/hdb-quotes/**',
    's3://open/anything',
    's3://open/*',
  ])('reach %s', (path) => {
    expect(placeOf(path, roots).kind).toBe(path.startsWith('s3:') ? 's3' : 'local');
  });

  it.each([
    '/data/research/../secrets/a.parquet',
    '/data/research/**/../../secrets/*',
    '/data/research-secret/a.parquet',
    '/data/research',
    '/data/*/a.parquet',
    '/**/a.parquet',
    '/etc/passwd',
    'a.parquet',
    './a.parquet',
    'research/a.parquet',
    'file:///data/research/a.parquet',
    'http://127.0.0.1/data/research/a.parquet',
    'https://host/a.parquet',
    's3a://ticks/hdb/a.parquet',
    'S3://ticks/hdb/a.parquet',
    's3://other/hdb/a.parquet',
    's3://ticks/secret/a.parquet',
    's3://ticks/hd*/a.parquet',
    's3://ticks/*',
    's3://tick*/hdb/a.parquet',
    's3://ticks/hdb/../secret/a.parquet',
    's3://ticks',
    '/data/research/a.parquet\0.txt',
    "x') UNION ALL SELECT * FROM read_text('/etc/passwd",
    '',
    '  ',
  ])('do not reach %j', async (path) => {
    expect(await codeOf(() => placeOf(path, roots))).toBe('STORE_DENIED');
  });

  it('are none without roots, and the refusal names the setting', () => {
    expect(() => placeOf('/data/a.parquet', [])).toThrow('--duckdb-roots');
  });
});

describe('patterns', () => {
  it.each([
    ['*.parquet', 'a.parquet', true],
    ['*.parquet', 'a.parquet.tmp', false],
    ['?.bin', 'é.bin', true],
    ['[a-c]1', 'b1', true],
    ['[!a-c]1', 'b1', false],
    ['[]', '[]', true],
    ['[a', '[a', true],
    ['a*b*c', 'a-b-b-c', true],
    ['a*b*c', 'a-b-b-d', false],
    ['(a|b)+', '(a|b)+', true],
  ])('%s and %s: %s', (pattern, name, expected) => {
    expect(matchesName(pattern, name)).toBe(expected);
  });

  it.each([
    ['hdb/**/*.parquet', 'hdb/a.parquet', true],
    ['hdb/**/*.parquet', 'hdb/year=2024/day=01/a.parquet', true],
    ['hdb/*/a.parquet', 'hdb/x/y/a.parquet', false],
    ['hdb/**', 'hdb/x/y/a.json', true],
    ['hdb/**/y/**/a', 'hdb/1/y/2/3/a', true],
    ['hdb/*.parquet', 'hdbx/a.parquet', false],
  ])('%s and the path %s: %s', (pattern, path, expected) => {
    expect(matchesPath(pattern, path)).toBe(expected);
  });

  it('of many stars end in few steps', () => {
    expect(matchesName(`${'*a'.repeat(200)}b`, 'a'.repeat(5000))).toBe(false);
  });
});

describe('columns in paths', () => {
  it('are those that every file has, whole numbers where all are', () => {
    const paths = ['/d/year=2024/month=03/symbol=A/x', '/d/year=2025/month=11/symbol=7/x'];
    expect(pathColumns(paths)).toEqual([
      { name: 'year', type: 'INT64' },
      { name: 'month', type: 'INT64' },
      { name: 'symbol', type: 'STRING' },
    ]);
    expect(pathColumns([...paths, '/d/year=2024/x'])).toEqual([{ name: 'year', type: 'INT64' }]);
    expect(
      valuesInPaths('symbol', [...paths, '/symbol=__HIVE_DEFAULT_PARTITION__/x', '/symbol=a%2Fb/x']),
    ).toEqual(['A', '7', null, 'a/b']);
  });
});

describe('local files', () => {
  let home: string;
  beforeAll(async () => {
    home = await realpath(await mkdtemp(join(tmpdir(), 'zepto-duckdb-paths-')));
    for (const folder of ['open/a/b', 'closed', 'open/c'])
      await mkdir(join(home, folder), { recursive: true });
    for (const file of ['open/1.parquet', 'open/a/2.parquet', 'open/a/b/3.parquet', 'closed/4.parquet'])
      await writeFile(join(home, file), 'x');
    await symlink(join(home, 'closed/4.parquet'), join(home, 'open/c/out.parquet'));
    await symlink(join(home, 'open/1.parquet'), join(home, 'open/c/in.parquet'));
    await symlink(join(home, 'closed'), join(home, 'open/folder'));
    await symlink(join(home, 'open'), join(home, 'entrance'));
  });
  afterAll(() => rm(home, { recursive: true, force: true }));

  const names = async (pattern: string, root = 'open'): Promise<string[]> =>
    (await localFiles(pattern, join(home, pattern), [join(home, root)], calm)).map(({ name }) =>
      name.slice(home.length + 1),
    );

  it('come by name, at any depth where ** says so', async () => {
    expect(await names('open/**/[0-9].parquet')).toEqual([
      'open/1.parquet',
      'open/a/2.parquet',
      'open/a/b/3.parquet',
    ]);
    expect(await names('open/*.parquet')).toEqual(['open/1.parquet']);
    expect(await names('open/*/2.parquet')).toEqual(['open/a/2.parquet']);
    expect(await names('open/nothing.parquet')).toEqual([]);
    expect(await names('open/1.parquet/x')).toEqual([]);
    expect(await names('open/a')).toEqual([]);
  });

  it('may be reached by links, which do not lead out', async () => {
    expect(await names('open/c/in.parquet')).toEqual(['open/c/in.parquet']);
    expect(await names('entrance/1.parquet', 'entrance')).toEqual(['entrance/1.parquet']);
    for (const pattern of ['open/c/out.parquet', 'open/c/*', 'open/folder/4.parquet', 'open/*/4.parquet'])
      expect(await codeOf(() => names(pattern))).toBe('STORE_DENIED');
    expect(await names('open/**/4.parquet')).toEqual([]);
  });

  it('are not looked for when the query has ended', async () => {
    const ended = AbortSignal.abort(new Error('over'));
    await expect(localFiles('x', join(home, 'open/*'), [home], ended)).rejects.toThrow('over');
  });
});

describe('objects', () => {
  it('are those of the prefix that the pattern names', async () => {
    const asked: string[] = [];
    const keys = ['hdb/a.parquet', 'hdb/a.parquet.tmp', 'hdb/x/b.parquet', 'hdb/x/'];
    const store = {
      async *list(prefix: string) {
        asked.push(prefix);
        for (const key of keys) if (key.startsWith(prefix)) yield { key, size: 1, etag: key };
      },
    };
    const found = async (pattern: string): Promise<string[]> =>
      (await bucketFiles('p', 'ticks', pattern, store, calm)).map(({ name }) => name);
    expect(await found('hdb/a.parquet')).toEqual(['s3://ticks/hdb/a.parquet']);
    expect(await found('hdb/**/*.parquet')).toEqual([
      's3://ticks/hdb/a.parquet',
      's3://ticks/hdb/x/b.parquet',
    ]);
    expect(await found('hdb/x/**')).toEqual(['s3://ticks/hdb/x/b.parquet']);
    expect(asked).toEqual(['hdb/a.parquet', 'hdb/', 'hdb/x/']);
  });
});
