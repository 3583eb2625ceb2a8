// What: a TCP proxy whose behaviour changes while connections are open: pass, stall, reset, cut, trickle, answer.
// Why: a network fails in the middle of a response, and only a test that does the same shows what a client makes of it.
// Invariant: bytes that pass are unchanged and in order; a stalled side holds the sender back by TCP itself.

import { setMaxListeners } from 'node:events';
import { connect, createServer, type Socket } from 'node:net';
import { setTimeout as sleep } from 'node:timers/promises';
import { freePort } from './ports.ts';

export type Direction = 'toServer' | 'toClient';

export type ProxyMode =
  | { readonly kind: 'pass' }
  /** Nothing passes (in one direction, or both); connections stay open, new ones are accepted. */
  | { readonly kind: 'stall'; readonly direction?: Direction }
  /** Open and new connections are reset. */
  | { readonly kind: 'reset' }
  /** Each connection passes so many more bytes (to the client by default), then it ends, with FIN or with RST. */
  | {
      readonly kind: 'cut';
      readonly afterBytes: number;
      readonly direction?: Direction;
      readonly ending?: 'fin' | 'rst';
    }
  /** All connections together pass so many bytes a second (in one direction, or in each of both). */
  | { readonly kind: 'trickle'; readonly bytesPerSecond: number; readonly direction?: Direction }
  /** Open connections are reset; a new one gets these bytes for its first ones (an HTTP 503, say), then the end. */
  | { readonly kind: 'answer'; readonly bytes: string };

export interface FaultProxy {
  readonly host: string;
  readonly port: number;
  /** Of now; applies at once, to open connections too. */
  mode: ProxyMode;
  readonly openConnections: number;
  /** How many connections the mode `cut` has ended. */
  readonly cuts: number;
  /** Bytes that passed. */
  readonly bytes: Readonly<Record<Direction, number>>;
  close(): Promise<void>;
}

interface Link {
  readonly client: Socket;
  readonly server: Socket;
  /** Bytes until the cut, while the mode is `cut`. */
  bytesLeft: number;
}

