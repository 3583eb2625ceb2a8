// What: the text of one value of a result, by its type and by the style of a format.
// Why: the printer of a column is chosen once for each block; its loop only calls it.
// Invariant: integers and decimals are exact; a float is the shortest text that reads back as the same double.

import type { ResultValues, SqlType } from '../../src/http-port.ts';
import { formatFixed } from '../../src/kernel/fixed.ts';

/** How a format spells what others spell differently. */
export interface Style {
  readonly null: string;
  /** A text, quoted and escaped. */
  text(value: string): string;
  /** int64; called with decimal digits. */
  int64(digits: string): string;
  /** Event times: nanoseconds since 1970 UTC as an integer, or as date and time. */
  readonly time: 'integer' | 'date-time';
  /** Around a date and time. */
  readonly timeQuote: string;
  /** What is neither finite nor NULL. */
  notFinite(value: number): string;
}

/** The text of the value in a row. */
export type Printer = (row: number) => string;

export function printerOf(column: ResultValues, type: SqlType, style: Style): Printer {
  const { nulls } = column;
  const print = valuePrinter(column, type, style);
  if (nulls === null) return print;
  return (row) => (nulls[row] === 1 ? style.null : print(row));
}

function valuePrinter(column: ResultValues, type: SqlType, style: Style): Printer {
  switch (column.kind) {
    case 'int':
      return intPrinter(column.values, type, style);
    case 'float': {
      const { values } = column;
      return (row) => floatText(values[row]!, style);
    }
    case 'bool': {
      const { values } = column;
      return (row) => (values[row] === 1 ? 'true' : 'false');
    }
    case 'text': {
      const { codes, texts } = column;
      // A text stands in many rows; it is quoted once.
      const quoted: string[] = [];
      return (row) => {
        const code = codes[row]!;
        quoted[code] ??= style.text(texts[code]!);
        return quoted[code];
      };
    }
  }
}

function intPrinter(values: BigInt64Array | Float64Array, type: SqlType, style: Style): Printer {
  if (type.name === 'DECIMAL') {
    const { scale } = type;
    return (row) => decimalText(BigInt(values[row]!), scale);
  }
  if (type.name === 'TIMESTAMP_NS') {
    if (style.time === 'integer') return (row) => String(values[row]!);
    const { timeQuote } = style;
    const text = dateTimes();
    return (row) => `${timeQuote}${text(BigInt(values[row]!))}${timeQuote}`;
  }
  if (type.name === 'INT64') return (row) => style.int64(String(values[row]!));
  return (row) => String(values[row]!);
}

/** Without zeros at its end, as ClickHouse prints decimals. */
function decimalText(value: bigint, scale: number): string {
  const text = formatFixed(value, scale);
  return text.includes('.') ? text.replace(/\.?0+$/, '') : text;
}

function floatText(value: number, style: Style): string {
  return Number.isFinite(value) ? String(value).replace('e+', 'e') : style.notFinite(value);
}

const SECOND_NS = 1_000_000_000n;

/** `2024-03-21 05:20:00.000000001`, UTC. Neighbouring rows mostly share their second, whose text is kept. */
function dateTimes(): (ns: bigint) => string {
  let lastSecond = 0n;
  let prefix = '1970-01-01 00:00:00.';
  return (ns) => {
    let second = ns / SECOND_NS;
    let nanos = ns % SECOND_NS;
    if (nanos < 0n) {
      second -= 1n;
      nanos += SECOND_NS;
    }
    if (second !== lastSecond) {
      lastSecond = second;
      prefix = `${new Date(Number(second) * 1000).toISOString().slice(0, 19).replace('T', ' ')}.`;
    }
    return prefix + String(nanos).padStart(9, '0');
  };
}
