// What: a position in the tokens, with what the grammar would have taken there.
// Why: an error names every alternative without any rule having to list them: the failed tests are the list.
// Invariant: a test that fails does not move; a test that succeeds forgets the alternatives collected so far.

import type { ZeptoError } from '../kernel/errors.ts';
import { excerpt, syntaxError } from './errors.ts';
import { notBareAliases, reservedWords } from './keywords.ts';
import { type Token, type TokenKind, tokenize } from './lexer.ts';
import { nearest } from './nearest.ts';

/** Deepest nesting of expressions and queries, in the text and in the tree: recursive readers of the tree rely on it. */
export const NESTING_MAX = 128;

const EXPECTED_SHOWN_MAX = 16;

export interface CursorOptions {
  readonly lengthMax?: number;
  readonly parameters?: ReadonlyMap<string, string>;
}

export class Cursor {
  readonly sql: string;
  private readonly tokens: readonly Token[];
  private index = 0;
  private expected: string[] = [];
  /** Words that would have fitted too, for suggestions only: `expected` has one name for all of them. */
  private similar: readonly string[] = [];
  /** Rules that are open. */
  private depth = 0;
  /** Height of the tree that the open rule has built so far. */
  private height = 0;
  /** The token that was taken as an alias without AS: often a misspelt keyword. */
  private bareAliasIndex = -1;
  /** By the index of `(`, that of its `)`. Built when first asked for, so that no text is scanned again for each level. */
  private closing: ReadonlyMap<number, number> | null = null;

  /** Values of `{name:Type}` as text; null: parameters stay in the tree. */
  readonly parameters: ReadonlyMap<string, string> | null;

  constructor(sql: string, options: CursorOptions = {}) {
    this.sql = sql;
    this.tokens = tokenize(sql, options.lengthMax);
    this.parameters = options.parameters ?? null;
  }

  get token(): Token {
    return this.tokens[this.index]!;
  }

  get at(): number {
    return this.tokens[this.index]!.at;
  }

  /** The token `distance` ahead, END beyond the last. */
  ahead(distance: number): Token {
    return this.tokens[Math.min(this.index + distance, this.tokens.length - 1)]!;
  }

  /** The token after the parenthesis that closes the one under the cursor; END when none does. */
  afterClosing(): Token {
    this.closing ??= closingParentheses(this.tokens);
    const close = this.closing.get(this.index);
    return close === undefined ? this.tokens.at(-1)! : this.tokens[close + 1]!;
  }

  advance(): Token {
    const token = this.tokens[this.index]!;
    if (token.kind !== 'end') this.index++;
    this.expected.length = 0;
    this.similar = [];
    return token;
  }

  // Looking. `seesWord` and `seesOperator` collect the alternative; `ahead` does not.

  seesWord(word: string): boolean {
    if (this.token.word === word) return true;
    this.expected.push(word);
    return false;
  }

  seesOperator(operator: string): boolean {
    const token = this.token;
    if (token.kind === 'operator' && token.text === operator) return true;
    this.expected.push(`'${operator}'`);
    return false;
  }

  /** Words in a row, as in GROUP BY. */
  seesWords(first: string, ...rest: readonly string[]): boolean {
    const seen = this.token.word === first && rest.every((word, i) => this.ahead(i + 1).word === word);
    if (!seen) this.expected.push([first, ...rest].join(' '));
    return seen;
  }

  /** Collects one alternative that stands for several words. */
  alternative(name: string, words: readonly string[]): void {
    this.expected.push(name);
    this.similar = words;
  }

  // Taking, when it is there.

  acceptWord(word: string): boolean {
    if (!this.seesWord(word)) return false;
    this.advance();
    return true;
  }

  acceptWords(first: string, ...rest: readonly string[]): boolean {
    if (!this.seesWords(first, ...rest)) return false;
    for (let i = 0; i <= rest.length; i++) this.advance();
    return true;
  }

  acceptOperator(operator: string): boolean {
    if (!this.seesOperator(operator)) return false;
    this.advance();
    return true;
  }

  /** A token of the kind, or null; `what` names it in an error. */
  acceptKind(kind: TokenKind, what: string): Token | null {
    if (this.token.kind === kind) return this.advance();
    this.expected.push(what);
    return null;
  }

  /** A name, quoted or not reserved, or null. */
  acceptName(what: string): string | null {
    const token = this.token;
    if (token.kind === 'name' || (token.kind === 'word' && !reservedWords.has(token.word))) {
      this.advance();
      return token.text;
    }
    this.expected.push(what);
    return null;
  }

