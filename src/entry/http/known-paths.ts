import type { FastifyInstance } from 'fastify';

/**
 * Remembers every route that is registered from now on, and says which methods a path takes: a known path with another
 * method is a 405, and fastify only knows 404.
 */
export function trackPaths(app: FastifyInstance): (path: string) => readonly string[] {
  const routes: { pattern: RegExp; methods: readonly string[] }[] = [];
  app.addHook('onRoute', ({ url, method }) => {
    routes.push({ pattern: toPattern(url), methods: [method].flat() });
  });
  return (path) => [...new Set(routes.filter(({ pattern }) => pattern.test(path)).flatMap(({ methods }) => methods))];
}

/** `/v1/runs/:id` and `/console/*` as fastify writes them. */
function toPattern(url: string): RegExp {
  const source = url
    .replaceAll(/[.+?^${}()|[\]\\]/g, String.raw`\$&`)
    .replaceAll('*', '.*')
    .replaceAll(/:[^/]+/g, '[^/]+');
  return new RegExp(`^${source}$`);
}
