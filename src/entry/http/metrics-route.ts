import type { FastifyInstance } from 'fastify';

/** `GET /metrics`: all metrics, as Prometheus scrapes them. */
export function registerMetrics(app: FastifyInstance, scrape: () => Promise<string>): void {
  app.get('/metrics', async (_request, reply) =>
    reply
      .headers({ 'content-type': 'text/plain; version=0.0.4; charset=utf-8', 'cache-control': 'no-store' })
      .send(await scrape()),
  );
}
