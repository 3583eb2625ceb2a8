// What: results as lines: JSONEachRow, JSONCompactEachRow, CSV and TSV, with or without a header.
// Why: what is read line by line needs no end to be understood, and streams.
// Invariant: a line is a row; an error after the first piece is marked by lines that no reader takes for rows.

import type { OutputColumn } from '../../src/http-port.ts';
import type { Printer, Style } from './cells.ts';
import { clickhouseType } from './clickhouse-types.ts';
import { exceptionMark, exceptionText } from './exception-mark.ts';
import { arrayText, clickhouseJson, keysOf, objectText, printersOf } from './json-text.ts';
import { type AboutResult, isOn, type ResultFormat } from './result-format.ts';
import { TextPieces } from './text-pieces.ts';

interface Shape {
  style(about: AboutResult): Style;
  /** Lines before the rows. */
  head(columns: readonly OutputColumn[]): string;
  line(printers: readonly Printer[], row: number, keys: readonly string[]): string;
  /** A row that says so, for who asks for errors in the format; null: the format has none. */
  errorRow(error: unknown): string | null;
}

const notFinite = (value: number): string => (Number.isNaN(value) ? 'nan' : value > 0 ? 'inf' : '-inf');

const csv: Style = {
  null: '\\N',
  text: (value) => `"${value.replaceAll('"', '""')}"`,
  int64: (digits) => digits,
  time: 'date-time',
  timeQuote: '"',
  notFinite,
};

const tsvEscapes: Readonly<Record<string, string>> = {
  '\\': '\\\\',
  '\t': '\\t',
  '\n': '\\n',
  '\r': '\\r',
  '\b': '\\b',
  '\f': '\\f',
  '\0': '\\0',
};
const tsvText = (value: string): string =>
  /[\\\t\n\r\b\f\0]/.test(value) ? value.replace(/[\\\t\n\r\b\f\0]/g, (c) => tsvEscapes[c]!) : value;

const tsv: Style = { ...csv, text: tsvText, timeQuote: '' };

function joined(printers: readonly Printer[], row: number, separator: string): string {
  let text = '';
  for (let i = 0; i < printers.length; i++) text += (i === 0 ? '' : separator) + printers[i]!(row);
  return text;
}

const separated = (style: Style, separator: string, headers: 'none' | 'names' | 'types'): Shape => ({
  style: () => style,
  head: (columns) => {
    const line = (texts: readonly string[]): string => `${texts.map(style.text).join(separator)}\n`;
    if (headers === 'none') return '';
    const names = line(columns.map(({ name }) => name));
    return headers === 'names' ? names : names + line(columns.map(clickhouseType));
  },
  line: (printers, row) => joined(printers, row, separator),
  errorRow: () => null,
});

const jsonLines = (line: Shape['line']): Shape => ({
  style: clickhouseJson,
  head: () => '',
  line,
  errorRow: (error) => JSON.stringify({ exception: exceptionText(error) }),
});

const CSV_TYPE = 'text/csv; charset=utf-8';
const TSV_TYPE = 'text/tab-separated-values; charset=utf-8';
const NDJSON_TYPE = 'application/x-ndjson; charset=utf-8';

export const lineFormats: readonly ResultFormat[] = [
  lineFormat(
    'JSONEachRow',
    NDJSON_TYPE,
    jsonLines((printers, row, keys) => objectText(keys, printers, row)),
  ),
  lineFormat('JSONCompactEachRow', NDJSON_TYPE, jsonLines(arrayText)),
  lineFormat('CSV', CSV_TYPE, separated(csv, ',', 'none')),
  lineFormat('CSVWithNames', `${CSV_TYPE}; header=present`, separated(csv, ',', 'names')),
  lineFormat('TabSeparated', TSV_TYPE, separated(tsv, '\t', 'none')),
  lineFormat('TabSeparatedWithNames', TSV_TYPE, separated(tsv, '\t', 'names')),
  lineFormat('TabSeparatedWithNamesAndTypes', TSV_TYPE, separated(tsv, '\t', 'types')),
];

function lineFormat(name: string, contentType: string, shape: Shape): ResultFormat {
  return {
    name,
    contentType,
    async *write(result, about) {
      const pieces = new TextPieces();
      const style = shape.style(about);
      const keys = keysOf(result.columns);
      pieces.add(shape.head(result.columns));
      let hasGivenPiece = false;
      try {
        for await (const block of result) {
          const printers = printersOf(block, result.columns, style);
          for (let row = 0; row < block.rows; row++) pieces.add(`${shape.line(printers, row, keys)}\n`);
          const piece = pieces.take();
          if (piece === null) continue;
          hasGivenPiece = true;
          yield piece;
        }
      } catch (error) {
        if (hasGivenPiece) {
          const row = isOn(about.settings.http_write_exception_in_output_format)
            ? shape.errorRow(error)
            : null;
          if (row !== null) pieces.add(`${row}\n`);
          yield pieces.rest();
          // In one piece, which clients rely on.
          if (row === null) yield exceptionMark(error, about.exceptionTag);
        }
        throw error;
      }
      const rest = pieces.rest();
      if (rest.length > 0) yield rest;
    },
  };
}
