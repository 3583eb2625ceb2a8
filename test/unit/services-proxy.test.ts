// What: the fault proxy does to a connection what its mode says, no more and no less.
// Why: a fault test that passes because the fault never happened proves nothing.
// Invariant: each test has its own server and proxy.

import { once } from 'node:events';
import { createServer, connect as netConnect, type Server, type Socket } from 'node:net';
import { afterEach, beforeEach, describe, expect, test } from 'vitest';
import { type FaultProxy, startProxy } from '../../services/proxy.ts';

let echo: Server;
let proxy: FaultProxy;
let clients: Socket[];

beforeEach(async () => {
  clients = [];
  echo = createServer({ allowHalfOpen: true }, (socket) => {
    socket.on('error', () => {});
    socket.pipe(socket);
  });
  echo.listen(0, '127.0.0.1');
  await once(echo, 'listening');
  proxy = await startProxy({ target: { port: (echo.address() as { port: number }).port } });
});

afterEach(async () => {
  for (const client of clients) client.destroy();
  await proxy.close();
  echo.close();
});

interface Client {
  readonly socket: Socket;
  received(): string;
  /** How it ended: null while open. */
  ended(): 'fin' | 'rst' | null;
}

function open(): Client {
  const socket = netConnect({ host: proxy.host, port: proxy.port, allowHalfOpen: true });
  clients.push(socket);
  let received = '';
  let ended: 'fin' | 'rst' | null = null;
  socket.on('data', (chunk) => {
    received += chunk;
  });
  socket.on('end', () => {
    ended ??= 'fin';
  });
  socket.on('error', () => {
    ended ??= 'rst';
  });
  return { socket, received: () => received, ended: () => ended };
}

const pause = (ms: number): Promise<void> => new Promise((resolve) => setTimeout(resolve, ms));

describe('the fault proxy', () => {
  test('passes bytes unchanged both ways, and the half-closing of a connection', async () => {
    const { socket, received, ended } = open();
    const sent = 'x'.repeat(3_000_000);
    socket.end(sent);
    await expect.poll(ended).toBe('fin');
    expect(received()).toBe(sent);
    expect(proxy.bytes).toEqual({ toServer: sent.length, toClient: sent.length });
    await expect.poll(() => proxy.openConnections).toBe(0);
  });

  test('stalls an open connection without closing it, and lets everything through afterwards', async () => {
    const { socket, received, ended } = open();
    socket.write('before');
    await expect.poll(received).toBe('before');
    proxy.mode = { kind: 'stall' };
    socket.write(' after');
    await pause(100);
    expect([received(), ended()]).toEqual(['before', null]);
    proxy.mode = { kind: 'pass' };
    await expect.poll(received).toBe('before after');
  });

  test('holds a sender back while it stalls instead of storing what it sends', async () => {
    proxy.mode = { kind: 'stall' };
    const { socket } = open();
    const oneMebibyte = Buffer.alloc(1 << 20);
    let written = 0;
    const fill = (): void => {
      while (written < 4096) {
        written++;
        if (!socket.write(oneMebibyte)) break;
      }
    };
    socket.on('drain', fill);
    fill();
    await pause(200);
    const buffered = written;
    await pause(100);
    // What TCP buffers hold, and not a byte more however long it lasts.
    expect(written).toBe(buffered);
    expect(written).toBeLessThan(32);
  });

  test('stalls one direction and passes the other', async () => {
    proxy.mode = { kind: 'stall', direction: 'toClient' };
    const { socket, received } = open();
    socket.write('request');
    await expect.poll(() => proxy.bytes.toServer).toBe(7);
    await pause(50);
    expect(received()).toBe('');
    proxy.mode = { kind: 'pass' };
    await expect.poll(received).toBe('request');
  });

  test('cuts after exactly so many bytes, and those arrive', async () => {
    proxy.mode = { kind: 'cut', afterBytes: 5 };
    const { socket, received, ended } = open();
    socket.write('0123');
    await expect.poll(received).toBe('0123');
    expect(ended()).toBeNull();
    socket.write('456789');
    await expect.poll(ended).toBe('fin');
    expect(received()).toBe('01234');
    expect(proxy.cuts).toBe(1);
  });

  test('cuts by a reset when told so', async () => {
    proxy.mode = { kind: 'cut', afterBytes: 4, ending: 'rst' };
    const { socket, received, ended } = open();
    socket.write('0123');
    await expect.poll(received).toBe('0123');
    socket.write('4');
    await expect.poll(ended).toBe('rst');
    expect(received()).toBe('0123');
  });

  test('counts the bytes until a cut from the moment it is switched on', async () => {
    const { socket, received, ended } = open();
    socket.write('long before');
    await expect.poll(received).toBe('long before');
    proxy.mode = { kind: 'cut', afterBytes: 3 };
    socket.write('abcdef');
    await expect.poll(ended).toBe('fin');
    expect(received()).toBe('long beforeabc');
  });

  test('resets open connections and new ones', async () => {
    const before = open();
    before.socket.write('a');
    await expect.poll(before.received).toBe('a');
    proxy.mode = { kind: 'reset' };
    await expect.poll(before.ended).toBe('rst');
    await expect.poll(open().ended).toBe('rst');
  });

  test('trickles at its rate, over all connections together', async () => {
    proxy.mode = { kind: 'trickle', bytesPerSecond: 20_000, direction: 'toClient' };
    const startedMs = performance.now();
    const both = [open(), open()];
    for (const { socket } of both) socket.end('x'.repeat(4_000));
    await expect.poll(() => both.every(({ ended }) => ended() === 'fin'), { timeout: 5_000 }).toBe(true);
    const seconds = (performance.now() - startedMs) / 1000;
    expect(both.map(({ received }) => received().length)).toEqual([4_000, 4_000]);
    expect(seconds).toBeGreaterThan(0.38);
    expect(seconds).toBeLessThan(2);
  });

  test('goes over from a trickle to full speed when told so', async () => {
    proxy.mode = { kind: 'trickle', bytesPerSecond: 10 };
    const { socket, received } = open();
    socket.write('x'.repeat(10_000));
    await pause(50);
    proxy.mode = { kind: 'pass' };
    await expect.poll(() => received().length).toBe(10_000);
  });

  test('answers by itself, so that the server sees nothing', async () => {
    const answer = 'HTTP/1.1 503 Slow Down\r\nconnection: close\r\ncontent-length: 0\r\n\r\n';
    proxy.mode = { kind: 'answer', bytes: answer };
    const { socket, received, ended } = open();
    socket.write('PUT / HTTP/1.1\r\n\r\n');
    await expect.poll(ended).toBe('fin');
    expect(received()).toBe(answer);
    expect(proxy.bytes.toServer).toBe(0);
  });

  test('resets a client whose server is not there', async () => {
    echo.close();
    await expect.poll(open().ended).toBe('rst');
    await expect.poll(() => proxy.openConnections).toBe(0);
  });
});
