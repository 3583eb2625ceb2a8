// What: the result formats by name.
// Why: a statement names its format, a request may, and a name that is not known is answered with the nearest.
// Invariant: names are found whatever their letter case; no name means this system's own JSON.

import { ZeptoError } from '../../src/kernel/errors.ts';
import { suggestion } from '../../src/kernel/nearest.ts';
import { arrowFileFormat } from './arrow-file.ts';
import { arrowStreamFormat } from './arrow-stream.ts';
import { blocksFormat } from './blocks.ts';
import { jsonCompactFormat, jsonFormat, ownJsonFormat } from './json.ts';
import { lineFormats } from './lines.ts';
import { nativeFormat } from './native.ts';
import { nullFormat } from './null.ts';
import { parquetFormat } from './parquet.ts';
import type { ResultFormat } from './result-format.ts';

const formats: readonly ResultFormat[] = [
  jsonFormat,
  jsonCompactFormat,
  ...lineFormats,
  arrowStreamFormat,
  arrowFileFormat,
  parquetFormat,
  nativeFormat,
  nullFormat,
];

const aliases: Readonly<Record<string, string>> = {
  ndjson: 'jsoneachrow',
  jsonlines: 'jsoneachrow',
  tsv: 'tabseparated',
  tsvwithnames: 'tabseparatedwithnames',
  tsvwithnamesandtypes: 'tabseparatedwithnamesandtypes',
};

const byName = new Map([...formats, blocksFormat].map((format) => [format.name.toLowerCase(), format]));
const names = [...formats.map(({ name }) => name), 'TSV', 'TSVWithNames', 'TSVWithNamesAndTypes'];

/** @throws ZeptoError SQL_UNSUPPORTED with the names that there are */
export function resultFormat(name: string | null): ResultFormat {
  if (name === null) return ownJsonFormat;
  const wanted = name.toLowerCase();
  const found = byName.get(aliases[wanted] ?? wanted);
  if (found !== undefined) return found;
  throw new ZeptoError(
    'SQL_UNSUPPORTED',
    'stop',
    `there is no format ${name}${suggestion(name, names)} Formats: ${names.join(', ')}`,
    { context: { unknown: 'format' } },
  );
}
