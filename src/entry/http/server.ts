import { lookup } from 'node:dns/promises';
import type { IncomingMessage, Server } from 'node:http';
import { isIP, type AddressInfo } from 'node:net';
import { type FastifyInstance, type FastifyReply, type FastifyRequest, fastify } from 'fastify';
import { FacteurError, errorMessage } from '../../base/errors.ts';
import type { ListenerDoor, Listener, Listeners } from '../../config/listeners.ts';
import { ApiProblem, sendProblem } from '../api/problem.ts';
import { answerFailure, sendAnswer, unavailable } from './answer.ts';
import { registerCodexTasks } from './codex-tasks-route.ts';
import { Connections } from './connections.ts';
import type { HttpDeps, HttpTimeouts, Lookup } from './deps.ts';
import { registerEvents } from './events-route.ts';
import { registerInteractions } from './interactions-route.ts';
import { trackPaths } from './known-paths.ts';
import { LateApp } from './late-app.ts';
import { Farewell, type FarewellTimes } from './farewell.ts';
import { registerHealth, registerMetrics, registerReadiness } from './probe-routes.ts';
import { PROBES, reportFailure, traceRequests } from './request-events.ts';
import { registerRoot } from './root-route.ts';

/** The address of a listener. */
export interface Address {
  readonly host: string;
  readonly port: number;
}

export interface HttpServer {
  /**
   * Starts to listen; resolves to the addresses, in the order of the listeners. If one fails, the others keep
   * listening.
   *
   * @throws FacteurError `http.listen`, which names the configuration key of the address
   */
  listen(): Promise<readonly Address[]>;
  /**
   * Becomes unready, continues until a readiness probe has seen it, then stops accepting, lets requests finish for at
   * most `graceMs`, and closes the rest. Safe to call twice, and before `listen`.
   */
  close(graceMs: number): Promise<void>;
}

/** Idle connections live longer than those of common proxies (60 s), so a proxy does not send requests on a closing one. */
const TIMEOUTS: HttpTimeouts = { headersMs: 10_000, requestMs: 30_000, keepAliveMs: 75_000, checkMs: 1_000 };
/** Our manifests let the kubelet probe every 5 seconds. */
const FAREWELL: FarewellTimes = { noticeMs: 6_000, settleMs: 1_000 };
/** Served while draining: a probe must not restart a pod that is shutting down, and its last metrics count too. */
const ANSWERED_WHILE_DRAINING = PROBES;
/**
 * The connections that each door adds to its listener: the maximum number of requests with a body, and idle
 * connections of proxies. A flood on one address does not affect the others.
 */
const CONNECTIONS: Readonly<Record<ListenerDoor, number>> = { intake: 1000, discord: 250, api: 350, metrics: 50 };
const PROBE_CONNECTIONS = 50;
/**
 * Maximum number of connections that wait to be accepted; the kernel caps it at `net.core.somaxconn`. With Node's 511 a flood
 * makes the kernel drop the probe's SYN, and its client retries only a second later.
 */
const BACKLOG = 65_535;
const IDLE_CHECK_MS = 100;
/** The URLs of `/v1`, whose errors are sent as problems. */
const OF_API = /^\/v1(?:[/?]|$)/;
const NO_SNIFFING = { 'x-content-type-options': 'nosniff' };

/** State shared by all listeners of a process: they shut down together. */
interface Leaving {
  readonly farewell: Farewell;
  /** Aborts when no new requests are served any longer. */
  readonly closing: AbortController;
}

/** One listener and its routes. */
interface Served {
  readonly listener: Listener;
  readonly app: FastifyInstance;
  readonly connections: Connections;
  /** `/v1`, if this listener serves it. */
  readonly api: LateApp | undefined;
}

/** The HTTP doors, each on its listener. Routes receive unread bodies of any type and decide what to read. */
export function createHttpServer(deps: HttpDeps, listeners: Listeners): HttpServer {
  const leaving = { farewell: new Farewell(deps.farewell ?? FAREWELL), closing: new AbortController() };
  const served = listeners.map((listener) => serve(listener, deps, leaving));
  registerRoot((served[0] as Served).app, deps);
  return {
    async listen() {
      const addresses: Address[] = [];
      for (const { app, listener } of served) {
        await app.ready();
        addresses.push(await listenOn(app.server, listener, deps.lookup ?? lookup));
      }
      return addresses;
    },
    async close(graceMs) {
      await leaving.farewell.take();
      leaving.closing.abort();
      await Promise.all(served.map((one) => drain(one, graceMs)));
    },
  };
}

