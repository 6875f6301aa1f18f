import { APPLICATION_ROUTES } from './application-routes.ts';
import { plain } from './discord-failure.ts';
import { MESSAGE_ROUTES } from './message-routes.ts';
import type { Call, Route } from './route.ts';

const PREFIX = '/api/v10';

interface Matcher {
  readonly route: Route;
  readonly pattern: RegExp;
}

const MATCHERS: readonly Matcher[] = [...MESSAGE_ROUTES, ...APPLICATION_ROUTES].map((route) => ({
  route,
  pattern: new RegExp(`^${PREFIX}${route.path.replaceAll(/\{(\w+)\}/g, '(?<$1>[^/]+)')}$`),
}));

/** The route of a request. @throws DiscordFailure 404 for no such path, 405 for no such method on it */
export function findRoute(method: string, path: string): { readonly route: Route; readonly params: Call['params'] } {
  let pathKnown = false;
  for (const { route, pattern } of MATCHERS) {
    const match = pattern.exec(path);
    if (match !== null && route.method === method) {
      const params = Object.entries(match.groups ?? {}).map(([key, value]) => [key, decodeURIComponent(value)]);
      return { route, params: Object.fromEntries(params) as Record<string, string> };
    }
    pathKnown ||= match !== null;
  }
  throw plain(pathKnown ? 405 : 404);
}
