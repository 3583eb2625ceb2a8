// What: passing over the bytes of a value that no column takes.
// Why: writers have more fields than a table, nested ones too, and Avro has no field lengths.
// Invariant: time is linear in the bytes passed, whatever counts they claim; depth is bounded.

import { type AvroCursor, readIndex, readLength, readVarint } from './avro-cursor.ts';
import type { AvroType } from './avro-schema.ts';

/** False when the bytes are no such value. */
export type Skip = (cursor: AvroCursor, depth: number) => boolean;

const DEPTH_MAX = 64;

/** For values of no bytes; known by identity, so that a record of nothing but such values costs nothing either. */
const nothing: Skip = () => true;

export function skipperOf(type: AvroType, known = new Map<AvroType, Skip>()): Skip {
  switch (type.kind) {
    case 'null':
      return nothing;
    case 'boolean':
      return skipBytes(1);
    case 'int':
    case 'long':
      return readVarint;
    case 'float':
      return skipBytes(4);
    case 'double':
      return skipBytes(8);
    case 'fixed':
      return skipBytes(type.size);
    case 'bytes':
    case 'string':
      return skipText;
    case 'enum':
      return (cursor) => readIndex(cursor, type.symbols.length) >= 0;
    case 'array':
      return skipBlocks(skipperOf(type.items, known));
    case 'map': {
      const value = skipperOf(type.items, known);
      return skipBlocks((cursor, depth) => skipText(cursor) && value(cursor, depth));
    }
    case 'union': {
      const branches = type.branches.map((branch) => skipperOf(branch, known));
      return (cursor, depth) => {
        const branch = readIndex(cursor, branches.length);
        return branch >= 0 && branches[branch]!(cursor, depth);
      };
    }
    case 'record': {
      const seen = known.get(type);
      if (seen !== undefined) return seen;
      const fields: Skip[] = [];
      const skip: Skip = (cursor, depth) => {
        if (depth > DEPTH_MAX) return false;
        for (const field of fields) if (!field(cursor, depth + 1)) return false;
        return true;
      };
      known.set(type, skip);
      for (const field of type.fields) {
        const skipField = skipperOf(field.type, known);
        if (skipField !== nothing) fields.push(skipField);
      }
      if (fields.length === 0) known.set(type, nothing);
      return known.get(type)!;
    }
  }
}

function skipBytes(bytes: number): Skip {
  if (bytes === 0) return nothing;
  return (cursor) => {
    cursor.p += bytes;
    return cursor.p <= cursor.end;
  };
}

function skipText(cursor: AvroCursor): boolean {
  const length = readLength(cursor);
  cursor.p += length;
  return length >= 0;
}

/** Blocks of items until one of none; a negative count is followed by the block's size in bytes. */
function skipBlocks(item: Skip): Skip {
  return (cursor, depth) => {
    if (depth > DEPTH_MAX) return false;
    for (;;) {
      if (!readVarint(cursor)) return false;
      const { low, high } = cursor;
      if (low === 0 && high === 0) return true;
      if (high < 0) {
        const bytes = readLength(cursor);
        if (bytes < 0) return false;
        cursor.p += bytes;
        continue;
      }
      for (let count = high * 0x100000000 + (low >>> 0); count > 0; count--) {
        const before = cursor.p;
        if (!item(cursor, depth + 1)) return false;
        // Items of no bytes: the count alone would keep us here.
        if (cursor.p === before) break;
      }
    }
  };
}
