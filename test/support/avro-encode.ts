// What: records encoded by avsc in the schema registry's framing, int64 as bigint.
// Why: the encoder in Avro tests must not be ours.
// Invariant: a long goes through eight bytes, never through a double.

import avro from 'avsc';

const exactLong = avro.types.LongType.__with({
  fromBuffer: (buffer: Buffer) => buffer.readBigInt64LE(),
  toBuffer: (value: bigint) => {
    const buffer = Buffer.alloc(8);
    buffer.writeBigInt64LE(value);
    return buffer;
  },
  fromJSON: BigInt,
  toJSON: String,
  isValid: (value: unknown) => typeof value === 'bigint',
  compare: (a: bigint, b: bigint) => (a < b ? -1 : a > b ? 1 : 0),
});

/** avsc's type; unions are always written as {branch: value}. */
export function avroType(schema: unknown): avro.Type {
  return avro.Type.forSchema(schema as avro.Schema, {
    wrapUnions: true,
    typeHook: (inner) =>
      inner === 'long' || (inner as { type?: unknown }).type === 'long' ? exactLong : undefined,
  });
}

export function framed(id: number, record: Uint8Array): Uint8Array {
  const header = Buffer.alloc(5);
  header.writeUInt32BE(id, 1);
  return Buffer.concat([header, record]);
}
