import type { FastifyInstance } from 'fastify';
import { sendAnswer } from './answer.ts';
import type { HttpDeps } from './deps.ts';

/** `/` by any method: the name and version of the service. */
export function registerRoot(app: FastifyInstance, { version, commit }: HttpDeps): void {
  const body = { service: 'facteur', status: 'ok', version, commit };
  app.all('/', (_request, reply) => sendAnswer(reply, { status: 200, body }));
}
