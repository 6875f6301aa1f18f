import type { Server } from 'node:http';
import type { AddressInfo } from 'node:net';
import { type FastifyInstance, fastify } from 'fastify';
import { FacteurError, errorMessage } from '../../base/errors.ts';
import { answerFailure, sendAnswer, unavailable } from './answer.ts';
import { registerCodexTasks } from './codex-tasks-route.ts';
import { Connections } from './connections.ts';
import type { HttpDeps, HttpTimeouts } from './deps.ts';
import { registerEvents } from './events-route.ts';
import { registerInteractions } from './interactions-route.ts';
import { trackPaths } from './known-paths.ts';
import { registerMetrics } from './metrics-route.ts';
import { registerHealth, registerReadiness } from './probe-routes.ts';
import { logRequests, PROBES, reportFailure } from './request-log.ts';
import { traceRequests } from './request-telemetry.ts';
import { registerRoot } from './root-route.ts';

export interface HttpServer {
  /**
   * Starts to listen; resolves to where.
   *
   * @param host empty for every interface
   * @param port 0 lets the system choose
   * @throws FacteurError `http.listen`
   */
  listen(host: string, port: number): Promise<{ readonly host: string; readonly port: number }>;
  /**
   * Turns unready, stops accepting, lets requests finish for `graceMs` at most, then breaks what is left. Safe to call
   * twice, and before `listen`.
   */
  close(graceMs: number): Promise<void>;
}

/** Idle connections outlive those of the proxies in front (60 s as a rule), so that no request meets a closing one. */
const TIMEOUTS: HttpTimeouts = { headersMs: 10_000, requestMs: 30_000, keepAliveMs: 75_000, checkMs: 1_000 };
/** Answered while draining: a probe must not restart a pod that is only finishing, and its last numbers count too. */
const ANSWERED_WHILE_DRAINING = PROBES;
const NO_SNIFFING = { 'x-content-type-options': 'nosniff' };

/** The HTTP door. Bodies reach the routes as bytes, whatever their type: each route decides what it reads. */
export function createHttpServer(deps: HttpDeps): HttpServer {
  const connections = new Connections();
  const app = createApp(deps, connections);
  const drain = { begun: false };
  connections.watch(app.server);
  traceRequests(app);
  addDraining(app, () => drain.begun);
  logRequests(app, deps.logger);
  addFallbacks(app, deps);
  registerHealth(app);
  registerReadiness(app, deps, () => drain.begun);
  registerRoot(app, deps);
  if (deps.scrape !== undefined) {
    registerMetrics(app, deps.scrape);
  }
  registerEvents(app, deps);
  registerCodexTasks(app, deps);
  if (deps.interactions !== undefined) {
    registerInteractions(app, deps.interactions);
  }
  return {
    async listen(host, port) {
      await app.ready();
      return listenOn(app.server, host, port);
    },
    async close(graceMs) {
      drain.begun = true;
      connections.closeUnused();
      const grace = setTimeout(() => app.server.closeAllConnections(), graceMs);
      await app.close();
      clearTimeout(grace);
    },
  };
}

function createApp(deps: HttpDeps, connections: Connections): FastifyInstance {
  const { headersMs, requestMs, keepAliveMs, checkMs } = deps.timeouts ?? TIMEOUTS;
  const app = fastify({
    logger: false,
    bodyLimit: deps.maxBodyBytes,
    requestTimeout: requestMs,
    keepAliveTimeout: keepAliveMs,
    http: { headersTimeout: headersMs, requestTimeout: requestMs, connectionsCheckingInterval: checkMs },
    // The hook below says it in the contract's words.
    return503OnClosing: false,
    clientErrorHandler: (error, socket) => connections.refuse(error, socket),
    // A URL that cannot be decoded never gets as far as the hooks.
    frameworkErrors: (_error, _request, reply) => {
      sendAnswer(reply, { status: 400, body: { error: 'bad request' }, headers: NO_SNIFFING });
    },
  });
  app.removeAllContentTypeParsers();
  app.addContentTypeParser('*', { parseAs: 'buffer' }, (_request, body, done) => done(null, body));
  app.addHook('onRequest', (request, _reply, done) => {
    // An empty type is no type; fastify would refuse it before the route is asked.
    if (request.headers['content-type'] === '') {
      delete request.headers['content-type'];
    }
    done();
  });
  return app;
}

function addDraining(app: FastifyInstance, isDraining: () => boolean): void {
  app.addHook('onRequest', (request, reply, done) => {
    if (isDraining() && !ANSWERED_WHILE_DRAINING.includes(request.routeOptions.url ?? '')) {
      sendAnswer(reply, unavailable());
    } else {
      done();
    }
  });
  app.addHook('onSend', (_request, reply, _payload, done) => {
    reply.headers(NO_SNIFFING);
    if (isDraining()) {
      reply.header('connection', 'close');
    }
    done();
  });
}

function addFallbacks(app: FastifyInstance, { logger }: HttpDeps): void {
  const methodsOf = trackPaths(app);
  app.setNotFoundHandler((request, reply) => {
    const methods = methodsOf(request.url.split('?', 1)[0] ?? '');
    return methods.length === 0
      ? sendAnswer(reply, { status: 404, body: { error: 'not found' } })
      : sendAnswer(reply, {
          status: 405,
          body: { error: 'method not allowed' },
          headers: { allow: methods.join(', ') },
        });
  });
  app.setErrorHandler((error, request, reply) => {
    reportFailure(error, request, logger);
    return sendAnswer(reply, answerFailure(error, 'internal error'));
  });
}

async function listenOn(server: Server, host: string, port: number): Promise<{ host: string; port: number }> {
  const { promise, resolve, reject } = Promise.withResolvers<void>();
  server.once('error', reject);
  server.listen(host === '' ? { port } : { host, port }, resolve);
  try {
    await promise;
  } catch (error) {
    const message = `cannot listen on ${host}:${port}: ${errorMessage(error)}`;
    throw new FacteurError('http.listen', message, { retryable: false, cause: error });
  }
  server.removeListener('error', reject);
  const address = server.address() as AddressInfo;
  return { host: address.address, port: address.port };
}
