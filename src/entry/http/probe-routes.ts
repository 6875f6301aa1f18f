import type { FastifyInstance } from 'fastify';
import { type Answer, sendAnswer } from './answer.ts';
import { Admission } from './admission.ts';
import type { Farewell } from './farewell.ts';
import type { HttpDeps, Readiness } from './deps.ts';

/** `GET /healthz`: the process is alive, whatever else is down. */
export function registerHealth(app: FastifyInstance): void {
  app.get('/healthz', (_request, reply) => sendAnswer(reply, { status: 200, body: { status: 'ok' } }));
}

/**
 * Maximum number of concurrent scrapes: each takes milliseconds of the event loop and hundreds of kilobytes, and needs no token.
 */
const MAX_SCRAPES = 5;

/** `GET /metrics`: all metrics in Prometheus's format. */
export function registerMetrics(app: FastifyInstance, scrape: () => Promise<string>): void {
  const room = new Admission({ bytes: 0, requests: MAX_SCRAPES });
  app.get('/metrics', async (_request, reply) =>
    reply
      .headers({ 'content-type': 'text/plain; version=0.0.4; charset=utf-8', 'cache-control': 'no-store' })
      .send(await room.admit(scrape)),
  );
}

/** Maximum number of probes that wait for the checks. Anybody can send any number on one connection. */
const MAX_WAITING_PROBES = 50;

/** `GET /readyz`: whether the process is ready. A shutdown takes precedence over all checks. */
export function registerReadiness(app: FastifyInstance, deps: HttpDeps, farewell: Farewell): void {
  const current = latest(deps.readiness);
  app.get('/readyz', async (_request, reply) => {
    farewell.probed();
    const readiness = farewell.begun ? { ready: false, checks: { server: 'draining' } } : await current();
    return sendAnswer(reply, answerReadiness(readiness));
  });
}

/**
 * In a flood of probes most get the last result, which is good enough: the kubelet's own probes must not fail because of the
 * flood.
 */
function latest(check: HttpDeps['readiness']): HttpDeps['readiness'] {
  let last: Readiness = { ready: false, checks: { server: 'starting' } };
  let waiting = 0;
  return async () => {
    if (waiting >= MAX_WAITING_PROBES) {
      return last;
    }
    waiting += 1;
    try {
      last = await check();
      return last;
    } finally {
      waiting -= 1;
    }
  };
}

/** Optional dependencies that are down are shown, but do not affect readiness. */
function answerReadiness({ ready, checks }: Readiness): Answer {
  if (!ready) {
    return { status: 503, body: { status: 'unready', checks } };
  }
  const allWell = Object.values(checks).every((check) => check === 'ok');
  return { status: 200, body: allWell ? { status: 'ready' } : { status: 'ready', checks } };
}
