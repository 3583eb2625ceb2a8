// What: the symbol table: ids by bytes, provisional codes, growth, names that share a hash slot.
// Why: a wrong id files a tick under another symbol, for ever.
// Invariant: a Map from name to id is the model.

import fc from 'fast-check';
import { expect, test } from 'vitest';
import { HASH_SEED, hashWord, SymbolTable } from '../../src/columns/symbols.ts';
import { SYMBOL_ID_LIMIT } from '../../src/columns/types.ts';

/** The name in the middle of other bytes, right at the end of them with `tail` 0. */
function codeAt(symbols: SymbolTable, name: string, tail: number): number {
  const bytes = Buffer.from(name);
  const buffer = new Uint8Array(5 + bytes.length + tail).fill(0xaa);
  buffer.set(bytes, 5);
  return symbols.codeOf(buffer, 5, bytes.length);
}

test('a learned name has its id wherever its bytes lie', () => {
  const symbols = new SymbolTable();
  const names = ['A', 'AB', 'ABC', 'ABCD', 'ABCDE', 'ABCDEFGH', 'ABCDEFGHI', '', '株', 'é', 'A\0', '\0'];
  for (const [id, name] of names.entries()) symbols.learn(name, id);
  for (const [id, name] of names.entries()) {
    for (const tail of [0, 1, 3, 8]) expect(codeAt(symbols, name, tail)).toBe(id);
    expect(symbols.codeOfName(name)).toBe(id);
    expect(symbols.idOf(name)).toBe(id);
  }
  expect(symbols.unknown).toEqual([]);
  expect(symbols.size).toBe(names.length);
});

test('an unknown name has one provisional code until it is learned or forgotten', () => {
  const symbols = new SymbolTable();
  const code = codeAt(symbols, 'NEW', 4);
  expect(code).toBe(SYMBOL_ID_LIMIT);
  expect(codeAt(symbols, 'NEW', 0)).toBe(code);
  expect(codeAt(symbols, 'NEWER', 4)).toBe(SYMBOL_ID_LIMIT + 1);
  expect(symbols.unknown).toEqual(['NEW', 'NEWER']);
  symbols.learn('NEWER', 0);
  symbols.clearUnknown();
  expect(symbols.unknown).toEqual([]);
  expect(codeAt(symbols, 'NEWER', 4)).toBe(0);
  expect(codeAt(symbols, 'NEW', 4)).toBe(SYMBOL_ID_LIMIT);
});

test('an id that is not the next one, or a name with an id, is an error of the caller', () => {
  const symbols = new SymbolTable();
  symbols.learn('A', 0);
  expect(() => symbols.learn('B', 2)).toThrow('dense');
  expect(() => symbols.learn('A', 1)).toThrow('has an id already');
});

test('a hash made word by word finds what bytes find', () => {
  const symbols = new SymbolTable();
  symbols.learn('EURUSD', 0);
  const view = new DataView(new ArrayBuffer(12));
  new Uint8Array(view.buffer).set(Buffer.from('xEURUSDyyyyy'));
  const hash = hashWord(hashWord(HASH_SEED, view.getInt32(1, true)), view.getInt32(5, true) & 0xffff);
  expect(symbols.findHashed(view, 1, 6, hash)).toBe(0);
  expect(symbols.findHashed(view, 1, 5, hash)).toBe(-1);
});

test('any sequence of look-ups, lessons and clearings answers as a map would', () => {
  const name = fc.oneof(
    fc.string({ maxLength: 9 }),
    fc.nat(3000).map((n) => `S${n}`),
  );
  const step = fc.oneof(
    { weight: 8, arbitrary: fc.record({ kind: fc.constant('look' as const), name }) },
    { weight: 4, arbitrary: fc.record({ kind: fc.constant('learn' as const), name }) },
    { weight: 1, arbitrary: fc.record({ kind: fc.constant('clear' as const), name }) },
    { weight: 1, arbitrary: fc.record({ kind: fc.constant('many' as const), name }) },
  );
  fc.assert(
    fc.property(fc.array(step, { maxLength: 60 }), (steps) => {
      const symbols = new SymbolTable();
      const ids = new Map<string, number>();
      let unknown: string[] = [];
      const learn = (text: string): void => {
        if (ids.has(text)) return;
        symbols.learn(text, ids.size);
        ids.set(text, ids.size);
      };
      const look = (text: string): void => {
        const code = codeAt(symbols, text, text.length % 5);
        // A name learned after it was met keeps its place among the unknown ones, but has its id.
        const known = ids.get(text);
        if (known !== undefined) expect(code).toBe(known);
        else {
          if (!unknown.includes(text)) unknown.push(text);
          expect(code).toBe(SYMBOL_ID_LIMIT + unknown.indexOf(text));
        }
      };
      for (const { kind, name: text } of steps) {
        if (kind === 'look') look(text);
        else if (kind === 'learn') learn(text);
        else if (kind === 'many') for (let i = 0; i < 700; i++) (i % 3 === 0 ? look : learn)(`${text}${i}`);
        else {
          symbols.clearUnknown();
          unknown = [];
        }
      }
      for (const [text, id] of ids) expect(codeAt(symbols, text, 1)).toBe(id);
      expect(symbols.unknown).toEqual(unknown);
    }),
    { numRuns: 150 },
  );
});