  /** `AS name` (any word will do after AS), or a bare name that begins no clause; null when there is no alias. */
  acceptAlias(): string | null {
    const token = this.token;
    if (token.word === 'AS') {
      this.advance();
      const named = this.token;
      if (named.kind !== 'word' && named.kind !== 'name') throw this.unexpected('an alias');
      this.advance();
      return named.text;
    }
    // A word is checked against the sets before it is one: `FROM t WHERE` has no alias.
    const bare =
      token.kind === 'name' ||
      (token.kind === 'word' && !reservedWords.has(token.word) && !notBareAliases.has(token.word));
    if (!bare) return null;
    this.bareAliasIndex = this.index;
    this.advance();
    return token.text;
  }

  // Taking, or an error.

  expectWord(...words: readonly string[]): void {
    for (const word of words) if (!this.acceptWord(word)) throw this.unexpected();
  }

  expectOperator(operator: string): void {
    if (!this.acceptOperator(operator)) throw this.unexpected();
  }

  expectName(what: string): string {
    const name = this.acceptName(what);
    if (name === null) throw this.unexpected();
    return name;
  }

  expectKind(kind: TokenKind, what: string): Token {
    const token = this.acceptKind(kind, what);
    if (token === null) throw this.unexpected();
    return token;
  }

  /** One or more, separated by commas. */
  commaList<T>(item: () => T): T[] {
    const items = [item()];
    while (this.acceptOperator(',')) items.push(item());
    return items;
  }

  // Bounds

  /** Runs a rule that may contain itself. */
  nested<T>(rule: () => T): T {
    if (++this.depth > NESTING_MAX) throw this.tooDeep();
    const result = this.apart(() => {
      const built = rule();
      this.height++;
      return built;
    });
    this.depth--;
    if (this.height > NESTING_MAX) throw this.tooDeep();
    return result;
  }

  /** Runs a rule whose tree stands beside what has been built so far, and is not deepened by `chain` with it. */
  apart<T>(rule: () => T): T {
    const beside = this.height;
    this.height = 0;
    const result = rule();
    this.height = Math.max(beside, this.height);
    return result;
  }

  /** Called for an operator that puts all that its rule has built one level deeper: a + b + c, a JOIN b JOIN c. */
  chain(): void {
    if (++this.height > NESTING_MAX) throw this.tooDeep();
  }

  private tooDeep(): ZeptoError {
    return syntaxError(this.sql, this.at, `nested more than ${NESTING_MAX} deep`, {}, 'LIMIT_EXCEEDED');
  }

  // Errors

  /** The current token does not fit; names the alternatives collected here, and `what` first. */
  unexpected(what?: string): ZeptoError {
    const expected = [...new Set(what === undefined ? this.expected : [what, ...this.expected])];
    const token = this.token;
    const got =
      token.kind === 'end' ? 'the end of the statement' : `'${excerpt(this.sql.slice(token.at, token.end))}'`;
    let suggestion = token.kind === 'word' ? this.nearestAlternative(token.word) : null;
    if (suggestion === null && this.bareAliasIndex === this.index - 1 && this.index > 0) {
      const alias = this.ahead(-1).text;
      const keyword = this.nearestAlternative(alias);
      if (keyword !== null) suggestion = `${keyword} instead of '${excerpt(alias)}'`;
    }
    return syntaxError(this.sql, token.at, `${wanted(expected)} but got ${got}`, { expected, suggestion });
  }

  private nearestAlternative(word: string): string | null {
    const byFirstWord = new Map<string, string>(this.similar.map((similar) => [similar, similar]));
    for (const text of this.expected) if (/^[A-Z]/.test(text)) byFirstWord.set(text.split(' ')[0]!, text);
    const found = nearest(word, byFirstWord.keys());
    return found === null ? null : byFirstWord.get(found)!;
  }

  /** A rule that the grammar alone does not express. */
  refuse(at: number, message: string, suggestion: string | null = null): ZeptoError {
    return syntaxError(this.sql, at, message, { suggestion });
  }

  /** Right in form, but of the wrong type. */
  mistyped(at: number, message: string): ZeptoError {
    return syntaxError(this.sql, at, message, {}, 'SQL_TYPE');
  }

  /** Understood, but not offered. */
  unsupported(at: number, message: string): ZeptoError {
    return syntaxError(this.sql, at, message, {}, 'SQL_UNSUPPORTED');
  }
}

function closingParentheses(tokens: readonly Token[]): ReadonlyMap<number, number> {
  const closing = new Map<number, number>();
  const open: number[] = [];
  tokens.forEach((token, index) => {
    if (token.kind !== 'operator') return;
    if (token.text === '(') open.push(index);
    else if (token.text === ')' && open.length > 0) closing.set(open.pop()!, index);
  });
  return closing;
}

function wanted(expected: readonly string[]): string {
  if (expected.length === 0) return 'expected the end of the statement';
  if (expected.length === 1) return `expected ${expected[0]}`;
  const shown = expected.slice(0, EXPECTED_SHOWN_MAX);
  if (shown.length < expected.length) return `expected ${shown.join(', ')}, …`;
  return `expected ${shown.slice(0, -1).join(', ')} or ${shown.at(-1)}`;
}
