// What: where Avro decoders get writer schemas from.
// Why: a registry over HTTP in production, a table of schemas in tests and benchmarks.
// Invariant: an id means the same schema for ever, so an answer may be kept for ever.

export interface SchemaSource {
  /**
   * The writer schema of an id as Avro JSON text; null when the registry says that there is none.
   * @throws ZeptoError SCHEMA_UNAVAILABLE: retry when the registry cannot be reached, stop when it refuses us.
   */
  avroSchema(id: number): Promise<AvroSchemaText | null>;
}

export interface AvroSchemaText {
  readonly schema: string;
  /** Texts of the schemas that it names without defining them, each after those that it needs itself. */
  readonly references: readonly string[];
}
