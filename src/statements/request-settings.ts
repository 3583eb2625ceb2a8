// What: the settings that a request may carry in its URL or in SETTINGS, and what each does here.
// Why: clients of ClickHouse send settings with every request; most do not concern the answer, a few bound or shape it.
// Invariant: a setting that could change the answer is obeyed, or is what holds here anyway, or is refused: never passed over.

import { ZeptoError } from '../kernel/errors.ts';
import { suggestion } from '../kernel/nearest.ts';
import type { QueryLimits } from '../query/snapshot.ts';

export type RequestSettings = Readonly<Record<string, string>>;
export type RequestLimits = QueryLimits;

/**
 * - `obeyed`: its value counts; `default` when it is not given
 * - `fixed`: only `values` are accepted, the first is how things are
 * - `ignored`: about transport, resources or logs of another server; any value
 */
type Setting = { readonly name: string; readonly note: string } & (
  | { readonly kind: 'obeyed'; readonly type: 'number' | 'switch' | 'text'; readonly default: string }
  | { readonly kind: 'fixed'; readonly values: readonly string[] }
  | { readonly kind: 'ignored'; readonly default: string }
);

const obeyed = (name: string, type: 'number' | 'switch' | 'text', value: string, note: string): Setting => ({
  ...{ name, note, type },
  kind: 'obeyed',
  default: value,
});
const fixed = (name: string, values: readonly string[], note: string): Setting => ({
  ...{ name, note, values },
  kind: 'fixed',
});
const ignored = (name: string, value = '', note = 'accepted, without effect'): Setting => ({
  ...{ name, note },
  kind: 'ignored',
  default: value,
});

const ON = ['1', 'true'];
const OFF = ['0', 'false', ''];

const settings: readonly Setting[] = [
  obeyed('max_result_rows', 'number', '0', 'rows of a result; 0: --query-max-rows. A lower one counts'),
  obeyed('max_execution_time', 'number', '0', 'seconds; 0: --query-timeout-ms. A lower one counts'),
  obeyed('max_memory_usage', 'number', '0', 'bytes of a query; 0: --query-memory. A lower one counts'),
  obeyed('readonly', 'number', '0', '1 or 2: the statement may only read'),
  obeyed(
    'wait_end_of_query',
    'switch',
    '0',
    '1: an answer is held back up to 8 MiB, so that an error has its status',
  ),
  obeyed('fan_out', 'switch', '1', '0: of the partitions of this member alone, where --peer-address is set'),
  obeyed('partitions', 'text', '', 'topic:0.2.5 of this member alone, as other members ask for them'),
  obeyed('now_ns', 'text', '', 'what now() is, as other members ask'),
  obeyed('as_parts', 'switch', '0', '1: groups with what merges of their aggregates, as other members ask'),
  obeyed('view_rewrite', 'switch', '1', '0: no view answers in place of its table'),
  obeyed('output_format_json_quote_64bit_integers', 'switch', '1', 'int64 in quotes in JSON formats'),
  obeyed('output_format_json_quote_denormals', 'switch', '0', 'infinities as texts in JSON formats'),
  obeyed(
    'http_write_exception_in_output_format',
    'switch',
    '0',
    'an error after the first byte is a row of JSONEachRow',
  ),
  fixed('session_timezone', ['UTC', 'Etc/UTC', ''], 'times are UTC'),
  fixed('date_time_output_format', ['simple'], 'times read 2024-03-21 05:20:00.000000001'),
  fixed('result_overflow_mode', ['throw'], 'a result above its bound is an error, never a part of it'),
  fixed('timeout_overflow_mode', ['throw'], 'a query above its time is an error'),
  fixed('union_default_mode', ['DISTINCT'], 'UNION without ALL is distinct'),
  fixed('join_use_nulls', ON, 'outer joins give NULL where there is no row'),
  fixed('aggregate_functions_null_for_empty', ON, 'aggregates of no row are NULL'),
  fixed('transform_null_in', OFF, 'NULL is in no list'),
  fixed('final', OFF, 'rows are never merged'),
  fixed('extremes', OFF, 'no rows besides the result'),
  fixed('limit', OFF, 'write LIMIT'),
  fixed('offset', OFF, 'write OFFSET'),
  fixed('max_result_bytes', OFF, 'bound rows with max_result_rows'),
  fixed('max_rows_to_read', OFF, 'bound time with max_execution_time'),
  fixed('max_bytes_to_read', OFF, 'bound time with max_execution_time'),
  fixed('compress', OFF, "ClickHouse's own blocks: use enable_http_compression"),
  fixed('decompress', OFF, "ClickHouse's own blocks: use Content-Encoding"),
  fixed('output_format_arrow_string_as_string', ON, 'texts are utf8 in Arrow'),
  fixed('output_format_arrow_compression_method', ['none'], 'Arrow is not compressed'),
  fixed('output_format_parquet_string_as_string', ON, 'texts are utf8 in Parquet'),
  fixed('output_format_parquet_compression_method', ['snappy'], 'Parquet is compressed with Snappy'),
  fixed('output_format_json_quote_64bit_floats', OFF, 'floats are numbers in JSON'),
  fixed('output_format_json_quote_decimals', OFF, 'decimals are numbers in JSON'),
  fixed('output_format_json_escape_forward_slashes', OFF, 'slashes stand as they are'),
  fixed('output_format_json_named_tuples_as_objects', ON, 'there are no tuples'),
  fixed('output_format_decimal_trailing_zeros', OFF, 'decimals end without zeros'),
  fixed('output_format_csv_crlf_end_of_line', OFF, 'lines end with \\n'),
  fixed('output_format_tsv_crlf_end_of_line', OFF, 'lines end with \\n'),
  fixed('format_csv_delimiter', [','], 'CSV is separated by commas'),
  fixed('format_csv_null_representation', ['\\N'], 'NULL in CSV'),
  fixed('format_tsv_null_representation', ['\\N'], 'NULL in TSV'),
  ignored('enable_http_compression', '0', 'answers are gzip when the client accepts it'),
  ignored('cancel_http_readonly_queries_on_client_close', '1', 'a client that hangs up cancels'),
  ignored('wait_for_async_insert', '1', 'an INSERT is answered when its rows are durable and visible'),
  ...[
    ...['buffer_size', 'client_protocol_version', 'session_timeout', 'session_check'],
    ...['quota_key', 'stacktrace', 'async_insert', 'max_threads', 'max_insert_threads', 'max_block_size'],
    ...['max_query_size', 'max_ast_depth', 'priority', 'load_balancing', 'use_uncompressed_cache'],
    ...['use_query_cache', 'date_time_input_format', 'cast_string_to_dynamic_use_inference'],
    ...['add_http_cors_header', 'insert_deduplicate', 'insert_quorum', 'workload', 'tcp_nodelay'],
  ].map((name) => ignored(name)),
];

