// What: the texts of one query as codes: the dictionary's own for symbols and stored strings, further ones for computed texts.
// Why: texts are compared, grouped and joined as 32-bit numbers, and a function of a text is computed once for each distinct one.
// Invariant: within a query, equal texts have equal codes. A code without a name is written as its digits.

import { NULL_CODE, SYMBOL_ID_LIMIT } from '../columns/types.ts';
import { ZeptoError } from '../kernel/errors.ts';
import type { Budget } from './run.ts';
import type { Names } from './snapshot.ts';

/** Beside its characters: an entry in a map and in a list. */
const ENTRY_BYTES = 80;
/** UTF-16 units of a text that a query computes: as many as a statement may have. */
export const COMPUTED_TEXT_MAX = 2 ** 20;
const DIGITS = /^(0|[1-9][0-9]{0,9})$/;

export class Texts {
  readonly budget: Budget;
  private readonly names: Names;
  private readonly own: string[] = [];
  private readonly ownCodes = new Map<string, number>();

  constructor(names: Names, budget: Budget) {
    this.names = names;
    this.budget = budget;
  }

  /** The text of a code; not for NULL_CODE. */
  textOf(code: number): string {
    if (code >= SYMBOL_ID_LIMIT) return this.own[code - SYMBOL_ID_LIMIT]!;
    return this.names.nameOf(code) ?? String(code);
  }

  /** As `textOf`, for who goes through the text: that is a step for each of its units. */
  read(code: number): string {
    const text = this.textOf(code);
    this.budget.took(text.length);
    return text;
  }

  codeOf(text: string): number {
    const own = this.ownCodes.get(text);
    if (own !== undefined) return own;
    const known = this.names.codeOf(text);
    if (known !== undefined) return known;
    if (DIGITS.test(text)) {
      const id = Number(text);
      if (id < SYMBOL_ID_LIMIT && this.names.nameOf(id) === undefined) return id;
    }
    const code = SYMBOL_ID_LIMIT + this.own.length;
    if (code >= NULL_CODE) throw new ZeptoError('LIMIT_EXCEEDED', 'stop', 'a query makes too many texts');
    this.budget.reserve(ENTRY_BYTES + 2 * text.length);
    this.own.push(text);
    this.ownCodes.set(text, code);
    return code;
  }
}

/**
 * To be asked before a text of so many units is made: a few functions one in another make any length of a short statement.
 * @throws ZeptoError LIMIT_EXCEEDED
 */
export function requireComputable(units: number, madeBy: string): void {
  if (units <= COMPUTED_TEXT_MAX) return;
  throw new ZeptoError(
    'LIMIT_EXCEEDED',
    'stop',
    `${madeBy} makes a text of more than ${COMPUTED_TEXT_MAX} characters: take less of its arguments, by substr`,
  );
}

/** By code points, which is the order of the texts' UTF-8 bytes; JavaScript's own order is by UTF-16 units. */
export function compareTexts(left: string, right: string): number {
  const length = Math.min(left.length, right.length);
  for (let i = 0; i < length; i++) {
    const l = left.charCodeAt(i);
    const r = right.charCodeAt(i);
    if (l === r) continue;
    // Units of surrogate pairs stand for code points above all others.
    const lHigh = l >= 0xd800 && l <= 0xdfff;
    const rHigh = r >= 0xd800 && r <= 0xdfff;
    return lHigh === rHigh ? l - r : lHigh ? 1 : -1;
  }
  return left.length - right.length;
}

/** A function of a text, computed once for each code. NULL stays NULL. */
export function byCode<T>(texts: Texts, of: (text: string) => T): (code: number) => T {
  const known = new Map<number, T>();
  return (code) => {
    let result = known.get(code);
    if (result === undefined && !known.has(code)) {
      result = of(texts.read(code));
      known.set(code, result);
    }
    return result as T;
  };
}
