import type { IncomingHttpHeaders } from 'node:http';
import { isIP } from 'node:net';
import type { ApiToken } from '../../config/config.ts';
import { bearerToken, tokenFinder } from '../http/bearer.ts';
import { ApiProblem } from './problem.ts';

/** What an API token may do: each scope includes the ones before it. */
export const SCOPES = ['read', 'operate', 'admin'] as const;

export type Scope = (typeof SCOPES)[number];

/** Who calls `/v1`: an operator with a token (or on the same machine), or a workflow about its own run. */
export type Caller =
  | { readonly kind: 'operator'; readonly name: string; readonly scope: Scope }
  | { readonly kind: 'run'; readonly runId: string };

/** Returns the run that a token belongs to. @throws ApiProblem 401 */
export type VerifyRunToken = (token: string) => Promise<string>;

interface CallerSettings {
  readonly apiTokens: readonly ApiToken[];
  readonly verifyRunToken: VerifyRunToken;
}

interface Credentials {
  readonly headers: IncomingHttpHeaders;
  /** The address of the socket's peer; a proxy's if there is one. */
  readonly remoteAddress: string | undefined;
}

const UNAUTHORIZED = { headers: { 'www-authenticate': 'Bearer realm="facteur"' } };

/**
 * Creates the authentication of callers. A token in the form of a JWT belongs to a run. If no tokens are configured, local peers
 * are operators.
 *
 * @returns a function that throws ApiProblem 401
 */
export function callerCheck(settings: CallerSettings): (credentials: Credentials) => Promise<Caller> {
  const find = tokenFinder(settings.apiTokens);
  return async (credentials) => {
    const { authorization } = credentials.headers;
    const token = bearerToken(authorization?.slice(0, 8192));
    if (token === undefined) {
      if (settings.apiTokens.length === 0 && authorization === undefined && isFromThisMachine(credentials)) {
        return { kind: 'operator', name: 'loopback', scope: 'admin' };
      }
      throw new ApiProblem(401, 'unauthorized', 'a bearer token is required', UNAUTHORIZED);
    }
    const operator = find(token);
    if (operator !== undefined) {
      return { kind: 'operator', name: operator.name, scope: operator.scope };
    }
    if (token.split('.').length === 3) {
      return { kind: 'run', runId: await settings.verifyRunToken(token) };
    }
    throw new ApiProblem(401, 'unauthorized', 'invalid token', UNAUTHORIZED);
  };
}

/** Headers that proxies add. */
const PROXY_HEADERS = ['forwarded', 'via', 'x-forwarded-for', 'x-forwarded-host', 'x-real-ip'];

/**
 * Whether a request comes directly from a program on this machine. The clients of a proxy are elsewhere. A browser sends the
 * origin of a page, and a page under a name that resolves to this machine sends that name as the host.
 */
function isFromThisMachine({ headers, remoteAddress }: Credentials): boolean {
  const { origin, host = '' } = headers;
  const isProxied = PROXY_HEADERS.some((name) => headers[name] !== undefined);
  const name = host.replace(/:\d{1,5}$/, '').replaceAll(/[[\]]/g, '');
  const isLocalName = name === 'localhost' || isLoopback(name);
  return isLoopback(remoteAddress) && origin === undefined && !isProxied && isLocalName;
}

/** 127.0.0.0/8, ::1, and the former mapped to IPv6. */
function isLoopback(address = ''): boolean {
  const plain = address.replace(/^::ffff:/i, '');
  return plain === '::1' || (isIP(plain) === 4 && plain.startsWith('127.'));
}

/** The actor of the caller in `run_events.actor`. */
export function actorOf(caller: Caller): string {
  return caller.kind === 'run' ? `run ${caller.runId}` : `api ${caller.name}`;
}

/** The only run that a statement may access; null if the caller may access all. */
export function onlyRunOf(caller: Caller): string | null {
  return caller.kind === 'run' ? caller.runId : null;
}
