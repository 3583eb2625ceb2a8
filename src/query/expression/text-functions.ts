// What: the functions of texts.
// Why: a text is a code, so each distinct text is worked on once.
// Invariant: characters are code points, counted from 1; NULL in, NULL out, but for concat.

import { NULL_BOOL, NULL_CODE } from '../../columns/types.ts';
import type { Call } from '../../sql/ast.ts';
import { isText } from '../../sql/type-rules.ts';
import { BOOL, INT64, type SqlType, STRING } from '../../sql/types.ts';
import { type Budget, CHECK_STEPS } from '../run.ts';
import { Scratch } from '../scratch.ts';
import { byCode, requireComputable } from '../texts.ts';
import {
  bigintAt,
  boolVector,
  type IntegerVector,
  intVector,
  scalarAt,
  type TextVector,
  textVector,
  type Vector,
} from '../vector.ts';
import { asText, textWriter } from './cast.ts';
import { symbolId } from './compare.ts';
import { type Compiled, node, type Scope } from './compiled.ts';

type Make = (call: Call, args: readonly Compiled[], scope: Scope) => Compiled;

/** By the registry's name. */
export const textFunctions: Readonly<Record<string, Make>> = {
  lower: (_, [x], scope) => mapped(x!, scope, (text) => cased(text.toLowerCase(), 'lower')),
  upper: (_, [x], scope) => mapped(x!, scope, (text) => cased(text.toUpperCase(), 'upper')),
  trim: (_, [x], scope) => mapped(x!, scope, (text) => text.slice(blanksBefore(text), blanksBehind(text))),
  ltrim: (_, [x], scope) => mapped(x!, scope, (text) => text.slice(blanksBefore(text))),
  rtrim: (_, [x], scope) => mapped(x!, scope, (text) => text.slice(0, blanksBehind(text))),
  length: (_, [x], scope) => measured(x!, scope, (text) => charactersIn(text, text.length)),
  substr: (_, args, scope) => compileSubstr(args, scope),
  replace: (_, args, scope) =>
    ofTexts(STRING, args, scope, ([x, from, to]) => replaced(x!, from!, to!, scope.run.budget)),
  starts_with: (_, args, scope) => ofTexts(BOOL, args, scope, ([x, start]) => x!.startsWith(start!)),
  strpos: (_, args, scope) =>
    ofTexts(INT64, args, scope, ([x, part]) => {
      const at = find(x!, part!, 0, scope.run.budget);
      return at < 0 ? 0 : charactersIn(x!, at) + 1;
    }),
  concat: (_, args, scope) => compileConcat('concat', args, scope),
  symbol_id: (_, [x]) => symbolId(x!),
};

/** Few characters have another case of more units, and none of more than three. */
function cased(text: string, madeBy: string): string {
  requireComputable(text.length, madeBy);
  return text;
}

const BLANK = 0x20;

/** A regular expression would begin anew at each of the blanks within the text. */
function blanksBehind(text: string): number {
  let end = text.length;
  while (end > 0 && text.charCodeAt(end - 1) === BLANK) end--;
  return end;
}

function blanksBefore(text: string): number {
  let start = 0;
  while (text.charCodeAt(start) === BLANK) start++;
  return start;
}

const widthAt = (text: string, unit: number): number => (text.codePointAt(unit)! > 0xffff ? 2 : 1);

/** Characters that begin before `unit`. They are counted where they stand: more of them than an array holds end the process. */
function charactersIn(text: string, unit: number): number {
  let characters = 0;
  for (let at = 0; at < unit; at += widthAt(text, at)) characters++;
  return characters;
}

/** Where the character of this number, from 0, begins. */
function unitOf(text: string, character: number): number {
  let unit = 0;
  for (let passed = 0; passed < character && unit < text.length; passed++) unit += widthAt(text, unit);
  return unit;
}

/** As indexOf, which may go through all of `part` at each place: so few places at a time that the query can be stopped. */
function find(text: string, part: string, from: number, budget: Budget): number {
  const places = Math.ceil(CHECK_STEPS / (part.length + 1));
  for (let at = from; at + part.length <= text.length; at += places) {
    const window = text.slice(at, at + places + part.length - 1);
    const found = window.indexOf(part);
    if (found >= 0) return at + found;
    budget.took((window.length - part.length + 1) * part.length);
  }
  return -1;
}

function replaced(text: string, from: string, to: string, budget: Budget): string {
  if (from === '') return text;
  let made = '';
  let rest = 0;
  for (let at = find(text, from, 0, budget); at >= 0; at = find(text, from, rest, budget)) {
    requireComputable(made.length + at - rest + to.length, 'replace');
    budget.took(at - rest + from.length + to.length);
    made += text.slice(rest, at) + to;
    rest = at + from.length;
  }
  // Nothing was found: the text is none that was computed here.
  if (rest === 0) return text;
  requireComputable(made.length + text.length - rest, 'replace');
  return made + text.slice(rest);
}

