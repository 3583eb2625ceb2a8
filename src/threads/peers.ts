// What: reads of the other members of the group over HTTP, and what this member answers when they read of it.
// Why: rows in memory are with the member that consumes them, and nowhere else.
// Invariant: a member answers of exactly the partitions that it was asked for, or says that it does not have them all.

import { readBlocks } from '../../connectors/formats/blocks.ts';
import { asZeptoError, type ErrorCode, ZeptoError } from '../kernel/errors.ts';
import { type TopicPartition, topicPartitionKey } from '../ports.ts';
import type { GroupReader, PeerQuery } from '../query/group-scan.ts';
import type { ResultBlock } from '../query/result.ts';
import type { Snapshot } from '../query/snapshot.ts';
import { partsIn, tableOf } from '../query/table-parts.ts';
import { isOn } from '../statements/request-settings.ts';
import type { GroupShares } from './group-watch.ts';

/** Settings of a request between members. */
const PARTITIONS = 'partitions';
const NOW = 'now_ns';
const AS_PARTS = 'as_parts';

export interface PeerReads {
  readonly shares: GroupShares;
  /** The topic that fills a table. */
  readonly topicOf: (table: string) => string | undefined;
  /** As the client authorised itself: members have the same keys. */
  readonly authorization: string | null;
  readonly nowNs: bigint;
}

/** Null: all rows of the group are here. */
export function groupReader(reads: PeerReads): GroupReader | null {
  const { peers, unreachable } = reads.shares;
  if (peers.length === 0 && unreachable.length === 0) return null;
  return {
    members: peers.length,
    async open(query, signal) {
      const topic = reads.topicOf(query.table);
      const lost = unreachable.filter((one) => one.topic === topic);
      if (lost.length > 0)
        throw new ZeptoError(
          'GROUP_UNSETTLED',
          'stop',
          `members that do not set --peer-address have ${named(lost)}: set it on all members. SETTINGS fan_out = 0 answers of this member alone`,
        );
      const asked = peers.flatMap(({ address, partitions }) => {
        const some = partitions.filter((one) => one.topic === topic);
        return some.length === 0 ? [] : [{ address, partitions: some }];
      });
      return Promise.all(asked.map((peer) => ask(peer, query, reads, signal)));
    },
  };
}

async function ask(
  { address, partitions }: GroupShares['peers'][number],
  { sql, wantsParts }: PeerQuery,
  { authorization, nowNs }: PeerReads,
  signal: AbortSignal,
): Promise<AsyncIterable<ResultBlock>> {
  const url = new URL(address);
  url.pathname = '/';
  url.searchParams.set('default_format', 'ZeptoBlocks');
  url.searchParams.set(PARTITIONS, textOf(partitions));
  url.searchParams.set(NOW, String(nowNs));
  if (wantsParts) url.searchParams.set(AS_PARTS, '1');
  let response: Response;
  try {
    response = await fetch(url, {
      method: 'POST',
      body: sql,
      headers: authorization === null ? {} : { authorization },
      signal,
    });
  } catch (cause) {
    signal.throwIfAborted();
    throw new ZeptoError(
      'GROUP_UNSETTLED',
      'retry',
      `member ${address}, which has ${named(partitions)}, does not answer: ${asZeptoError(cause).message}. SETTINGS fan_out = 0 answers of this member alone`,
      { cause },
    );
  }
  if (!response.ok || response.body === null) throw await refusalOf(address, response);
  return readBlocks(piecesOf(response.body));
}

/** Begun at once: of an answer that waits for its turn, node would cancel the body when the rest of it is collected as garbage. */
function piecesOf(body: ReadableStream<Uint8Array>): AsyncIterable<Uint8Array> {
  const reading = body.values();
  return { [Symbol.asyncIterator]: () => reading };
}

async function refusalOf(address: string, response: Response): Promise<ZeptoError> {
  const text = await response.text();
  let told: { readonly error?: string; readonly code?: ErrorCode } = {};
  try {
    told = JSON.parse(text);
  } catch {
    // No member of ours answers like that.
  }
  const isPassing = told.code === 'GROUP_UNSETTLED' || response.status >= 500;
  const message = `member ${address}: ${told.error ?? `${response.status} ${text.slice(0, 200)}`}`;
  return isPassing
    ? new ZeptoError('GROUP_UNSETTLED', 'retry', message)
    : new ZeptoError(told.code ?? 'INTERNAL', 'stop', message);
}

/** `trades:0.2.5`, of one topic. */
const textOf = (partitions: readonly TopicPartition[]): string =>
  `${partitions[0]!.topic}:${partitions.map(({ partition }) => partition).join('.')}`;

const named = (partitions: readonly TopicPartition[]): string => `partitions ${textOf(partitions)}`;

/** What a peer asks for; null: it is no such request. @throws ZeptoError SQL_UNSUPPORTED */
export function partitionsAsked(
  settings: Readonly<Record<string, string>>,
): readonly TopicPartition[] | null {
  const text = settings[PARTITIONS];
  if (text === undefined || text === '') return null;
  const match = /^([A-Za-z0-9._-]+):(\d+(?:\.\d+)*)$/.exec(text);
  if (match === null)
    throw new ZeptoError('SQL_UNSUPPORTED', 'stop', `partitions = ${text}: topic:0.2.5 is expected`);
  return match[2]!.split('.').map((partition) => ({ topic: match[1]!, partition: Number(partition) }));
}

export const arePartsAsked = (settings: Readonly<Record<string, string>>): boolean =>
  isOn(settings[AS_PARTS]);

/** The moment of the query that a peer's is part of. */
export const nowAsked = (settings: Readonly<Record<string, string>>): bigint | null =>
  /^\d{1,19}$/.test(settings[NOW] ?? '') ? BigInt(settings[NOW]!) : null;

/**
 * Rows of the partitions `wanted` alone, of which `owned` are here. Mostly those are all that there are.
 * @throws ZeptoError GROUP_UNSETTLED: one of them is not here; the snapshot is released then
 */
export function narrowedTo(
  snapshot: Snapshot,
  wanted: readonly TopicPartition[],
  owned: readonly TopicPartition[],
): Snapshot {
  const here = new Set(owned.map(topicPartitionKey));
  const missing = wanted.filter((one) => !here.has(topicPartitionKey(one)));
  if (missing.length > 0) {
    snapshot.release();
    throw new ZeptoError('GROUP_UNSETTLED', 'retry', `${named(missing)} moved to another member just now`);
  }
  if (wanted.length === owned.length) return snapshot;
  const kept = new Set(wanted.map(topicPartitionKey));
  const tables = new Map(
    [...snapshot.tables].map(([name, table]) => {
      const parts = partsIn(table).filter((part) => kept.has(topicPartitionKey(part)));
      return [name, tableOf(table.schema, parts)] as const;
    }),
  );
  return { ...snapshot, tables };
}

/** Where --peer-address is set and the group was not yet looked at: without it nobody knows what is missing here. */
export const unknownGroup = (): ZeptoError =>
  new ZeptoError('GROUP_UNSETTLED', 'retry', 'it is not known yet which partitions other members have');
