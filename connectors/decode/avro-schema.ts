// What: an Avro schema's JSON text as a tree of types, names resolved (Avro 1.12 specification).
// Why: the reader that is compiled from it needs the order and the kind of the bytes, nothing else.
// Invariant: a tree holds only what the specification allows; recursion stands as a shared node, never as endless nesting.

export type AvroType =
  | AvroPrimitive
  | { readonly kind: 'bytes'; readonly logical: Logical }
  | { readonly kind: 'fixed'; readonly size: number; readonly logical: Logical }
  | { readonly kind: 'enum'; readonly symbols: readonly string[] }
  | { readonly kind: 'array' | 'map'; readonly items: AvroType }
  | { readonly kind: 'union'; readonly branches: readonly AvroType[] }
  | AvroRecord;

export interface AvroPrimitive {
  readonly kind: 'null' | 'boolean' | 'int' | 'long' | 'float' | 'double' | 'string';
  readonly logical: Logical;
}

export interface AvroRecord {
  readonly kind: 'record';
  readonly name: string;
  readonly fields: readonly AvroField[];
}

export interface AvroField {
  readonly name: string;
  readonly type: AvroType;
}

/** What an int, long, bytes or fixed stands for; null: itself. Others of the specification change nothing for a column. */
export type Logical =
  | { readonly kind: 'decimal'; readonly scale: number }
  /** Seconds with `scale` decimals: 3 for millis, 6 for micros, 9 for nanos. Local times are taken as UTC. */
  | { readonly kind: 'timestamp'; readonly scale: number }
  | { readonly kind: 'date' }
  | null;

const DEPTH_MAX = 64;
/** Beyond any price; 10^scale is computed. */
const DECIMAL_SCALE_MAX = 100;

const PRIMITIVES = new Set(['null', 'boolean', 'int', 'long', 'float', 'double', 'bytes', 'string']);

const TIMESTAMP_SCALE: Readonly<Record<string, number>> = {
  'timestamp-millis': 3,
  'timestamp-micros': 6,
  'timestamp-nanos': 9,
  'local-timestamp-millis': 3,
  'local-timestamp-micros': 6,
  'local-timestamp-nanos': 9,
};

type Json = Readonly<Record<string, unknown>>;

/** `references` define names that `text` uses, in an order in which each needs only earlier ones. @throws Error saying what is wrong. */
export function parseAvroSchema(text: string, references: readonly string[] = []): AvroType {
  const named = new Map<string, AvroType>();
  for (const reference of references) typeOf(JSON.parse(reference), '', named, 0);
  return typeOf(JSON.parse(text), '', named, 0);
}

function typeOf(schema: unknown, namespace: string, named: Map<string, AvroType>, depth: number): AvroType {
  if (depth > DEPTH_MAX) throw new Error(`types nested more than ${DEPTH_MAX} deep`);
  if (typeof schema === 'string') return namedType(schema, namespace, named);
  if (Array.isArray(schema)) {
    return { kind: 'union', branches: schema.map((branch) => typeOf(branch, namespace, named, depth + 1)) };
  }
  if (typeof schema !== 'object' || schema === null) throw new Error(`no type: ${JSON.stringify(schema)}`);
  const json = schema as Json;
  const { type } = json;
  switch (type) {
    case 'record':
    case 'error':
      return recordType(json, namespace, named, depth);
    case 'enum': {
      const symbols = stringsOf(json.symbols);
      return define(named, fullName(json, namespace), { kind: 'enum', symbols });
    }
    case 'fixed': {
      if (!Number.isSafeInteger(json.size) || (json.size as number) < 0)
        throw new Error('fixed without a size');
      const fixed: AvroType = { kind: 'fixed', size: json.size as number, logical: logicalOf(json) };
      return define(named, fullName(json, namespace), fixed);
    }
    case 'array':
      return { kind: 'array', items: typeOf(json.items, namespace, named, depth + 1) };
    case 'map':
      return { kind: 'map', items: typeOf(json.values, namespace, named, depth + 1) };
    default: {
      const inner = typeOf(type, namespace, named, depth + 1);
      return 'logical' in inner && typeof type === 'string' && PRIMITIVES.has(type)
        ? { ...inner, logical: logicalOf(json) }
        : inner;
    }
  }
}

function recordType(json: Json, namespace: string, named: Map<string, AvroType>, depth: number): AvroType {
  const name = fullName(json, namespace);
  const fields: AvroField[] = [];
  // Defined before its fields are read: they may name it.
  const record = define(named, name, { kind: 'record', name, fields });
  if (!Array.isArray(json.fields)) throw new Error(`record ${name} has no fields`);
  const inner = name.includes('.') ? name.slice(0, name.lastIndexOf('.')) : '';
  for (const field of json.fields as Json[]) {
    if (typeof field?.name !== 'string') throw new Error(`record ${name} has a field without a name`);
    if (fields.some((other) => other.name === field.name))
      throw new Error(`record ${name} has two fields named ${field.name}`);
    fields.push({ name: field.name, type: typeOf(field.type, inner, named, depth + 1) });
  }
  return record;
}

function namedType(name: string, namespace: string, named: Map<string, AvroType>): AvroType {
  if (name === 'bytes') return { kind: 'bytes', logical: null };
  if (PRIMITIVES.has(name)) return { kind: name as AvroPrimitive['kind'], logical: null };
  const type =
    (namespace !== '' && !name.includes('.') ? named.get(`${namespace}.${name}`) : undefined) ??
    named.get(name);
  if (type === undefined) throw new Error(`no type is named ${name}`);
  return type;
}

function define<T extends AvroType>(named: Map<string, AvroType>, name: string, type: T): T {
  if (named.has(name)) throw new Error(`${name} is defined twice`);
  named.set(name, type);
  return type;
}

function fullName(json: Json, namespace: string): string {
  const { name } = json;
  if (typeof name !== 'string' || name === '') throw new Error(`a ${String(json.type)} has no name`);
  if (name.includes('.')) return name;
  const own = typeof json.namespace === 'string' ? json.namespace : namespace;
  return own === '' ? name : `${own}.${name}`;
}

function stringsOf(value: unknown): string[] {
  if (!Array.isArray(value) || !value.every((entry) => typeof entry === 'string'))
    throw new Error('an enum without symbols');
  return value;
}

/** A logical type that does not fit its type is ignored, as the specification asks. */
function logicalOf(json: Json): Logical {
  const { logicalType, type } = json;
  if (logicalType === 'decimal' && (type === 'bytes' || type === 'fixed')) {
    const scale = json.scale ?? 0;
    const precision = json.precision;
    const valid =
      Number.isSafeInteger(precision) &&
      Number.isSafeInteger(scale) &&
      (scale as number) >= 0 &&
      (scale as number) <= Math.min(precision as number, DECIMAL_SCALE_MAX);
    return valid ? { kind: 'decimal', scale: scale as number } : null;
  }
  if (logicalType === 'date' && type === 'int') return { kind: 'date' };
  if (type === 'long' && typeof logicalType === 'string' && Object.hasOwn(TIMESTAMP_SCALE, logicalType))
    return { kind: 'timestamp', scale: TIMESTAMP_SCALE[logicalType]! };
  return null;
}
