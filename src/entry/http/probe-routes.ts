import type { FastifyInstance } from 'fastify';
import { type Answer, sendAnswer } from './answer.ts';
import type { HttpDeps, Readiness } from './deps.ts';

/** `GET /healthz`: alive, whatever else is down. */
export function registerHealth(app: FastifyInstance): void {
  app.get('/healthz', (_request, reply) => sendAnswer(reply, { status: 200, body: { status: 'ok' } }));
}

/** `GET /readyz`: whether requests may come. A drain is told before anybody else is asked. */
export function registerReadiness(app: FastifyInstance, deps: HttpDeps, isDraining: () => boolean): void {
  app.get('/readyz', async (_request, reply) => {
    const readiness = isDraining() ? { ready: false, checks: { server: 'draining' } } : await deps.readiness();
    return sendAnswer(reply, answerReadiness(readiness));
  });
}

/** Dependencies that facteur can do without show while they are down, and change nothing else. */
function answerReadiness({ ready, checks }: Readiness): Answer {
  if (!ready) {
    return { status: 503, body: { status: 'unready', checks } };
  }
  const allWell = Object.values(checks).every((check) => check === 'ok');
  return { status: 200, body: allWell ? { status: 'ready' } : { status: 'ready', checks } };
}
