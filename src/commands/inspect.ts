// What: `zepto inspect`: one commit record or one file, decoded for a person.
// Why: when something is odd at night, the bytes must speak without a debugger.
// Invariant: reads one thing and writes nothing but its description.

import { stat } from 'node:fs/promises';
import { join, resolve } from 'node:path';
import { parseArgs } from 'node:util';
import { localDisk } from '../../connectors/fs/disk.ts';
import { SEGMENT_RECORD_FILE } from '../format/segment-record.ts';
import { ZeptoError } from '../kernel/errors.ts';
import { type Described, describedText, describeFile, describeMetadata } from '../verify/describe.ts';

const HELP = `zepto inspect – show what a commit record, a plan or a file says

  zepto inspect metadata 'zepto1 0 a6nc - - 1c2d3e4f' --offset 1200   Offset metadata of a group
  zepto inspect _plans/…/00000000000000001200-….json                 A plan's manifest
  zepto inspect hdb/42/1711000800000000000                           A .bin segment's folder
  zepto inspect hdb/42/1711000800000000000/price.bin                 One column's header
  zepto inspect 42-476256-….parquet                                  A Parquet file's footer

  --offset N                  The committed offset that the metadata belongs to.
  --json                      As JSON.
  -h, --help                  This text.

Exit status: 0 done, 1 it cannot be read, 2 wrong usage.
`;

/** @throws ZeptoError CONFIG_INVALID for wrong usage, or why it cannot be read. */
export async function runInspect(args: readonly string[]): Promise<number> {
  const { values, positionals } = readArguments(args);
  if (values.help) {
    process.stdout.write(HELP);
    return 0;
  }
  const described = await describe(positionals, values.offset);
  process.stdout.write(values.json ? `${JSON.stringify(described)}\n` : describedText(described));
  return 0;
}

function readArguments(args: readonly string[]) {
  try {
    return parseArgs({
      args: [...args],
      allowPositionals: true,
      options: {
        offset: { type: 'string' },
        json: { type: 'boolean', default: false },
        help: { type: 'boolean', short: 'h', default: false },
      },
    });
  } catch (cause) {
    throw usage(cause instanceof Error ? cause.message : String(cause));
  }
}

async function describe(words: readonly string[], offset: string | undefined): Promise<Described> {
  const [first, ...rest] = words;
  if (first === undefined) throw usage('name a file, or metadata TEXT --offset N');
  const isMetadata = first === 'metadata' || /^zepto\d+ /.test(first);
  if (!isMetadata) {
    if (rest.length > 0) throw usage('one file at a time');
    return describePath(resolve(first));
  }
  const text = first === 'metadata' ? rest.join(' ') : words.join(' ');
  if (offset === undefined || !/^\d{1,15}$/.test(offset))
    throw usage('the metadata is checked against its offset: add --offset N');
  return describeMetadata(Number(offset), text);
}

async function describePath(path: string): Promise<Described> {
  const isFolder = await stat(path).then(
    (found) => found.isDirectory(),
    () => false, // the read below says what is wrong with it
  );
  const file = isFolder ? join(path, SEGMENT_RECORD_FILE) : path;
  const bytes = await localDisk.readFile(file);
  if (bytes === null) throw new ZeptoError('DISK_ERROR', 'stop', `there is no file ${file}`);
  return describeFile(bytes, file);
}

const usage = (problem: string): ZeptoError =>
  new ZeptoError('CONFIG_INVALID', 'stop', `${problem}. See zepto inspect --help`);
