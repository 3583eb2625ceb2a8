// What: records that could not be decoded → records of the dead-letter topic, in batches that the topic accepts.
// Why: a poisoned record must neither stop the partition nor vanish, and must never make the commit that carries it fail.
// Invariant: key and value are the original bytes, unless too large: then they are cut and a header gives the full length.

import type { DeadLetter, TopicPartition } from '../../src/ports.ts';
import { BATCH_HEADER_BYTES, type OutgoingRecord, recordBytesMax } from './record-write.ts';

const CAUSE_CHARACTERS_MAX = 1_000;
/** Keeps requests and the broker's validation short. */
const BATCH_RECORDS_MAX = 10_000;
/**
 * A dead letter as a record: headers `cause`, `topic`, `partition`, `offset`, `timestamp` (milliseconds since 1970 UTC, of the
 * original record) and, where it was cut, `key-bytes` or `value-bytes` (the original length).
 */
export function deadLetterRecord(letter: DeadLetter, from: TopicPartition, bytesMax: number): OutgoingRecord {
  const headers: (readonly [string, string])[] = [
    ['cause', letter.cause.slice(0, CAUSE_CHARACTERS_MAX)],
    ['topic', from.topic],
    ['partition', String(from.partition)],
    ['offset', String(letter.offset)],
    ['timestamp', String(letter.timestampMs)],
  ];
  const whole = { key: letter.key, value: letter.value, headers };
  if (recordBytesMax(whole) <= bytesMax) return whole;

  const cutHeaders = [...headers];
  if (letter.key !== null) cutHeaders.push(['key-bytes', String(letter.key.length)]);
  if (letter.value !== null) cutHeaders.push(['value-bytes', String(letter.value.length)]);
  const room = Math.max(0, bytesMax - recordBytesMax({ key: null, value: null, headers: cutHeaders }));
  // The key first: it says whose record it is. But never so much of it that nothing of the value is left.
  const keyBytes = Math.min(letter.key?.length ?? 0, Math.floor(room / 2));
  const valueBytes = Math.min(letter.value?.length ?? 0, room - keyBytes);
  const kept = cutHeaders.filter(
    ([name]) =>
      (name !== 'key-bytes' || keyBytes < (letter.key?.length ?? 0)) &&
      (name !== 'value-bytes' || valueBytes < (letter.value?.length ?? 0)),
  );
  return {
    key: letter.key?.subarray(0, keyBytes) ?? null,
    value: letter.value?.subarray(0, valueBytes) ?? null,
    headers: kept,
  };
}

/** How many of `letters`, from index `start` on, go into the next batch of at most `bytesMax`, and those as records. At least one. */
export function nextDeadLetterBatch(
  letters: readonly DeadLetter[],
  start: number,
  from: TopicPartition,
  bytesMax: number,
): OutgoingRecord[] {
  const room = bytesMax - BATCH_HEADER_BYTES;
  const records: OutgoingRecord[] = [];
  let bytes = 0;
  for (let i = start; i < letters.length && records.length < BATCH_RECORDS_MAX; i++) {
    const record = deadLetterRecord(letters[i]!, from, room);
    bytes += recordBytesMax(record);
    if (bytes > room && records.length > 0) break;
    records.push(record);
  }
  return records;
}
