import { FacteurError } from '../base/errors.ts';
import { Secret } from '../base/secret.ts';

/** Where Redis is, and which of its databases is ours. */
export interface RedisAddress {
  /** A host that begins with `/` is a socket. */
  readonly host: string;
  readonly port: number;
  readonly tls: boolean;
  /** Absent without a password; an empty user means Redis's own `default`. */
  readonly login?: { readonly user: string; readonly password: Secret };
  readonly database: number;
}

const DEFAULT_PORT = 6379;

/**
 * Reads `redis://user:password@host:6379/0` or `unix://user:password@/path?db=0` like the Go service's client: `?db=`, or
 * else the path, is the number of the database, and other parameters are ignored. Undefined for `memory://`, which is not
 * a Redis.
 *
 * @throws FacteurError `config.redis_url`, which continues a sentence that begins with the key and never quotes the URL
 */
export function parseRedisUrl(text: string): RedisAddress | undefined {
  if (text.startsWith('memory://')) {
    return undefined;
  }
  const url = FORM.test(text) ? URL.parse(text.replace(NO_HOST, '$1localhost')) : null;
  if (url === null) {
    throw invalid('must be a redis://, rediss://, unix:// or memory:// URL');
  }
  const socket = url.protocol === 'unix:';
  const password = decode(url.password);
  return {
    host: decode(socket ? url.pathname : url.hostname.replace(/^\[(.*)\]$/, '$1')),
    port: url.port === '' ? DEFAULT_PORT : Number(url.port),
    tls: url.protocol === 'rediss:',
    ...(password === '' ? {} : { login: { user: decode(url.username), password: new Secret(password) } }),
    database: databaseOf(url, socket ? [] : url.pathname.split('/')),
  };
}

const FORM = /^(?:rediss?:\/\/|unix:\/\/[^/?#]*\/[^?#])/i;
/** Node rejects such a URL if it has a login or a port. */
const NO_HOST = /^((?:rediss?|unix):\/\/(?:[^/?#@]*@)?)(?=(?::\d*)?(?:[/?#]|$))/i;

/** Refused unless it is a number: the client library would fall back to database 0, which may belong to others. */
function databaseOf(url: URL, path: readonly string[]): number {
  const asked = url.searchParams.getAll('db').at(-1) ?? '';
  const written = asked === '' ? path.filter((part) => part !== '').join('/') || '0' : asked;
  if (!/^\d{1,9}$/.test(written)) {
    throw invalid('must have a number as its database, as in redis://HOST:6379/0');
  }
  return Number(written);
}

function decode(text: string): string {
  try {
    return decodeURIComponent(text);
  } catch {
    throw invalid('has an unescaped % in its user, password or host (write it as %25)');
  }
}

function invalid(why: string): FacteurError {
  return new FacteurError('config.redis_url', why, { retryable: false });
}
