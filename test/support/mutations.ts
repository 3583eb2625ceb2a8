// What: damage to bytes and to JSON, as fast-check draws it.
// Why: what parses bytes from outside is tried with inputs that are nearly right: those get furthest before they go wrong.
// Invariant: the input is left as it was.

import fc from 'fast-check';

/** One change, wherever it falls in an input of any length. */
export interface Damage {
  /** Where, as a part of the length. */
  readonly at: number;
  readonly kind: 'byte' | 'bit' | 'int32' | 'truncate' | 'extend' | 'delete' | 'repeat';
  readonly value: number;
  readonly isLittle: boolean;
}

/** Lengths and counts that have broken parsers. */
const INTEGERS = [0, 1, -1, -2, 0x7fffffff, -0x80000000, 0x7ffffffe, 0x10000, 0x00ffffff, 0x40000000];
const SLICE_BYTES_MAX = 40;

export const damage: fc.Arbitrary<readonly Damage[]> = fc.array(
  fc.record<Damage>({
    at: fc.oneof(
      fc.double({ min: 0, max: 0.9999, noNaN: true }),
      fc.double({ min: 0.8, max: 0.9999, noNaN: true }),
      fc.double({ min: 0, max: 0.1, noNaN: true }),
    ),
    kind: fc.constantFrom('byte', 'byte', 'bit', 'int32', 'int32', 'truncate', 'extend', 'delete', 'repeat'),
    value: fc.nat(0xffff),
    isLittle: fc.boolean(),
  }),
  { minLength: 1, maxLength: 4 },
);

export function damaged(input: Uint8Array, changes: readonly Damage[]): Buffer {
  return changes.reduce(damagedOnce, Buffer.from(input));
}

function damagedOnce(input: Buffer, { at, kind, value, isLittle }: Damage): Buffer {
  const bytes = Buffer.from(input);
  const position = Math.floor(at * bytes.length);
  const length = 1 + (value % SLICE_BYTES_MAX);
  switch (kind) {
    case 'byte':
      if (position < bytes.length) bytes[position] = [0, 0xff, 0x7f, 0x80][value % 8] ?? value & 0xff;
      return bytes;
    case 'bit':
      if (position < bytes.length) bytes[position]! ^= 1 << (value % 8);
      return bytes;
    case 'int32': {
      if (position + 4 > bytes.length) return bytes;
      const integer = INTEGERS[value % INTEGERS.length]!;
      if (isLittle) bytes.writeInt32LE(integer, position);
      else bytes.writeInt32BE(integer, position);
      return bytes;
    }
    case 'truncate':
      return bytes.subarray(0, position);
    case 'extend':
      return Buffer.concat([bytes, Buffer.alloc(length, value & 0xff)]);
    case 'delete':
      return Buffer.concat([bytes.subarray(0, position), bytes.subarray(position + length)]);
    case 'repeat':
      return Buffer.concat([bytes.subarray(0, position + length), bytes.subarray(position)]);
  }
}

/** What a program of another mind may put where something else belongs. */
const oddValue: fc.Arbitrary<unknown> = fc.oneof(
  fc.constantFrom<unknown>(
    null,
    true,
    -1,
    0,
    0.5,
    1e308,
    2 ** 53,
    -(2 ** 31),
    '',
    '..',
    '../../x',
    'a/b',
    '.hidden',
    'a\0b',
    '__proto__',
    'constructor',
    '9'.repeat(40),
    '9223372036854775808',
    [],
    {},
    [null],
    [[[[[]]]]],
  ),
  fc.jsonValue({ maxDepth: 2 }),
);

export interface JsonDamage {
  /** Which of the values in the document, modulo how many there are. */
  readonly at: number;
  readonly kind: 'replace' | 'remove' | 'add' | 'repeat';
  readonly value: unknown;
}

export const jsonDamage: fc.Arbitrary<readonly JsonDamage[]> = fc.array(
  fc.record<JsonDamage>({
    at: fc.nat(10_000),
    kind: fc.constantFrom('replace', 'replace', 'replace', 'remove', 'add', 'repeat'),
    value: oddValue,
  }),
  { minLength: 1, maxLength: 3 },
);

/** A copy of the document with those values changed. */
export function damagedJson(document: unknown, changes: readonly JsonDamage[]): unknown {
  const root = { document: structuredClone(document) };
  for (const { at, kind, value: odd } of changes) {
    const value = structuredClone(odd);
    const places = placesIn(root);
    const place = places[at % Math.max(1, places.length)];
    if (place === undefined) break;
    const { holder, key } = place;
    const held = holder[key];
    if (kind === 'remove') delete holder[key];
    else if (kind === 'add' && isHolder(held)) held.extra = value;
    else if (kind === 'repeat' && Array.isArray(held)) holder[key] = [...held, ...held];
    else holder[key] = value;
  }
  return root.document;
}

type Holder = Record<string, unknown>;

const isHolder = (value: unknown): value is Holder => typeof value === 'object' && value !== null;

function placesIn(holder: Holder): { holder: Holder; key: string }[] {
  return Object.keys(holder).flatMap((key) => {
    const inner = holder[key];
    return [{ holder, key }, ...(isHolder(inner) ? placesIn(inner) : [])];
  });
}
