// What: the functions of texts.
// Why: a text is a code, so each distinct text is worked on once.
// Invariant: characters are code points, counted from 1; NULL in, NULL out, but for concat.

import { NULL_BOOL, NULL_CODE } from '../../columns/types.ts';
import type { Call } from '../../sql/ast.ts';
import { isText } from '../../sql/type-rules.ts';
import { BOOL, INT64, type SqlType, STRING } from '../../sql/types.ts';
import { Scratch } from '../scratch.ts';
import { byCode } from '../texts.ts';
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
  lower: (_, [x], scope) => mapped(x!, scope, (text) => text.toLowerCase()),
  upper: (_, [x], scope) => mapped(x!, scope, (text) => text.toUpperCase()),
  trim: (_, [x], scope) => mapped(x!, scope, (text) => text.replace(/^ +| +$/g, '')),
  ltrim: (_, [x], scope) => mapped(x!, scope, (text) => text.replace(/^ +/, '')),
  rtrim: (_, [x], scope) => mapped(x!, scope, (text) => text.replace(/ +$/, '')),
  length: (_, [x], scope) => measured(x!, scope, (text) => [...text].length),
  substr: (_, args, scope) => compileSubstr(args, scope),
  replace: (_, args, scope) =>
    ofTexts(STRING, args, scope, ([x, from, to]) => (from === '' ? x! : x!.split(from!).join(to!))),
  starts_with: (_, args, scope) => ofTexts(BOOL, args, scope, ([x, start]) => x!.startsWith(start!)),
  strpos: (_, args, scope) =>
    ofTexts(INT64, args, scope, ([x, part]) => {
      const at = x!.indexOf(part!);
      return at < 0 ? 0 : [...x!.slice(0, at)].length + 1;
    }),
  concat: (_, args, scope) => compileConcat(args, scope, true),
  symbol_id: (_, [x]) => symbolId(x!),
};

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
      put.set(i, isNull ? null : of(codes.map((values) => texts.textOf(values[i]!))));
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
      else out[i] = texts.codeOf(substring(texts.textOf(values[i]!), Number(from), length));
    }
    return textVector(out);
  });
}

/** A negative start counts from the end, as DuckDB has it; a negative length takes what stands before. */
function substring(text: string, from: number, length: bigint | undefined): string {
  const characters = [...text];
  let start = from > 0 ? from - 1 : from < 0 ? characters.length + from : -1;
  let end = length === undefined ? characters.length : start + Number(length);
  if (end < start) [start, end] = [end, start];
  return characters.slice(Math.max(0, start), Math.max(0, end)).join('');
}

/** concat leaves NULLs out; || is NULL with one. */
export function compileConcat(args: readonly Compiled[], scope: Scope, skipNulls: boolean): Compiled {
  const { texts } = scope.run;
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
      out[i] = isNull ? NULL_CODE : texts.codeOf(parts.join(''));
    }
    return textVector(out);
  });
}
