// What: reading FlatBuffers tables, as far as Arrow's metadata needs them (flatbuffers.dev/internals).
// Why: Arrow's metadata is small and its bytes come from outside; a dozen bounded reads are all it takes.
// Invariant: every read is bounded by the view: what points outside throws a RangeError, never reads a neighbour.

/** A table: its position, over the metadata's bytes. */
export interface Table {
  readonly view: DataView;
  readonly at: number;
}

export function rootTable(view: DataView): Table {
  return { view, at: view.getUint32(0, true) };
}

/** Position of a field's value; 0 when the table does not have it. */
function fieldAt({ view, at }: Table, field: number): number {
  const vtable = at - view.getInt32(at, true);
  const slot = 4 + field * 2;
  if (slot + 2 > view.getUint16(vtable, true)) return 0;
  const offset = view.getUint16(vtable + slot, true);
  return offset === 0 ? 0 : at + offset;
}

export function uint8Field(table: Table, field: number, otherwise: number): number {
  const at = fieldAt(table, field);
  return at === 0 ? otherwise : table.view.getUint8(at);
}

export function int16Field(table: Table, field: number, otherwise: number): number {
  const at = fieldAt(table, field);
  return at === 0 ? otherwise : table.view.getInt16(at, true);
}

export function int32Field(table: Table, field: number, otherwise: number): number {
  const at = fieldAt(table, field);
  return at === 0 ? otherwise : table.view.getInt32(at, true);
}

/** As a double: exact up to 2^53, beyond that larger than any buffer. */
export function int64Field(table: Table, field: number, otherwise: number): number {
  const at = fieldAt(table, field);
  return at === 0 ? otherwise : Number(table.view.getBigInt64(at, true));
}

export function tableField(table: Table, field: number): Table | null {
  const at = fieldAt(table, field);
  return at === 0 ? null : { view: table.view, at: at + table.view.getUint32(at, true) };
}

/** Position of the first element and how many there are, of `elementBytes` each; empty when the field is absent. */
export function vectorField(
  table: Table,
  field: number,
  elementBytes: number,
): { at: number; length: number } {
  const { view } = table;
  const at = fieldAt(table, field);
  if (at === 0) return { at: 0, length: 0 };
  const start = at + view.getUint32(at, true);
  const length = view.getUint32(start, true);
  if (start + 4 + length * elementBytes > view.byteLength) throw new RangeError('a vector passes the end');
  return { at: start + 4, length };
}

export function tablesField(table: Table, field: number): Table[] {
  const { view } = table;
  const { at, length } = vectorField(table, field, 4);
  return Array.from({ length }, (_, i) => ({ view, at: at + i * 4 + view.getUint32(at + i * 4, true) }));
}

export function stringField(table: Table, field: number): string {
  const { at, length } = vectorField(table, field, 1);
  return Buffer.from(table.view.buffer, table.view.byteOffset + at, length).toString('utf8');
}
