// What: LIKE and ILIKE patterns as tests of a text.
// Why: a regular expression made of a pattern can backtrack for minutes; this takes at most length × length steps, and can be stopped.
// Invariant: `%` is any text, `_` any one character (a code point), the escape character takes their meaning away.

import type { Like } from '../../sql/ast.ts';
import { nodeError } from '../../sql/errors.ts';
import { type Budget, CHECK_STEPS } from '../run.ts';

/** A code point, or one of the two wildcards. */
type Token = number;
const ANY_TEXT: Token = -1;
const ANY_CHARACTER: Token = -2;
const TOKEN_BYTES = 8;

/** @throws ZeptoError SQL_TYPE when the pattern ends in the escape character; the test throws as the budget does. */
export function likeTest(
  pattern: string,
  { escape: escapeCharacter, ignoreCase, at }: Pick<Like, 'escape' | 'ignoreCase' | 'at'>,
  budget: Budget,
): (text: string) => boolean {
  const folded = (text: string): string => (ignoreCase ? text.toLowerCase() : text);
  budget.reserve(TOKEN_BYTES * pattern.length);
  const tokens = tokensOf(folded(pattern), escapeCharacter && folded(escapeCharacter), at);
  const first = tokens.indexOf(ANY_TEXT);
  if (!tokens.includes(ANY_CHARACTER) && (first < 0 || first === tokens.length - 1)) {
    let start = '';
    for (const token of tokens) if (token !== ANY_TEXT) start += String.fromCodePoint(token);
    return first < 0 ? (text) => folded(text) === start : (text) => folded(text).startsWith(start);
  }
  let steps = 0;
  const step = (): void => {
    if (++steps % CHECK_STEPS === 0) budget.check();
  };
  return (text) => matches(folded(text), tokens, step);
}

function tokensOf(pattern: string, escapeCharacter: string | null, at: number): Token[] {
  const tokens: Token[] = [];
  let escaped = false;
  for (const character of pattern) {
    const point = character.codePointAt(0)!;
    if (escaped) {
      tokens.push(point);
      escaped = false;
    } else if (character === escapeCharacter) escaped = true;
    else if (character === '_') tokens.push(ANY_CHARACTER);
    else if (character !== '%') tokens.push(point);
    else if (tokens.at(-1) !== ANY_TEXT) tokens.push(ANY_TEXT);
  }
  if (escaped) throw nodeError('SQL_TYPE', at, 'the pattern ends in its escape character');
  return tokens;
}

const widthOf = (point: number): number => (point > 0xffff ? 2 : 1);

/** After a mismatch, the last `%` takes one character more: an earlier one never needs to be tried again. */
function matches(text: string, tokens: readonly Token[], step: () => void): boolean {
  let t = 0;
  let p = 0;
  let anyAt = -1;
  let resumeAt = 0;
  while (t < text.length) {
    step();
    const token = tokens[p];
    const point = text.codePointAt(t)!;
    if (token === ANY_TEXT) {
      anyAt = p++;
      resumeAt = t;
    } else if (token === ANY_CHARACTER || token === point) {
      t += widthOf(point);
      p++;
    } else if (anyAt >= 0) {
      p = anyAt + 1;
      resumeAt += widthOf(text.codePointAt(resumeAt)!);
      t = resumeAt;
    } else return false;
  }
  while (tokens[p] === ANY_TEXT) p++;
  return p === tokens.length;
}