/** Listens on 127.0.0.1 and forwards to `target`; does not keep the process alive by itself. */
export async function startProxy(options: {
  readonly target: { readonly host?: string; readonly port: number };
  readonly port?: number;
}): Promise<FaultProxy> {
  const { target } = options;
  const host = '127.0.0.1';
  const port = options.port ?? (await freePort());
  const links = new Set<Link>();
  const bytes = { toServer: 0, toClient: 0 };
  let mode: ProxyMode = { kind: 'pass' };
  let modeEnd = newModeEnd();
  let cuts = 0;
  // When the last byte admitted so far leaves at the mode's rate.
  const busyUntilMs = { toServer: 0, toClient: 0 };

  /** Resolves after so long, or as soon as the mode changes. */
  const pause = (ms: number): Promise<void> =>
    sleep(ms, undefined, { signal: modeEnd.signal, ref: false }).catch(() => {});

  /** How many of `wanted` bytes may pass now: waits while there are none, 0 when the connection has ended. */
  async function admit(link: Link, direction: Direction, wanted: number): Promise<number> {
    for (;;) {
      const now = mode;
      const concerned = !('direction' in now) || now.direction === undefined || now.direction === direction;
      if (now.kind === 'stall' && concerned) {
        await pause(TIMER_MAX_MS);
      } else if (now.kind === 'trickle' && concerned) {
        const slice = Math.min(wanted, Math.max(1, Math.floor(now.bytesPerSecond / 20)));
        const startMs = Math.max(performance.now(), busyUntilMs[direction]);
        busyUntilMs[direction] = startMs + (slice / now.bytesPerSecond) * 1000;
        await pause(busyUntilMs[direction] - performance.now());
        if (mode === now) return slice;
      } else if (now.kind === 'cut' && direction === (now.direction ?? 'toClient')) {
        const slice = Math.min(wanted, link.bytesLeft);
        link.bytesLeft -= slice;
        return slice;
      } else {
        return wanted;
      }
    }
  }

  /** Resolves when the source has ended, or after the connection was cut. Throws what a socket throws. */
  async function pump(link: Link, direction: Direction): Promise<void> {
    const [from, to] = direction === 'toServer' ? [link.client, link.server] : [link.server, link.client];
    for await (const chunk of from.iterator({ destroyOnReturn: false })) {
      let rest = chunk as Buffer;
      while (rest.length > 0) {
        const admitted = await admit(link, direction, rest.length);
        if (admitted === 0) {
          cuts++;
          await cut(link.client, mode.kind === 'cut' ? (mode.ending ?? 'fin') : 'fin');
          return;
        }
        bytes[direction] += admitted;
        if (!to.write(rest.subarray(0, admitted))) await drained(to);
        rest = rest.subarray(admitted);
      }
    }
    to.end();
  }

  async function serve(link: Link): Promise<void> {
    links.add(link);
    try {
      await Promise.all([pump(link, 'toServer'), pump(link, 'toClient')]);
    } catch {
      // One side failed, which the other side learns the way a network tells it.
      link.client.resetAndDestroy();
    } finally {
      link.client.destroy();
      link.server.destroy();
      links.delete(link);
    }
  }

  const listener = createServer({ allowHalfOpen: true }, (client) => {
    client.on('error', () => {});
    if (mode.kind === 'reset') {
      client.resetAndDestroy();
    } else if (mode.kind === 'answer') {
      answer(client, mode.bytes);
    } else {
      const server = connect({ host: target.host ?? host, port: target.port, allowHalfOpen: true });
      server.on('error', () => {});
      void serve({ client, server, bytesLeft: mode.kind === 'cut' ? mode.afterBytes : 0 });
    }
  });
  await new Promise<void>((resolve, reject) => {
    listener.once('error', reject);
    listener.listen({ host, port }, resolve);
  });
  listener.unref();

  const proxy: FaultProxy = {
    host,
    port,
    get mode() {
      return mode;
    },
    set mode(next: ProxyMode) {
      mode = next;
      busyUntilMs.toServer = busyUntilMs.toClient = 0;
      for (const link of links) {
        if (next.kind === 'reset' || next.kind === 'answer') link.client.resetAndDestroy();
        if (next.kind === 'cut') link.bytesLeft = next.afterBytes;
      }
      modeEnd.abort();
      modeEnd = newModeEnd();
    },
    get openConnections() {
      return links.size;
    },
    get cuts() {
      return cuts;
    },
    bytes,
    async close() {
      proxy.mode = { kind: 'reset' };
      await new Promise<void>((resolve) => listener.close(() => resolve()));
    },
  };
  return proxy;
}

const TIMER_MAX_MS = 2 ** 31 - 1;

/** As many connections as like wait on it. */
function newModeEnd(): AbortController {
  const controller = new AbortController();
  setMaxListeners(0, controller.signal);
  return controller;
}

/** Ends the connection; with FIN, the bytes sent before arrive for sure, as the socket is read until the client closes. */
async function cut(client: Socket, ending: 'fin' | 'rst'): Promise<void> {
  if (ending === 'rst') {
    client.resetAndDestroy();
    return;
  }
  client.end();
  await Promise.race([closed(client), sleep(1_000)]);
  client.destroy();
}

function closed(socket: Socket): Promise<void> {
  return new Promise((resolve) => {
    if (socket.readableEnded || socket.destroyed) resolve();
    socket.once('end', resolve).once('close', resolve);
  });
}

/** Resolves when there is room again, or never will be. */
function drained(socket: Socket): Promise<void> {
  return new Promise((resolve) => {
    const done = (): void => {
      socket.off('drain', done).off('close', done);
      resolve();
    };
    socket.on('drain', done).on('close', done);
    if (socket.destroyed) done();
  });
}

/** Reads on after the answer: closing with bytes unread would reset the connection and could lose the answer. */
function answer(client: Socket, bytes: string): void {
  client.once('data', () => client.end(bytes));
  client.once('end', () => client.destroy());
  client.setTimeout(5_000, () => client.destroy());
  client.resume();
}
