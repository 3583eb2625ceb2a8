// What: an HTTP proxy in front of a real server that does to each request what the test says.
// Why: stores and registries fail in the middle of things: before the request arrived, after it was done, half-way through a body.
// Invariant: what passes is passed byte for byte with its headers, so signatures stay valid.

import http from 'node:http';
import type { AddressInfo } from 'node:net';
import type { Duplex } from 'node:stream';

export type RequestFault =
  | { readonly kind: 'pass' }
  /** Answers itself; the server never sees the request. */
  | {
      readonly kind: 'answer';
      readonly status: number;
      readonly body?: string;
      readonly headers?: http.OutgoingHttpHeaders;
    }
  /** Cuts the connection after this many bytes of the request's body; the server sees a broken request. */
  | { readonly kind: 'cut-request'; readonly afterBytes: number }
  /** Passed with one byte of its body changed. */
  | { readonly kind: 'corrupt' }
  /** The server does it; the connection is cut instead of its answer. */
  | { readonly kind: 'drop-answer' }
  /** The server does it; the answer's head and this many bytes of its body arrive, then the connection is cut. */
  | { readonly kind: 'cut-answer'; readonly afterBytes: number }
  /** Nothing is read and nothing is answered. */
  | { readonly kind: 'hang' }
  /** Passed after a while. */
  | { readonly kind: 'delay'; readonly ms: number };

export interface SeenRequest {
  readonly method: string;
  readonly url: string;
  readonly headers: http.IncomingHttpHeaders;
  /** 0 for the first one the proxy saw. */
  readonly number: number;
}

export interface HttpFaultProxy {
  /** `http://127.0.0.1:port` */
  readonly url: string;
  readonly seen: readonly SeenRequest[];
  /** Status of each answer that the server gave. */
  readonly answers: readonly number[];
  /** Opened to the proxy so far. */
  readonly connections: number;
  /** Requests that are not over. */
  readonly inFlight: number;
  /** What to do from now on. */
  setFault(fault: (request: SeenRequest) => RequestFault): void;
  close(): Promise<void>;
}

export async function startHttpFaultProxy(target: string): Promise<HttpFaultProxy> {
  const { hostname, port } = new URL(target);
  const agent = new http.Agent({ keepAlive: true });
  const sockets = new Set<Duplex>();
  const seen: SeenRequest[] = [];
  const answers: number[] = [];
  let inFlight = 0;
  let connections = 0;
  let choose: (request: SeenRequest) => RequestFault = () => ({ kind: 'pass' });

  function pass(request: http.IncomingMessage, answer: http.ServerResponse, fault: RequestFault): void {
    const { method, url, headers } = request;
    const onward = http.request({ agent, host: hostname, port, method, path: url, headers }, (answered) => {
      answers.push(answered.statusCode!);
      if (fault.kind === 'drop-answer') {
        answered.resume().on('close', () => answer.destroy());
        return;
      }
      answer.writeHead(answered.statusCode!, answered.rawHeaders);
      if (fault.kind === 'cut-answer') cutAfter(answered, fault.afterBytes, answer);
      else answered.pipe(answer);
    });
    onward.on('error', () => answer.destroy());
    request.on('error', () => onward.destroy());
    if (fault.kind === 'corrupt') {
      request.on('data', (chunk: Buffer) => {
        chunk[0] = chunk[0]! ^ 1;
        onward.write(chunk);
      });
      request.on('end', () => onward.end());
    } else if (fault.kind === 'cut-request') {
      let bytes = 0;
      const cut = (): void => {
        onward.destroy();
        answer.destroy();
      };
      request.on('data', (chunk: Buffer) => {
        bytes += chunk.length;
        onward.write(chunk);
        if (bytes >= fault.afterBytes) cut();
      });
      // A body that is shorter, or none.
      request.on('end', cut);
    } else request.pipe(onward);
  }

  const server = http.createServer((request, answer) => {
    const one = { method: request.method!, url: request.url!, headers: request.headers, number: seen.length };
    seen.push(one);
    inFlight += 1;
    answer.on('close', () => {
      inFlight -= 1;
    });
    const fault = choose(one);
    if (fault.kind === 'hang') return;
    if (fault.kind === 'answer') {
      request.resume().on('end', () => answer.writeHead(fault.status, fault.headers).end(fault.body ?? ''));
    } else if (fault.kind === 'delay') {
      const timer = setTimeout(() => pass(request, answer, { kind: 'pass' }), fault.ms);
      answer.on('close', () => clearTimeout(timer));
    } else pass(request, answer, fault);
  });
  server.on('connection', (socket: Duplex) => {
    connections += 1;
    sockets.add(socket);
    socket.on('close', () => sockets.delete(socket));
  });
  await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve));

  return {
    url: `http://127.0.0.1:${(server.address() as AddressInfo).port}`,
    seen,
    answers,
    get connections() {
      return connections;
    },
    get inFlight() {
      return inFlight;
    },
    setFault(fault) {
      choose = fault;
    },
    async close() {
      for (const socket of sockets) socket.destroy();
      agent.destroy();
      await new Promise((resolve) => server.close(resolve));
    },
  };
}

function cutAfter(source: http.IncomingMessage, bytesMax: number, sink: http.ServerResponse): void {
  let bytes = 0;
  source.on('data', (chunk: Buffer) => {
    sink.write(chunk.subarray(0, Math.max(0, bytesMax - bytes)));
    bytes += chunk.length;
    if (bytes >= bytesMax) setImmediate(() => sink.destroy());
  });
  source.on('end', () => sink.destroy());
}

/** An S3 error document. */
export function s3Error(status: number, code: string, headers: http.OutgoingHttpHeaders = {}): RequestFault {
  const body = `<?xml version="1.0" encoding="UTF-8"?><Error><Code>${code}</Code><Message>said by the test</Message><RequestId>R1</RequestId></Error>`;
  return {
    kind: 'answer',
    status,
    body,
    headers: { 'content-type': 'application/xml', 'x-amz-request-id': 'R1', ...headers },
  };
}