function serve(listener: Listener, deps: HttpDeps, leaving: Leaving): Served {
  const { doors } = listener;
  const most = doors.reduce((sum, door) => sum + CONNECTIONS[door], PROBE_CONNECTIONS);
  const connections = new Connections(deps.maxConnections ?? most);
  const app = createApp(deps, connections, leaving);
  const api = doors.includes('api') ? lateApi(deps, connections, leaving) : undefined;
  api?.take(app.server, OF_API);
  connections.watch(app.server);
  app.server.prependListener('request', (request: IncomingMessage) => {
    request.url = withoutOrigin(request.url);
  });
  registerHealth(app);
  registerReadiness(app, deps, leaving.farewell);
  for (const door of doors) {
    REGISTER[door]?.(app, deps);
  }
  return { listener, app, connections, api };
}

/** `/v1` is a separate app: building its schemas would take a third of the time until `serve` listens. */
function lateApi(deps: HttpDeps, connections: Connections, leaving: Leaving): LateApp | undefined {
  const { api: open, logger } = deps;
  const build = async (openApi: NonNullable<typeof open>): Promise<FastifyInstance> => {
    const [{ registerApi }, api] = await Promise.all([import('../api/register.ts'), openApi()]);
    const app = createApp(deps, connections, leaving);
    registerApi(app, { ...api, logger, closing: leaving.closing.signal });
    await app.ready();
    return app;
  };
  return open === undefined ? undefined : new LateApp(() => build(open), logger);
}

const REGISTER: Readonly<Partial<Record<ListenerDoor, (app: FastifyInstance, deps: HttpDeps) => void>>> = {
  intake: (app, deps) => {
    registerEvents(app, deps);
    registerCodexTasks(app, deps);
  },
  discord: (app, { interactions, maxBodyBytes }) => {
    if (interactions !== undefined) {
      registerInteractions(app, interactions, maxBodyBytes);
    }
  },
  metrics: (app, { scrape }) => {
    if (scrape !== undefined) {
      registerMetrics(app, scrape);
    }
  },
};

async function drain({ app, connections, api }: Served, graceMs: number): Promise<void> {
  connections.closeUnused();
  const grace = setTimeout(() => app.server.closeAllConnections(), graceMs);
  // Node ends the connections that are idle now. A connection whose request was answered early becomes idle once its body has
  // arrived.
  const idle = setInterval(() => app.server.closeIdleConnections(), IDLE_CHECK_MS);
  await app.close();
  await api?.close();
  clearInterval(idle);
  clearTimeout(grace);
}

/** Creates an app with everything that all routes share. */
function createApp(deps: HttpDeps, connections: Connections, leaving: Leaving): FastifyInstance {
  const { headersMs, requestMs, keepAliveMs, checkMs } = deps.timeouts ?? TIMEOUTS;
  const app = fastify({
    logger: false,
    schemaController: { compilersFactory: { buildValidator: noSchemas, buildSerializer: noSchemas } },
    // Proxies and people add slashes.
    routerOptions: { ignoreTrailingSlash: true },
    rewriteUrl: ({ url = '/' }) => inLowerCase(url),
    requestTimeout: requestMs,
    keepAliveTimeout: keepAliveMs,
    http: { headersTimeout: headersMs, requestTimeout: requestMs, connectionsCheckingInterval: checkMs },
    // The hook below responds in the contract's words.
    return503OnClosing: false,
    clientErrorHandler: (error, socket) => connections.refuse(error, socket),
    // A URL that cannot be decoded never reaches the hooks.
    frameworkErrors: (_error, request, reply) => {
      if (OF_API.test(request.url)) {
        sendProblem(reply.headers(NO_SNIFFING), new ApiProblem(400, 'bad_request', 'invalid URL'));
        return;
      }
      sendAnswer(reply, { status: 400, body: { error: 'bad request' }, headers: NO_SNIFFING });
    },
  });
  app.removeAllContentTypeParsers();
  // Each route reads its body itself, within a budget.
  app.addContentTypeParser('*', (_request, _body, done) => done(null));
  app.addHook('onRequest', (request, _reply, done) => {
    // An empty type counts as no type; fastify would refuse it before the route is called.
    if (request.headers['content-type'] === '') {
      delete request.headers['content-type'];
    }
    done();
  });
  traceRequests(app, deps.logger);
  addDraining(app, leaving);
  addFallbacks(app, deps);
  return app;
}

