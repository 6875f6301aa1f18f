import { APPLICATION_ROUTES } from './application-routes.ts';
import { plain } from './discord-failure.ts';
import { MESSAGE_ROUTES } from './message-routes.ts';
import type { Call, Route } from './route.ts';

const PREFIX = '/api/v10';

const ROUTES: readonly Route[] = [...MESSAGE_ROUTES, ...APPLICATION_ROUTES];

/** The route of a request. @throws DiscordFailure 404 for an unknown path, 405 for an unsupported method */
export function findRoute(method: string, path: string): { readonly route: Route; readonly params: Call['params'] } {
  let pathKnown = false;
  for (const route of ROUTES) {
    const params = paramsOf(PREFIX + route.path, path);
    if (params !== undefined && route.method === method) {
      return { route, params };
    }
    pathKnown ||= params !== undefined;
  }
  throw plain(pathKnown ? 405 : 404);
}

/** The values of the `{name}` parts; undefined for another path. */
function paramsOf(pattern: string, path: string): Record<string, string> | undefined {
  const [expected, given] = [pattern.split('/'), path.split('/')];
  const params: Record<string, string> = {};
  const fits = expected.every((part, place) => {
    const found = given[place] ?? '';
    if (!part.startsWith('{')) {
      return part === found;
    }
    params[part.slice(1, -1)] = decodeURIComponent(found);
    return found !== '';
  });
  return fits && expected.length === given.length ? params : undefined;
}
