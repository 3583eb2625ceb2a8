// What: the values of buckets of published views over the rows of one partition, as key and value of a record.
// Why: shards publish with their commits and know which buckets; a query thread has all rows in all tiers.
// Invariant: rows that were taken in before a call are in its answer; what is kept is only a cache of what rows give.

import { isDeepStrictEqual } from 'node:util';
import { clickhouseJson, keysOf, objectText, printersOf } from '../../connectors/formats/json-text.ts';
import type { Catalogue, ViewEntry } from '../catalogue/catalogue.ts';
import { NANOS_PER_HOUR, type TableSchema } from '../columns/types.ts';
import type { PublishedView, WantedBuckets } from '../engine/publishing.ts';
import { ZeptoError } from '../kernel/errors.ts';
import type { TopicPartition, ViewRecord } from '../ports.ts';
import { execute } from '../query/execute.ts';
import { emptyStats, type ResultBlock } from '../query/result.ts';
import { type ExecuteOptions, Run } from '../query/run.ts';
import type { AnyPart, Names, Snapshot } from '../query/snapshot.ts';
import { partsIn, tableOf } from '../query/table-parts.ts';
import { type PublishedShape, publishedShape } from '../query/view/published.ts';
import { noViews, openView, type View } from '../query/view/view.ts';
import { parseStatement } from '../sql/parser.ts';

export interface BucketsRequest extends WantedBuckets {
  readonly of: TopicPartition;
}

export interface PublishedViewsParts {
  readonly names: Names;
  readonly snapshot: () => Promise<Snapshot>;
  /** For reading files. */
  readonly options: Pick<ExecuteOptions, 'disk' | 'cold' | 'monotonicMs'>;
  /** Of what is kept of all views. */
  readonly bytesMax: number;
}

/** Of one partition. */
interface Opened {
  readonly entry: ViewEntry;
  readonly schema: TableSchema;
  readonly shape: PublishedShape;
  readonly view: View;
}

const UNLIMITED = {
  rowsMax: Number.MAX_SAFE_INTEGER,
  bytesMax: Number.MAX_SAFE_INTEGER,
  timeoutMs: Number.MAX_SAFE_INTEGER,
};

/** As /stream and JSONEachRow write them. */
const style = clickhouseJson({ elapsedUs: () => 0, settings: {}, exceptionTag: '' });

/** The views over a table that are published, in the shape that it has. `refused`: of those that do not fit it any more. */
export function publishedViews(
  views: Iterable<ViewEntry>,
  table: TableSchema,
  refused: (view: ViewEntry, cause: unknown) => void,
): PublishedView[] {
  return [...views].flatMap((entry) => {
    const { name, source, topic } = entry;
    if (topic === null || source !== table.name) return [];
    try {
      const { stepNs, originNs } = publishedShape(entry, table);
      return [{ name, topic, stepNs, originNs }];
    } catch (cause) {
      refused(entry, cause);
      return [];
    }
  });
}

export class PublishedViews {
  private readonly parts: PublishedViewsParts;
  private catalogue: Pick<Catalogue, 'tables' | 'views'>;
  private readonly opened = new Map<string, Opened>();

  constructor(parts: PublishedViewsParts, catalogue: Pick<Catalogue, 'tables' | 'views'>) {
    this.parts = parts;
    this.catalogue = catalogue;
  }

  set(catalogue: Pick<Catalogue, 'tables' | 'views'>): void {
    this.catalogue = catalogue;
    for (const [key, { entry, schema }] of this.opened)
      if (
        !isDeepStrictEqual(catalogue.views.get(entry.name), entry) ||
        !isDeepStrictEqual(catalogue.tables.get(entry.source)?.table, schema)
      )
        this.opened.delete(key);
  }

  /** @throws ZeptoError SQL_*, LIMIT_EXCEEDED; those of reading parts; CANCELLED */
  async bucketsOf(request: BucketsRequest, signal: AbortSignal): Promise<ViewRecord[]> {
    const opened = this.open(request);
    // Dropped meanwhile.
    if (opened === null) return [];
    const { options } = this.parts;
    const snapshot = await this.parts.snapshot();
    const { statement } = parseStatement(queryOf(request, opened));
    const views = new Map([[opened.entry.name, opened.view]]);
    const result = await execute(statement, narrowed(snapshot, request, opened), {
      ...{ ...options, limits: UNLIMITED, nowNs: 0n, signal, views },
    });
    const records: ViewRecord[] = [];
    for await (const block of result) {
      signal.throwIfAborted();
      for (const record of recordsOf(block, request, opened)) records.push(record);
    }
    this.forget();
    return records;
  }

