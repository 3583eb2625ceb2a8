// What: where the Avro decoder gets writer schemas from.
// Why: a registry over HTTP in production, a table of schemas in tests and benchmarks.
// Invariant: an id means the same schema for ever, so a schema may be kept for ever; "there is none" may not.

export interface SchemaSource {
  /**
   * The writer schema of an id, or the reason why there is none: its records are undecodable then.
   * @throws ZeptoError SCHEMA_UNAVAILABLE: retry when the registry cannot be reached, stop when it refuses us.
   */
  avroSchema(id: number): Promise<AvroSchemaText | string>;
}

export interface AvroSchemaText {
  /** Avro schema as JSON text. */
  readonly schema: string;
  /** Texts of the schemas that it names without defining them, each after those that it needs itself. */
  readonly references: readonly string[];
}
