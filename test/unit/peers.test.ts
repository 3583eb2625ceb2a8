// What: reads between members without members: what is asked, what is answered, what is refused.
// Why: a partition that is read twice, or not at all, is a wrong answer that looks like a right one.
// Invariant: partitions that are not here are an error; other members' errors keep their meaning.

import { createServer, type IncomingMessage, type Server, type ServerResponse } from 'node:http';
import type { AddressInfo } from 'node:net';
import { afterEach, describe, expect, it } from 'vitest';
import { blocksFormat } from '../../connectors/formats/blocks.ts';
import { ColumnType, type TableSchema } from '../../src/columns/types.ts';
import type { TopicPartition } from '../../src/ports.ts';
import { emptyStats, type ResultBlock } from '../../src/query/result.ts';
import type { Snapshot, WarmPart } from '../../src/query/snapshot.ts';
import { partsIn, tableOf } from '../../src/query/table-parts.ts';
import type { GroupShares } from '../../src/threads/group-watch.ts';
import {
  arePartsAsked,
  groupReader,
  narrowedTo,
  nowAsked,
  partitionsAsked,
} from '../../src/threads/peers.ts';

const schema: TableSchema = {
  name: 'trades',
  columns: [
    { name: 'timestamp', type: ColumnType.TIMESTAMP_NS },
    { name: 'symbol', type: ColumnType.SYMBOL },
  ],
  timestampColumn: 0,
  symbolColumn: 1,
};
const of = (...partitions: readonly number[]): TopicPartition[] =>
  partitions.map((partition) => ({ topic: 'ticks', partition }));
const part = (partition: number): WarmPart => ({
  ...{ id: `p${partition}`, tier: 'warm', topic: 'ticks', partition, symbol: 7, hour: 1, rows: 1 },
  ...{ timestampMin: null, timestampMax: null, isSorted: true, folder: '' },
});

describe('a snapshot', () => {
  let released = 0;
  const snapshot = (): Snapshot => ({
    tables: new Map([['trades', tableOf(schema, [0, 1, 2].map(part))]]),
    names: { nameOf: () => undefined, codeOf: () => undefined },
    release: () => {
      released++;
    },
  });

  it('of all that is here is given as it is', () => {
    const whole = snapshot();
    expect(narrowedTo(whole, of(2, 0, 1), of(0, 1, 2))).toBe(whole);
  });

  it('holds the partitions that are wanted and no other', () => {
    const { tables } = narrowedTo(snapshot(), of(2, 0), of(0, 1, 2));
    expect(partsIn(tables.get('trades')!).map(({ partition }) => partition)).toEqual([0, 2]);
  });

  it('without one that is wanted is refused and let go', () => {
    released = 0;
    expect(() => narrowedTo(snapshot(), of(0, 3), of(0, 1, 2))).toThrow(
      expect.objectContaining({ code: 'GROUP_UNSETTLED', action: 'retry' }),
    );
    expect(released).toBe(1);
  });
});

describe('a request between members', () => {
  let server: Server | null = null;
  afterEach(() => server?.close());

  async function serving(answer: (request: IncomingMessage, reply: ServerResponse) => void): Promise<string> {
    server = createServer(answer);
    await new Promise<void>((resolve) => server!.listen(0, '127.0.0.1', resolve));
    return `http://127.0.0.1:${(server.address() as AddressInfo).port}`;
  }

  async function read(shares: Partial<GroupShares>, wantsParts = false): Promise<ResultBlock[]> {
    const reader = groupReader({
      shares: { own: [], peers: [], unreachable: [], ...shares },
      topicOf: (table) => (table === 'trades' ? 'ticks' : undefined),
      authorization: 'Bearer key',
      nowNs: 42n,
    })!;
    const blocks: ResultBlock[] = [];
    const streams = await reader.open(
      { table: 'trades', sql: 'SELECT 1', wantsParts },
      new AbortController().signal,
    );
    for (const stream of streams) for await (const block of stream) blocks.push(block);
    return blocks;
  }

  it('names the partitions of the table, the moment and who asks; blocks come back', async () => {
    const block: ResultBlock = {
      rows: 1,
      columns: [{ kind: 'float', values: Float64Array.of(1), nulls: null }],
    };
    let seen = '';
    const address = await serving(async (request, reply) => {
      seen = `${request.headers.authorization} ${request.url}`;
      const result = {
        ...{ columns: [], stats: emptyStats(), next: async () => null, close: () => {} },
        async *[Symbol.asyncIterator]() {
          yield block;
        },
      };
      const about = { elapsedUs: () => 0, settings: {}, exceptionTag: '' };
      for await (const piece of blocksFormat.write(result, about)) reply.write(piece);
      reply.end();
    });
    const other = { topic: 'other', partition: 0 };
    const askedOf = (): Record<string, string> =>
      Object.fromEntries(new URL(seen.split(' ').at(-1)!, address).searchParams);
    const peers = [{ address, partitions: [...of(2, 5), other] }];
    expect(await read({ peers }, true)).toEqual([block]);
    expect(arePartsAsked(askedOf())).toBe(true);
    expect(await read({ peers })).toEqual([block]);
    const asked = askedOf();
    expect(arePartsAsked(asked)).toBe(false);
    expect(seen.startsWith('Bearer key ')).toBe(true);
    expect(partitionsAsked(asked)).toEqual(of(2, 5));
    expect(nowAsked(asked)).toBe(42n);
  });

  it.each([
    [503, '{"code":"GROUP_UNSETTLED","error":"moved"}', 'GROUP_UNSETTLED', 'retry'],
    [500, 'oops', 'GROUP_UNSETTLED', 'retry'],
    [400, '{"code":"LIMIT_EXCEEDED","error":"too much"}', 'LIMIT_EXCEEDED', 'stop'],
    [403, '{"code":"UNAUTHORIZED","error":"no"}', 'UNAUTHORIZED', 'stop'],
  ])('that is answered %i %s is %s', async (status, body, code, action) => {
    const address = await serving((_, reply) => reply.writeHead(status).end(body));
    await expect(read({ peers: [{ address, partitions: of(0) }] })).rejects.toMatchObject({ code, action });
  });

  it('to nobody is tried again; of members without an address it is refused', async () => {
    const peers = [{ address: 'http://127.0.0.1:1', partitions: of(0) }];
    await expect(read({ peers })).rejects.toMatchObject({ code: 'GROUP_UNSETTLED', action: 'retry' });
    await expect(read({ unreachable: of(3) })).rejects.toMatchObject({
      code: 'GROUP_UNSETTLED',
      action: 'stop',
    });
  });

  it('is none for a client; what is no list of partitions is refused', () => {
    expect(partitionsAsked({})).toBeNull();
    expect(() => partitionsAsked({ partitions: 'ticks' })).toThrow(/topic:0\.2\.5 is expected/);
    expect(nowAsked({ now_ns: '1;' })).toBeNull();
  });
});
