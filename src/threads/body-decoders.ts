// What: decoders of lz4 and zstd bodies, on a thread of their own.
// Why: lz4 is what clickhouse-connect sends unless told otherwise, and neither is in Node 20.
// Invariant: the thread is started by the first such body; one that died is replaced by the next body, and its bodies are refused.

import type { Worker } from 'node:worker_threads';
import type { BodyDecoder, BodyDecoders } from '../../connectors/http/statement-request.ts';
import { Codec } from '../../connectors/kafka/codecs.ts';
import { ZeptoError } from '../kernel/errors.ts';
import { Caller } from './calls.ts';
import { type Listening, startThread } from './thread.ts';
import type { UnpackerCalls } from './unpacker.ts';

export class UnpackingThread {
  readonly decoders: BodyDecoders = { lz4: this.decoderOf(Codec.LZ4), zstd: this.decoderOf(Codec.ZSTD) };
  private readonly listening: Listening;
  private running: { readonly worker: Worker; readonly caller: Caller<UnpackerCalls> } | null = null;

  constructor(listening: Listening) {
    this.listening = listening;
  }

  async stop(): Promise<void> {
    await this.running?.worker.terminate();
  }

  private decoderOf(codec: Codec): BodyDecoder {
    return (bytes, bytesMax) => {
      this.running ??= this.start();
      return this.running.caller.call('unpack', { codec, bytes, bytesMax });
    };
  }

  private start(): { readonly worker: Worker; readonly caller: Caller<UnpackerCalls> } {
    const worker = startThread('unpacker', null, this.listening);
    const caller = new Caller<UnpackerCalls>(worker);
    worker.on('error', (error) =>
      this.listening.logger.error({ error: String(error) }, 'the thread that expands bodies failed'),
    );
    worker.once('exit', () => {
      this.running = null;
      caller.fail(new ZeptoError('INTERNAL', 'retry', 'the thread that expands bodies is gone'));
    });
    return { worker, caller };
  }
}
