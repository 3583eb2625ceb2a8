// What: CSV and TSV text → cells.
// Why: INSERT … FORMAT CSV and TSV bring rows as tools write them.
// Invariant: RFC 4180 quoting for commas, ClickHouse's backslashes for tabs; an unquoted \N is NULL.

import { ZeptoError } from '../../src/kernel/errors.ts';

export type Cells = readonly (string | null)[];

/** Rows of cells; blank lines are left out. @throws ZeptoError FORMAT_INVALID for a quote that does not end where its cell does. */
export function parseDelimited(text: string, delimiter: ',' | '\t'): Cells[] {
  return delimiter === ',' ? parseCsv(text) : parseTsv(text);
}

function parseCsv(text: string): Cells[] {
  const rows: Cells[] = [];
  let cells: (string | null)[] = [];
  for (let at = 0; at < text.length; ) {
    const { cell, end } = text[at] === '"' ? quotedCell(text, at, rows.length) : plainCell(text, at);
    cells.push(cell);
    at = end;
    if (text[at] === ',') {
      at++;
      // A delimiter at the very end is followed by an empty cell.
      if (at === text.length || text[at] === '\n' || text[at] === '\r') cells.push('');
      else continue;
    } else if (at < text.length && text[at] !== '\n' && text[at] !== '\r')
      throw invalid(rows.length, 'text stands behind a closing quote');
    if (text[at] === '\r') at++;
    if (text[at] === '\n') at++;
    if (cells.length > 1 || cells[0] !== '') rows.push(cells);
    cells = [];
  }
  return rows;
}

function quotedCell(text: string, start: number, row: number): { cell: string; end: number } {
  let cell = '';
  for (let at = start + 1; ; ) {
    const quote = text.indexOf('"', at);
    if (quote < 0) throw invalid(row, 'a quote is opened and not closed');
    cell += text.slice(at, quote);
    if (text[quote + 1] !== '"') return { cell, end: quote + 1 };
    cell += '"';
    at = quote + 2;
  }
}

const invalid = (row: number, problem: string): ZeptoError =>
  new ZeptoError('FORMAT_INVALID', 'stop', `row ${row + 1}: ${problem}`);

function plainCell(text: string, start: number): { cell: string | null; end: number } {
  let end = start;
  while (end < text.length && text[end] !== ',' && text[end] !== '\n' && text[end] !== '\r') end++;
  const cell = text.slice(start, end);
  return { cell: cell === '\\N' ? null : cell, end };
}

const escapes: Readonly<Record<string, string>> = {
  t: '\t',
  n: '\n',
  r: '\r',
  '\\': '\\',
  '0': '\0',
  "'": "'",
};

function parseTsv(text: string): Cells[] {
  return text
    .split('\n')
    .map((line) => line.replace(/\r$/, ''))
    .filter((line) => line !== '')
    .map((line) =>
      line
        .split('\t')
        .map((cell) =>
          cell === '\\N' ? null : cell.replace(/\\(.)/g, (whole, letter: string) => escapes[letter] ?? whole),
        ),
    );
}
