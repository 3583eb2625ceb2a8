// What: results as one JSON document: this system's own, and ClickHouse's JSON and JSONCompact.
// Why: the original's clients read the first, ClickHouse's the others.
// Invariant: the document is valid when it ends well; one that broke off ends with an `exception` member, which is valid too.

import type { OutputColumn, ResultSet } from '../../src/http-port.ts';
import type { Printer, Style } from './cells.ts';
import { clickhouseType } from './clickhouse-types.ts';
import { exceptionText } from './exception-mark.ts';
import { arrayText, clickhouseJson, keysOf, objectText, ownJson, printersOf } from './json-text.ts';
import type { AboutResult, ResultFormat } from './result-format.ts';
import { TextPieces } from './text-pieces.ts';

const JSON_TYPE = 'application/json; charset=utf-8';

interface Shape {
  style(about: AboutResult): Style;
  head(columns: readonly OutputColumn[]): string;
  row(printers: readonly Printer[], row: number, keys: readonly string[]): string;
  tail(rows: number, result: ResultSet, about: AboutResult): string;
}

const own: Shape = {
  style: () => ownJson,
  head: (columns) => `{"columns":${JSON.stringify(columns.map(({ name }) => name))},"data":[`,
  row: arrayText,
  tail: (rows, { stats }, about) =>
    `],"rows":${rows},"rows_scanned":${stats.rowsScanned},"execution_time_us":${about.elapsedUs().toFixed(2)}}\n`,
};

const clickhouse = (row: Shape['row']): Shape => ({
  style: clickhouseJson,
  head: (columns) =>
    `{"meta":${JSON.stringify(columns.map((column) => ({ name: column.name, type: clickhouseType(column) })))},"data":[`,
  row,
  tail: (rows, { stats }, about) =>
    `],"rows":${rows},"statistics":{"elapsed":${about.elapsedUs() / 1e6},"rows_read":${stats.rowsScanned},"bytes_read":0}}\n`,
});

export const ownJsonFormat: ResultFormat = documentFormat('ZeptoJSON', own);
export const jsonFormat: ResultFormat = documentFormat(
  'JSON',
  clickhouse((printers, row, keys) => objectText(keys, printers, row)),
);
export const jsonCompactFormat: ResultFormat = documentFormat('JSONCompact', clickhouse(arrayText));

function documentFormat(name: string, shape: Shape): ResultFormat {
  return {
    name,
    contentType: JSON_TYPE,
    async *write(result, about) {
      const pieces = new TextPieces();
      const style = shape.style(about);
      const keys = keysOf(result.columns);
      pieces.add(shape.head(result.columns));
      let rows = 0;
      let hasGivenPiece = false;
      try {
        for await (const block of result) {
          const printers = printersOf(block, result.columns, style);
          for (let row = 0; row < block.rows; row++)
            pieces.add((rows++ === 0 ? '' : ',') + shape.row(printers, row, keys));
          const piece = pieces.take();
          if (piece === null) continue;
          hasGivenPiece = true;
          yield piece;
        }
      } catch (error) {
        if (hasGivenPiece) {
          pieces.add(`],"rows":${rows},"exception":${JSON.stringify(exceptionText(error))}}\n`);
          yield pieces.rest();
        }
        throw error;
      }
      pieces.add(shape.tail(rows, result, about));
      yield pieces.rest();
    },
  };
}
