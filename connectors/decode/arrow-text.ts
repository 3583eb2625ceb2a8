// What: the strings of Arrow columns, where they lie: plain, large, view and dictionary-encoded.
// Why: text columns give them codes from where they are; other columns read them as quoted numbers and times.
// Invariant: a text lies within its buffer and an index has its entry, or the stream is refused.

import type { ColumnBuffer } from '../../src/columns/batch.ts';
import type { ColumnLoops } from '../../src/columns/column-loops.ts';
import { type ColumnData, isValid } from './arrow-column.ts';
import { ArrowFault, type ArrowType, type Span } from './arrow-stream.ts';
import { type Cause, storeMissing, storeQuoted } from './store.ts';
import type { TargetColumn } from './target.ts';
import type { Texts } from './text-column.ts';

export function isTextType(type: ArrowType): boolean {
  return type.kind === 'utf8' || type.kind === 'large_utf8' || type.kind === 'utf8_view';
}

/** The texts of a batch's field or of a dictionary. @throws ArrowFault when one lies outside its buffer. */
export function textsOf(data: ColumnData, kind: ArrowType['kind'], name: string): Texts {
  const { view, rows } = data;
  const texts = { view, count: rows, start: new Int32Array(rows), length: new Int32Array(rows) };
  if (rows === 0) return texts;
  if (kind === 'utf8_view') locateViews(data, texts, name);
  else locateRuns(data, texts, kind === 'utf8' ? 4 : 8, name);
  if (data.validity >= 0) for (let i = 0; i < rows; i++) if (!isValid(data, i)) texts.length[i] = -1;
  return texts;
}

function locateRuns({ view, rows, buffers }: ColumnData, texts: Texts, bytes: number, name: string): void {
  const [offsets, values] = buffers as [Span, Span | undefined];
  if (values === undefined || offsets.end - offsets.start < (rows + 1) * bytes)
    throw new ArrowFault(`the offsets of ${name} are too short`);
  const limit = values.end - values.start;
  const at = (i: number): number =>
    bytes === 4
      ? view.getInt32(offsets.start + i * 4, true)
      : Number(view.getBigInt64(offsets.start + i * 8, true));
  let from = at(0);
  for (let i = 0; i < rows; i++) {
    const to = at(i + 1);
    if (from < 0 || to < from || to > limit)
      throw new ArrowFault(`a text of ${name} lies outside its buffer`);
    texts.start[i] = values.start + from;
    texts.length[i] = to - from;
    from = to;
  }
}

function locateViews(data: ColumnData, texts: Texts, name: string): void {
  const { view, rows, buffers } = data;
  const [views, ...values] = buffers as [Span, ...Span[]];
  if (views.end - views.start < rows * 16) throw new ArrowFault(`the views of ${name} are too short`);
  for (let i = 0; i < rows; i++) {
    const at = views.start + i * 16;
    const length = view.getInt32(at, true);
    texts.length[i] = length;
    texts.start[i] = at + 4;
    if (length >= 0 && length <= 12) continue;
    const buffer = values[view.getInt32(at + 8, true)];
    const offset = view.getInt32(at + 12, true);
    if (length >= 0 && offset >= 0 && buffer !== undefined && offset + length <= buffer.end - buffer.start)
      texts.start[i] = buffer.start + offset;
    // The view of a null may hold anything.
    else if (isValid(data, i)) throw new ArrowFault(`a text of ${name} lies outside its buffer`);
  }
}

/**
 * Writes for each row the index of its text; −1 where the row is null.
 * @throws ArrowFault for an index that has no entry.
 */
export function dictionaryIndices(
  data: ColumnData,
  index: ArrowType & { kind: 'int' },
  entries: number,
  indices: Int32Array,
  loops: ColumnLoops,
): void {
  const { view, rows } = data;
  const { start, end } = data.buffers[0]!;
  if (end - start < rows * index.bytes) throw new ArrowFault('dictionary indices are too few');
  switch (index.bytes) {
    case 1:
      for (let i = 0; i < rows; i++)
        indices[i] = index.signed ? view.getInt8(start + i) : view.getUint8(start + i);
      break;
    case 2:
      for (let i = 0; i < rows; i++)
        indices[i] = index.signed ? view.getInt16(start + i * 2, true) : view.getUint16(start + i * 2, true);
      break;
    case 4:
      loops.copyValues(view, start, rows, indices, 0);
      break;
    case 8:
      // What does not fit is out of range with its low half too, or its high half is not 0.
      for (let i = 0; i < rows; i++)
        indices[i] = view.getInt32(start + i * 8 + 4, true) === 0 ? view.getInt32(start + i * 8, true) : -1;
      break;
    default:
      throw new ArrowFault('dictionary indices of an unknown width');
  }
  let greatest = -1;
  if (data.validity < 0) {
    // One below 0 is the greatest of all without its sign.
    if (rows > 0) greatest = loops.greatest(indices, rows);
  } else
    for (let i = 0; i < rows; i++) {
      if (isValid(data, i)) greatest = Math.max(greatest, indices[i]! >>> 0);
      else indices[i] = -1;
    }
  if (greatest >= entries) throw new ArrowFault('a dictionary index without an entry');
}

/** Texts in a column that holds none: quoted numbers, booleans, ISO times. */
export function fillQuoted(
  texts: Texts,
  indices: Int32Array | null,
  count: number,
  target: TargetColumn,
  column: ColumnBuffer,
  row: number,
  timestampMs: number,
): Cause {
  for (let i = 0; i < count; i++) {
    const entry = indices === null ? i : indices[i]!;
    const bytes = entry < 0 ? -1 : texts.length[entry]!;
    let cause: Cause;
    if (bytes < 0) cause = storeMissing(target, column, row + i, timestampMs);
    else {
      const { view } = texts;
      const text = Buffer.from(view.buffer, view.byteOffset + texts.start[entry]!, bytes).toString('utf8');
      cause = storeQuoted(target, column, row + i, text);
    }
    if (cause !== null) return cause;
  }
  return null;
}
