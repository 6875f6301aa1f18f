import type { FastifyInstance } from 'fastify';

/**
 * Records every route that is registered from now on, and returns the methods of a path: a known path with another method is a
 * 405, but fastify only knows 404.
 */
export function trackPaths(app: FastifyInstance): (path: string) => readonly string[] {
  const routes: { parts: readonly string[]; methods: readonly string[] }[] = [];
  app.addHook('onRoute', ({ url, method }) => {
    routes.push({ parts: url.split('/'), methods: [method].flat() });
  });
  return (path) => {
    const given = path.split('/', MAX_PARTS);
    const fitting = routes.filter(({ parts }) => fits(parts, given));
    // `/v1/runs/search` is a path of its own in addition to `/v1/runs/:id`.
    const fewest = Math.min(...fitting.map(({ parts }) => parameters(parts)));
    return [...new Set(fitting.filter(({ parts }) => parameters(parts) === fewest).flatMap(({ methods }) => methods))];
  };
}

function parameters(parts: readonly string[]): number {
  return parts.filter((part) => part.startsWith(':') || part === '*').length;
}

/** More than any route has. */
const MAX_PARTS = 32;

/** Whether a path matches a route in fastify's notation: `/v1/runs/:id`, `/console/*`. A trailing slash is ignored. */
function fits(parts: readonly string[], path: readonly string[]): boolean {
  const open = parts.at(-1) === '*';
  const given = !open && path.length > 2 && path.at(-1) === '' ? path.slice(0, -1) : path;
  const fixed = open ? parts.slice(0, -1) : parts;
  const enough = open ? given.length >= parts.length : given.length === parts.length;
  return enough && fixed.every((part, place) => (part.startsWith(':') ? given[place] !== '' : part === given[place]));
}
