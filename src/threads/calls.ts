// What: request and answer over a message port: named calls with one argument, a promise for each.
// Why: threads talk in typed calls instead of loose messages, and an error keeps its code and action on the way.
// Invariant: each call is answered once, or rejected when the other side is gone.

import type { MessagePort, Worker } from 'node:worker_threads';
import { asZeptoError, type ErrorAction, type ErrorCode, ZeptoError } from '../kernel/errors.ts';

/** The calls that one side offers: name → (argument) → answer. */
export type Offered = Readonly<Record<string, (argument: never, signal: AbortSignal) => unknown>>;

type Argument<F> = F extends (argument: infer A, ...rest: never[]) => unknown ? A : never;
type Answer<F> = F extends (...args: never[]) => infer R ? Awaited<R> : never;

interface CallMessage {
  readonly call: number;
  readonly name: string;
  readonly argument: unknown;
}
interface CancelMessage {
  readonly cancel: number;
}
interface AnswerMessage {
  readonly answer: number;
  readonly value?: unknown;
  readonly error?: PlainError;
}
/** An error as it crosses threads. */
export interface PlainError {
  readonly code: ErrorCode;
  readonly action: ErrorAction;
  readonly message: string;
  readonly context: Readonly<Record<string, unknown>>;
  readonly stack: string;
}

type Port = Pick<MessagePort, 'postMessage' | 'on'> | Pick<Worker, 'postMessage' | 'on'>;

/** Answers the other side's calls with these functions. */
export function offer(port: Port, offered: Offered): void {
  const running = new Map<number, AbortController>();
  port.on('messageerror', unreadable);
  port.on('message', (message: CallMessage | CancelMessage | AnswerMessage) => {
    if ('cancel' in message) running.get(message.cancel)?.abort(cancelled());
    if (!('call' in message)) return;
    const controller = new AbortController();
    running.set(message.call, controller);
    void answer(port, offered, message, controller.signal).finally(() => running.delete(message.call));
  });
}

async function answer(
  port: Port,
  offered: Offered,
  message: CallMessage,
  signal: AbortSignal,
): Promise<void> {
  let reply: AnswerMessage;
  try {
    const offer = offered[message.name];
    if (offer === undefined) throw new ZeptoError('INTERNAL', 'stop', `no such call: ${message.name}`);
    reply = { answer: message.call, value: await offer(message.argument as never, signal) };
  } catch (cause) {
    reply = { answer: message.call, error: plainError(cause) };
  }
  port.postMessage(reply);
}

/** Calls the other side. `fail` rejects everything that waits, and every later call. */
export class Caller<Calls extends Offered> {
  private readonly port: Port;
  private readonly waiting = new Map<
    number,
    { resolve: (value: never) => void; reject: (error: unknown) => void }
  >();
  private next = 0;
  private broken: ZeptoError | null = null;

  constructor(port: Port) {
    this.port = port;
    port.on('messageerror', unreadable);
    port.on('message', (message: AnswerMessage) => {
      if (!('answer' in message)) return;
      const waiting = this.waiting.get(message.answer);
      this.waiting.delete(message.answer);
      if (message.error !== undefined) waiting?.reject(errorOf(message.error));
      else waiting?.resolve(message.value as never);
    });
  }

  /** An aborted signal asks the other side to stop; the promise settles with its answer. */
  call<Name extends keyof Calls & string>(
    name: Name,
    argument: Argument<Calls[Name]>,
    signal?: AbortSignal,
  ): Promise<Answer<Calls[Name]>> {
    if (this.broken !== null) return Promise.reject(this.broken);
    const call = this.next++;
    const cancel = (): void => this.port.postMessage({ cancel: call });
    const answered = new Promise<Answer<Calls[Name]>>((resolve, reject) => {
      this.waiting.set(call, { resolve, reject });
      this.port.postMessage({ call, name, argument });
      if (signal?.aborted) cancel();
      else signal?.addEventListener('abort', cancel, { once: true });
    });
    return answered.finally(() => signal?.removeEventListener('abort', cancel));
  }

  fail(error: ZeptoError): void {
    this.broken = error;
    for (const { reject } of this.waiting.values()) reject(error);
    this.waiting.clear();
  }
}

export function plainError(cause: unknown): PlainError {
  const error = asZeptoError(cause);
  return {
    code: error.code,
    action: error.action,
    message: error.message,
    context: error.context,
    stack: String(error.stack),
  };
}

export function errorOf(plain: PlainError): ZeptoError {
  const error = new ZeptoError(plain.code, plain.action, plain.message, { context: plain.context });
  error.stack = plain.stack;
  return error;
}

/** Whoever sent it would wait for ever: the thread ends instead, as with any error that nobody catches. */
function unreadable(cause: Error): never {
  throw new ZeptoError('INTERNAL', 'stop', `a message between threads cannot be read: ${cause.message}`, {
    cause,
  });
}

const cancelled = (): ZeptoError => new ZeptoError('CANCELLED', 'rejoin', 'cancelled by the caller');
