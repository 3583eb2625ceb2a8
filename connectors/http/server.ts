// What: the HTTP server: listening, TLS, limits, and the order in which a request is guarded, routed and logged.
// Why: health, metrics and statements share one port, one access check and one log.
// Invariant: after `stop` no request is under way and no file is watched; stopping twice is stopping once.

import { type AddressInfo, isIP } from 'node:net';
import type { Server as TlsServer } from 'node:tls';
import fastify, { type FastifyInstance } from 'fastify';
import type { EngineView, ServerVersion } from '../../src/http-port.ts';
import type { Clock } from '../../src/kernel/clock.ts';
import type { Logger, Metrics } from '../../src/ports.ts';
import { guardAccess } from './access.ts';
import { logAccess, requestIds } from './access-log.ts';
import { type ApiKey, parseApiKeys } from './api-keys.ts';
import { answerErrors } from './errors.ts';
import { answerBrokenRequest, cannotListen, certificatePair, isLoopback } from './listen.ts';
import { openApiRoute } from './openapi.ts';
import { rootRoute, statusRoutes } from './status.ts';
import { type WatchedFiles, watchFiles } from './watched-files.ts';

/** As in the configuration. */
export interface HttpSettings {
  readonly bind: string;
  readonly port: number;
  /** Null: no keys are asked for. */
  readonly apiKeysFile: string | null;
  /** Null: plain HTTP. */
  readonly tls: { readonly certFile: string; readonly keyFile: string } | null;
  readonly requestBytesMax: number;
}

/**
 * Further routes, such as those that answer statements. Each states in `config.access` what it needs ('public',
 * 'read', 'write', 'metrics', 'admin'); `request.identity` and `may()` of access.ts decide more finely. Bodies
 * arrive as Buffers unless the plugin sets parsers of its own.
 */
export type HttpPlugin = (app: FastifyInstance) => void | Promise<void>;

export interface HttpServerParts {
  readonly settings: HttpSettings;
  readonly engine: EngineView;
  readonly metrics: Metrics;
  readonly logger: Logger;
  readonly clock: Clock;
  readonly version: ServerVersion;
  readonly plugins?: readonly HttpPlugin[];
}

/** How long requests under way may take to end when the server stops. */
const DRAIN_MS = 5_000;
/** Statements and parameters in the URL. */
const HEADER_BYTES_MAX = 65_536;
/** For a request to arrive completely. */
const ARRIVAL_MS_MAX = 60_000;

export class HttpServer {
  private readonly parts: HttpServerParts;
  private readonly watched: WatchedFiles<unknown>[] = [];
  private app: FastifyInstance | null = null;
  private stopping: Promise<void> | null = null;

  constructor(parts: HttpServerParts) {
    this.parts = parts;
  }

  /**
   * Resolves with the address, such as `http://127.0.0.1:8123`.
   * @throws ZeptoError CONFIG_INVALID when it cannot listen there, or a file of keys or certificates is wrong.
   */
  async start(): Promise<string> {
    const { bind, port, tls } = this.parts.settings;
    try {
      this.app = this.create();
      await this.addRoutes(this.app);
      await this.app.listen({ host: bind, port }).catch((cause: unknown) => {
        throw cannotListen(bind, port, cause);
      });
    } catch (cause) {
      await this.stop();
      throw cause;
    }
    const address = this.app.server.address() as AddressInfo;
    return `${tls === null ? 'http' : 'https'}://${isIP(bind) === 6 ? `[${bind}]` : bind}:${address.port}`;
  }

  /** Takes no new request, lets those under way end, then closes. Idempotent. */
  stop(): Promise<void> {
    this.stopping ??= this.close();
    return this.stopping;
  }

  private create(): FastifyInstance {
    const { settings, logger, clock } = this.parts;
    const common = {
      bodyLimit: settings.requestBytesMax,
      genReqId: requestIds(),
      requestTimeout: ARRIVAL_MS_MAX,
      clientErrorHandler: answerBrokenRequest,
    };
    if (settings.tls === null) return fastify({ ...common, http: { maxHeaderSize: HEADER_BYTES_MAX } });
    const pair = watchFiles(
      [settings.tls.certFile, settings.tls.keyFile],
      '--tls-cert and --tls-key',
      certificatePair,
      (renewed) => (this.app!.server as unknown as TlsServer).setSecureContext(renewed),
      { clock, logger },
    );
    this.watched.push(pair);
    const app = fastify({ ...common, https: { ...pair.current(), maxHeaderSize: HEADER_BYTES_MAX } });
    // The type says which kind of server it is; routes do not care.
    return app as unknown as FastifyInstance;
  }

  private async addRoutes(app: FastifyInstance): Promise<void> {
    const { settings, engine, metrics, logger, clock, version, plugins = [] } = this.parts;
    logAccess(app, logger, metrics, clock);
    guardAccess(app, { keys: this.apiKeys(), isLoopback: isLoopback(settings.bind), clock });
    answerErrors(app, logger);
    // A connection that the client would keep open must not hold the end of the process up.
    app.addHook('onSend', async (_, reply) => {
      if (this.stopping !== null) reply.header('connection', 'close');
    });
    app.removeAllContentTypeParsers();
    app.addContentTypeParser('*', { parseAs: 'buffer' }, (_, body, done) => done(null, body));
    statusRoutes(app, engine, version, clock);
    openApiRoute(app, version);
    for (const plugin of plugins) await app.register(async (scope) => plugin(scope));
    if (!app.hasRoute({ method: 'GET', url: '/' })) rootRoute(app);
  }

  private apiKeys(): (() => readonly ApiKey[]) | null {
    const { settings, logger, clock } = this.parts;
    const path = settings.apiKeysFile;
    if (path === null) return null;
    const parse = ([text = '']: readonly string[]): readonly ApiKey[] => parseApiKeys(text, path);
    const keys = watchFiles([path], '--api-keys-file', parse, () => {}, { clock, logger });
    this.watched.push(keys);
    return keys.current;
  }

  private async close(): Promise<void> {
    for (const files of this.watched) files.close();
    const { app } = this;
    if (app === null) return;
    const deadline = this.parts.clock.after(DRAIN_MS, () => app.server.closeAllConnections());
    try {
      await app.close();
    } finally {
      deadline.cancel();
    }
  }
}
