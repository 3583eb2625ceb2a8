// What: how JSON formats spell values.
// Why: our own format and ClickHouse's differ in times and in quoting of int64, and in nothing else.
// Invariant: every output is valid JSON; what JSON cannot say (NaN, infinities) is null.

import type { OutputColumn, ResultBlock } from '../../src/http-port.ts';
import { type Printer, printerOf, type Style } from './cells.ts';
import { type AboutResult, isOn } from './result-format.ts';

export const ownJson: Style = {
  null: 'null',
  text: JSON.stringify,
  int64: (digits) => digits,
  time: 'integer',
  timeQuote: '',
  notFinite: () => 'null',
};

export function clickhouseJson({ settings }: AboutResult): Style {
  // Quoted unless asked otherwise: what reads JSON in JavaScript would round them.
  const quotes = settings.output_format_json_quote_64bit_integers;
  const denormals = isOn(settings.output_format_json_quote_denormals);
  return {
    ...ownJson,
    int64: quotes === undefined || isOn(quotes) ? (digits) => `"${digits}"` : ownJson.int64,
    time: 'date-time',
    timeQuote: '"',
    notFinite: denormals ? notFiniteText : ownJson.notFinite,
  };
}

const notFiniteText = (value: number): string =>
  Number.isNaN(value) ? '"nan"' : value > 0 ? '"inf"' : '"-inf"';

export const printersOf = (block: ResultBlock, columns: readonly OutputColumn[], style: Style): Printer[] =>
  block.columns.map((values, i) => printerOf(values, columns[i]!.type, style));

/** `[1,2]` of a row. */
export function arrayText(printers: readonly Printer[], row: number): string {
  let text = '[';
  for (let i = 0; i < printers.length; i++) text += (i === 0 ? '' : ',') + printers[i]!(row);
  return `${text}]`;
}

/** `{"a":1}` of a row; `keys` are quoted, with their colons. */
export function objectText(keys: readonly string[], printers: readonly Printer[], row: number): string {
  let text = '{';
  for (let i = 0; i < printers.length; i++) text += (i === 0 ? '' : ',') + keys[i]! + printers[i]!(row);
  return `${text}}`;
}

export const keysOf = (columns: readonly OutputColumn[]): string[] =>
  columns.map(({ name }) => `${JSON.stringify(name)}:`);