function mapped(x: Compiled, { run: { texts } }: Scope, of: (text: string) => string): Compiled {
  const scratch = new Scratch();
  const codeOf = byCode(texts, (text) => texts.codeOf(of(text)));
  return node(STRING, [x], (block) => {
    const { rows } = block;
    const out = scratch.codes(rows);
    const { values } = x.evaluate(block) as TextVector;
    for (let i = 0; i < rows; i++) out[i] = values[i] === NULL_CODE ? NULL_CODE : codeOf(values[i]!);
    return textVector(out);
  });
}

function measured(x: Compiled, { run: { texts } }: Scope, of: (text: string) => number): Compiled {
  const scratch = new Scratch();
  const numberOf = byCode(texts, of);
  return node(INT64, [x], (block) => {
    const { rows } = block;
    const out = scratch.floats(rows);
    const { values } = x.evaluate(block) as TextVector;
    for (let i = 0; i < rows; i++) out[i] = values[i] === NULL_CODE ? Number.NaN : numberOf(values[i]!);
    return intVector(out);
  });
}

/** NULL when an argument is. */
function ofTexts(
  type: SqlType,
  args: readonly Compiled[],
  { run: { texts } }: Scope,
  of: (texts: readonly string[]) => string | number | boolean,
): Compiled {
  const scratch = new Scratch();
  return node(type, args, (block) => {
    const { rows } = block;
    const codes = args.map((arg) => (arg.evaluate(block) as TextVector).values);
    const put = writer(type, rows, scratch, (text) => texts.codeOf(text));
    for (let i = 0; i < rows; i++) {
      const isNull = codes.some((values) => values[i] === NULL_CODE);
      put.set(i, isNull ? null : of(codes.map((values) => texts.read(values[i]!))));
    }
    return put.vector;
  });
}

function writer(
  type: SqlType,
  rows: number,
  scratch: Scratch,
  codeOf: (text: string) => number,
): { vector: Vector; set(row: number, value: string | number | boolean | null): void } {
  switch (type.name) {
    case 'BOOL': {
      const out = scratch.bytes(rows);
      return {
        vector: boolVector(out),
        set: (row, value) => {
          out[row] = value === null ? NULL_BOOL : value ? 1 : 0;
        },
      };
    }
    case 'STRING': {
      const out = scratch.codes(rows);
      return {
        vector: textVector(out),
        set: (row, value) => {
          out[row] = value === null ? NULL_CODE : codeOf(value as string);
        },
      };
    }
    default: {
      const out = scratch.floats(rows);
      return {
        vector: intVector(out),
        set: (row, value) => {
          out[row] = value === null ? Number.NaN : (value as number);
        },
      };
    }
  }
}

/** Numbers as their decimal digits. From position n; a start before the text takes from the length. */
function compileSubstr(args: readonly Compiled[], scope: Scope): Compiled {
  const { texts } = scope.run;
  const text = isText(args[0]!.type) ? args[0]! : asText(args[0]!, scope);
  const scratch = new Scratch();
  return node(STRING, [text, ...args.slice(1)], (block) => {
    const { rows } = block;
    const out = scratch.codes(rows);
    const { values } = text.evaluate(block) as TextVector;
    const bounds = args.slice(1).map((arg) => arg.evaluate(block) as IntegerVector);
    for (let i = 0; i < rows; i++) {
      const [from, length] = bounds.map((vector) => bigintAt(vector, i));
      if (values[i] === NULL_CODE || from === null || length === null) out[i] = NULL_CODE;
      else out[i] = texts.codeOf(substring(texts.read(values[i]!), Number(from), length));
    }
    return textVector(out);
  });
}

/** A negative start counts from the end, as DuckDB has it; a negative length takes what stands before. */
function substring(text: string, from: number, length: bigint | undefined): string {
  const characters = charactersIn(text, text.length);
  let start = from > 0 ? from - 1 : from < 0 ? characters + from : -1;
  let end = length === undefined ? characters : start + Number(length);
  if (end < start) [start, end] = [end, start];
  return text.slice(unitOf(text, start), unitOf(text, end));
}

/** concat leaves NULLs out; || is NULL with one. */
export function compileConcat(name: 'concat' | '||', args: readonly Compiled[], scope: Scope): Compiled {
  const { texts, budget } = scope.run;
  const skipNulls = name === 'concat';
  const scratch = new Scratch();
  const writers = args.map(({ type }) => textWriter(type, texts));
  return node(STRING, args, (block) => {
    const { rows } = block;
    const out = scratch.codes(rows);
    const vectors = args.map((arg) => arg.evaluate(block));
    for (let i = 0; i < rows; i++) {
      const parts = vectors.map((vector, k) =>
        scalarAt(vector, i) === null ? null : writers[k]!(vector, i),
      );
      const isNull = !skipNulls && parts.includes(null);
      let units = 0;
      for (const part of parts) units += part?.length ?? 0;
      requireComputable(units, name);
      budget.took(units);
      out[i] = isNull ? NULL_CODE : texts.codeOf(parts.join(''));
    }
    return textVector(out);
  });
}