  /** Beyond the bound, those that were opened first: their rows are taken in again when they are wanted. */
  private forget(): void {
    let bytes = 0;
    for (const { view } of this.opened.values()) bytes += view.kept?.parts.bytes ?? 0;
    for (const [key, { view }] of this.opened) {
      if (bytes <= this.parts.bytesMax) return;
      bytes -= view.kept?.parts.bytes ?? 0;
      this.opened.delete(key);
    }
  }

  private open({ view: { name }, of: { topic, partition } }: BucketsRequest): Opened | null {
    const key = `${name} ${topic} ${partition}`;
    const known = this.opened.get(key);
    if (known !== undefined) return known;
    const entry = this.catalogue.views.get(name);
    const schema = entry && this.catalogue.tables.get(entry.source)?.table;
    if (entry === undefined || schema === undefined) return null;
    const { names, options, bytesMax } = this.parts;
    const tables: Snapshot['tables'] = new Map([[schema.name, tableOf(schema, [])]]);
    const nothing: Snapshot = { tables: new Map(), names, release: () => {} };
    const run = new Run(nothing, { ...options, limits: UNLIMITED, nowNs: 0n }, emptyStats());
    const view = openView(entry, tables, noViews, run, bytesMax);
    const opened = { entry, schema, shape: publishedShape(entry, schema), view };
    this.opened.set(key, opened);
    return opened;
  }
}

/** Only parts of the partition that may hold rows of the buckets. */
function narrowed(
  snapshot: Snapshot,
  { of, from, to, corrected, view: { stepNs } }: BucketsRequest,
  { entry, schema }: Opened,
): Snapshot {
  const table = snapshot.tables.get(entry.source);
  const isWanted = ({ topic, partition, hour }: AnyPart): boolean => {
    if (topic !== of.topic || partition !== of.partition) return false;
    const startNs = BigInt(hour) * NANOS_PER_HOUR;
    const endNs = startNs + NANOS_PER_HOUR;
    const meets = (first: bigint, end: bigint): boolean => first < endNs && end > startNs;
    return meets(from, to) || corrected.some((bucket) => meets(bucket, bucket + stepNs));
  };
  const parts = table === undefined ? [] : partsIn(table).filter(isWanted);
  return { ...snapshot, tables: new Map([[schema.name, tableOf(schema, parts)]]) };
}

function queryOf({ from, to, corrected }: BucketsRequest, { entry, shape, view }: Opened): string {
  const quoted = (name: string): string => `"${name.replaceAll('"', '""')}"`;
  const bucket = quoted(view.columns[shape.bucket]!.name);
  const again = corrected.length === 0 ? '' : ` OR ${bucket} IN (${corrected.join(', ')})`;
  return `SELECT * FROM ${quoted(entry.name)} WHERE (${bucket} >= ${from} AND ${bucket} < ${to})${again}`;
}

function recordsOf(
  block: ResultBlock,
  { of, from, view: { name, topic } }: BucketsRequest,
  { shape, view }: Opened,
): ViewRecord[] {
  const printers = printersOf(block, view.columns, style);
  const labels = keysOf(view.columns);
  const keyPrinters = shape.keys.map((column) => printers[column]!);
  const keyLabels = shape.keys.map((column) => labels[column]!);
  const buckets = block.columns[shape.bucket]!;
  if (buckets.kind !== 'int') throw new ZeptoError('INTERNAL', 'stop', 'a bucket of time is an integer');
  return Array.from({ length: block.rows }, (_, row) => ({
    topic,
    key: Buffer.from(objectText(keyLabels, keyPrinters, row)),
    value: Buffer.from(objectText(labels, printers, row)),
    headers: [
      ['view', name],
      ['topic', of.topic],
      ['partition', String(of.partition)],
      ['kind', BigInt(buckets.values[row]!) < from ? 'corrected' : 'closed'],
    ],
  }));
}
