// What: LIKE and ILIKE patterns as tests of a text.
// Why: a regular expression made of a pattern can backtrack for minutes; this takes at most length × length steps.
// Invariant: `%` is any text, `_` any one character (a code point), the escape character takes their meaning away.

import { nodeError } from '../../sql/errors.ts';

/** A character, or one of the two wildcards. */
type Token = string | typeof ANY_TEXT | typeof ANY_CHARACTER;
const ANY_TEXT = 0;
const ANY_CHARACTER = 1;

/** @throws ZeptoError SQL_TYPE when the pattern ends in the escape character. */
export function likeTest(
  pattern: string,
  escapeCharacter: string | null,
  ignoreCase: boolean,
  at: number,
): (text: string) => boolean {
  const folded = (text: string): string => (ignoreCase ? text.toLowerCase() : text);
  const tokens = tokensOf(folded(pattern), escapeCharacter && folded(escapeCharacter), at);
  const first = tokens.indexOf(ANY_TEXT);
  if (!tokens.includes(ANY_CHARACTER) && (first < 0 || first === tokens.length - 1)) {
    const start = tokens.slice(0, first < 0 ? tokens.length : first).join('');
    return first < 0 ? (text) => folded(text) === start : (text) => folded(text).startsWith(start);
  }
  return (text) => matches([...folded(text)], tokens);
}

function tokensOf(pattern: string, escapeCharacter: string | null, at: number): Token[] {
  const tokens: Token[] = [];
  let escaped = false;
  for (const character of pattern) {
    if (escaped) {
      tokens.push(character);
      escaped = false;
    } else if (character === escapeCharacter) escaped = true;
    else if (character === '_') tokens.push(ANY_CHARACTER);
    else if (character !== '%') tokens.push(character);
    else if (tokens.at(-1) !== ANY_TEXT) tokens.push(ANY_TEXT);
  }
  if (escaped) throw nodeError('SQL_TYPE', at, 'the pattern ends in its escape character');
  return tokens;
}

/** After a mismatch, the last `%` takes one character more: an earlier one never needs to be tried again. */
function matches(text: readonly string[], tokens: readonly Token[]): boolean {
  let t = 0;
  let p = 0;
  let anyAt = -1;
  let resumeAt = 0;
  while (t < text.length) {
    const token = tokens[p];
    if (token === ANY_TEXT) {
      anyAt = p++;
      resumeAt = t;
    } else if (token === ANY_CHARACTER || (token !== undefined && token === text[t])) {
      t++;
      p++;
    } else if (anyAt >= 0) {
      p = anyAt + 1;
      t = ++resumeAt;
    } else return false;
  }
  while (tokens[p] === ANY_TEXT) p++;
  return p === tokens.length;
}
