import type { FastifyInstance } from 'fastify';
import { type Answer, sendAnswer } from './answer.ts';
import { Admission } from './admission.ts';
import type { Farewell } from './farewell.ts';
import type { HttpDeps, Readiness } from './deps.ts';

/** `GET /healthz`: the process is alive, whatever else is down. */
export function registerHealth(app: FastifyInstance): void {
  app.get('/healthz', (_request, reply) => sendAnswer(reply, { status: 200, body: { status: 'ok' } }));
}

/** Scrapes at a time: each takes milliseconds of the event loop and hundreds of kilobytes, and no token. */
const MAX_SCRAPES = 5;

/** `GET /metrics`: all metrics, as Prometheus scrapes them. */
export function registerMetrics(app: FastifyInstance, scrape: () => Promise<string>): void {
  const room = new Admission({ bytes: 0, requests: MAX_SCRAPES });
  app.get('/metrics', async (_request, reply) =>
    reply
      .headers({ 'content-type': 'text/plain; version=0.0.4; charset=utf-8', 'cache-control': 'no-store' })
      .send(await room.admit(scrape)),
  );
}

/** `GET /readyz`: whether the process is ready. A shutdown takes precedence over all checks. */
export function registerReadiness(app: FastifyInstance, deps: HttpDeps, farewell: Farewell): void {
  app.get('/readyz', async (_request, reply) => {
    farewell.probed();
    const readiness = farewell.begun ? { ready: false, checks: { server: 'draining' } } : await deps.readiness();
    return sendAnswer(reply, answerReadiness(readiness));
  });
}

/** Optional dependencies are shown while they are down, and change nothing else. */
function answerReadiness({ ready, checks }: Readiness): Answer {
  if (!ready) {
    return { status: 503, body: { status: 'unready', checks } };
  }
  const allWell = Object.values(checks).every((check) => check === 'ok');
  return { status: 200, body: allWell ? { status: 'ready' } : { status: 'ready', checks } };
}