/** A client that treats facteur as a proxy sends the whole URL, and servers must accept that (RFC 9112, 3.2.2). */
function withoutOrigin(url = '/'): string {
  const rest = url.replace(/^https?:\/\/[^/?#]*/i, '');
  return rest === '' || rest.startsWith('?') ? `/${rest}` : rest;
}

/** The paths of the Go service, which ignored case. */
const GO_PATHS = /^\/(?:events|codex\/tasks|healthz|readyz)(?=[/?]|$)/i;

function inLowerCase(url: string): string {
  return url.replace(GO_PATHS, (path) => path.toLowerCase());
}

/** Routes check their own input, so fastify need not load its validator. */
function noSchemas(): never {
  throw new Error('routes have no fastify schemas');
}

function addDraining(app: FastifyInstance, { farewell, closing }: Leaving): void {
  app.addHook('onRequest', (request, reply, done) => {
    if (closing.signal.aborted && !ANSWERED_WHILE_DRAINING.includes(request.routeOptions.url ?? '')) {
      refuseDraining(request, reply);
    } else {
      done();
    }
  });
  app.addHook('onSend', (_request, reply, _payload, done) => {
    reply.headers(NO_SNIFFING);
    if (farewell.begun) {
      reply.header('connection', 'close');
    }
    done();
  });
}

function refuseDraining({ url }: FastifyRequest, reply: FastifyReply): void {
  if (OF_API.test(url)) {
    const headers = { 'retry-after': '5' };
    sendProblem(reply, new ApiProblem(503, 'unavailable', 'facteur is stopping; try again', { headers }));
  } else {
    sendAnswer(reply, unavailable());
  }
}

function addFallbacks(app: FastifyInstance, { logger }: HttpDeps): void {
  const methodsOf = trackPaths(app);
  const answerUnknown = (request: FastifyRequest, reply: FastifyReply): FastifyReply => {
    const methods = methodsOf(request.url.split('?', 1)[0] ?? '');
    const [status, error] =
      methods.length === 0 ? ([404, 'not found'] as const) : ([405, 'method not allowed'] as const);
    const headers: Record<string, string> = methods.length === 0 ? {} : { allow: methods.join(', ') };
    return OF_API.test(request.url)
      ? sendProblem(reply, new ApiProblem(status, error.replaceAll(' ', '_'), error, { headers }))
      : sendAnswer(reply, { status, body: { error }, headers });
  };
  app.setNotFoundHandler(answerUnknown);
  app.setErrorHandler((error, request, reply) => {
    // Fastify checks the type of a body (of QUERY, for example) before it reports that there is no such route.
    if (request.is404) {
      return answerUnknown(request, reply);
    }
    reportFailure(error, request, logger);
    return sendAnswer(reply, answerFailure(error, 'internal error'));
  });
}

async function listenOn(server: Server, { key, host, port }: Listener, find: Lookup): Promise<Address> {
  const { promise, resolve, reject } = Promise.withResolvers<void>();
  server.once('error', reject);
  try {
    server.listen({ port, backlog: BACKLOG, ...(await interfaceOf(host, find)) }, resolve);
    await promise;
  } catch (error) {
    const message = `${key}: cannot listen on ${host}:${port}: ${errorMessage(error)}`;
    throw new FacteurError('http.listen', message, { retryable: false, cause: error });
  }
  server.removeListener('error', reject);
  const address = server.address() as AddressInfo;
  return { host: address.address, port: address.port };
}

/** Prefers the IPv4 address of a name, as the Go service does: in most containers `localhost` resolves to `::1` first. */
async function interfaceOf(host: string, find: Lookup): Promise<{ readonly host?: string }> {
  if (host === '') {
    return {};
  }
  return { host: isIP(host) === 0 ? (await find(host, { order: 'ipv4first' })).address : host };
}