const byName = new Map(settings.map((setting) => [setting.name, setting]));

/** Families that permit, tune or log something elsewhere, and change no answer. */
const ignoredFamilies =
  /^(allow|compile|distributed|http|log|merge_tree|network|optimize|query_profiler|receive|send)_/;

/** @throws ZeptoError SQL_UNSUPPORTED for a setting, or a value of one, that could not be obeyed */
export function checkSettings(asked: RequestSettings): void {
  for (const [name, value] of Object.entries(asked)) {
    const setting = byName.get(name);
    if (setting === undefined) {
      if (ignoredFamilies.test(name)) continue;
      throw refused(name, `the setting ${name} is not known${suggestion(name, byName.keys())}`);
    }
    const problem = problemOf(setting, value);
    if (problem !== null) throw refused(name, problem);
  }
}

function problemOf(setting: Setting, value: string): string | null {
  const { name, note } = setting;
  if (setting.kind === 'fixed')
    return setting.values.includes(value)
      ? null
      : `${name} = ${value} is not supported: it is ${setting.values[0]} here (${note})`;
  if (setting.kind === 'ignored') return null;
  if (setting.type === 'text') return null;
  const isFine = setting.type === 'number' ? /^\d+(\.\d+)?$/.test(value) : /^([01]|true|false)$/.test(value);
  return isFine ? null : `${name} = ${value}: ${setting.type === 'number' ? 'a number' : '0 or 1'} is wanted`;
}

const refused = (setting: string, message: string): ZeptoError =>
  new ZeptoError('SQL_UNSUPPORTED', 'stop', message, { context: { setting, unknown: 'setting' } });

/** The bounds of the process, or lower ones that were asked for. */
export function limitsFor(asked: RequestSettings, limits: QueryLimits): QueryLimits {
  const lower = (name: string, factor: number, limit: number): number => {
    const wanted = Number(asked[name] ?? 0) * factor;
    return wanted > 0 ? Math.min(limit, wanted) : limit;
  };
  return {
    rowsMax: lower('max_result_rows', 1, limits.rowsMax),
    bytesMax: lower('max_memory_usage', 1, limits.bytesMax),
    timeoutMs: lower('max_execution_time', 1000, limits.timeoutMs),
  };
}

export const mayOnlyRead = (asked: RequestSettings): boolean => Number(asked.readonly ?? 0) !== 0;

export const isOn = (value: string | undefined): boolean => value === '1' || value === 'true';
export const isOff = (value: string | undefined): boolean => value === '0' || value === 'false';

/** As system.settings lists them. */
export interface ListedSetting {
  readonly name: string;
  readonly value: string;
  readonly changed: boolean;
  readonly description: string;
  readonly isReadonly: boolean;
  readonly type: string;
  readonly default: string;
}

export function listedSettings(asked: RequestSettings): ListedSetting[] {
  return settings.map((setting) => {
    const { name, note: description } = setting;
    const standard = setting.kind === 'fixed' ? setting.values[0]! : setting.default;
    const value = setting.kind === 'fixed' ? standard : (asked[name] ?? standard);
    return {
      ...{ name, value, description, default: standard },
      changed: value !== standard,
      // What has no effect need not be sent.
      isReadonly: setting.kind !== 'obeyed' && name !== 'enable_http_compression',
      type: setting.kind === 'obeyed' ? typeNames[setting.type] : 'String',
    };
  });
}

const typeNames = { switch: 'Bool', number: 'UInt64', text: 'String' } as const;
