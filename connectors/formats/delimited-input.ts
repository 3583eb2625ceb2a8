// What: CSV and TSV text → cells.
// Why: INSERT … FORMAT CSV and TSV bring rows as tools write them.
// Invariant: RFC 4180 quoting for commas, ClickHouse's backslashes for tabs; an unquoted \N is NULL. A row is made when it is asked for.

import { ZeptoError } from '../../src/kernel/errors.ts';

export type Cells = readonly (string | null)[];

/** Of a row: more than any table has columns, and few enough for an array. */
const CELLS_MAX = 65_536;

/**
 * Rows of cells; blank lines are left out.
 * @throws ZeptoError FORMAT_INVALID for a quote that does not end where its cell does, or a row without end
 */
export function parseDelimited(text: string, delimiter: ',' | '\t'): Generator<Cells> {
  return delimiter === ',' ? parseCsv(text) : parseTsv(text);
}

function* parseCsv(text: string): Generator<Cells> {
  let rows = 0;
  let cells: (string | null)[] = [];
  for (let at = 0; at < text.length; ) {
    const { cell, end } = text[at] === '"' ? quotedCell(text, at, rows) : plainCell(text, at);
    requireRoom(cells.push(cell), rows);
    at = end;
    if (text[at] === ',') {
      at++;
      // A delimiter at the very end is followed by an empty cell.
      if (at === text.length || text[at] === '\n' || text[at] === '\r') cells.push('');
      else continue;
    } else if (at < text.length && text[at] !== '\n' && text[at] !== '\r')
      throw invalid(rows, 'text stands behind a closing quote');
    if (text[at] === '\r') at++;
    if (text[at] === '\n') at++;
    if (cells.length > 1 || cells[0] !== '') {
      yield cells;
      rows++;
    }
    cells = [];
  }
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

function requireRoom(cells: number, row: number): void {
  if (cells > CELLS_MAX) throw invalid(row, `it has more than ${CELLS_MAX} values`);
}

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

function* parseTsv(text: string): Generator<Cells> {
  let rows = 0;
  for (let at = 0; at < text.length; ) {
    const found = text.indexOf('\n', at);
    const end = found < 0 ? text.length : found;
    const line = text.slice(at, text[end - 1] === '\r' && end > at ? end - 1 : end);
    at = end + 1;
    if (line === '') continue;
    const cells = line.split('\t', CELLS_MAX + 1);
    requireRoom(cells.length, rows++);
    yield cells.map((cell) =>
      cell === '\\N' ? null : cell.replace(/\\(.)/g, (whole, letter: string) => escapes[letter] ?? whole),
    );
  }
}
