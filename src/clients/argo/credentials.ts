import { hash } from 'node:crypto';
import type { Clock } from '../../base/clock.ts';
import type { EgressProxies } from '../../config/egress-proxy.ts';
import type { ClusterAccess, Connection } from './connection.ts';
import { createLogin, loginFailed } from './login.ts';
import { selectContext, type RawKubeconfig, type SelectedContext } from './selected-context.ts';

/** Where a kubeconfig comes from: it is reread periodically, and when its credentials were rejected. */
export interface ClusterSource {
  readonly name: string;
  load(): Promise<RawKubeconfig>;
}

/** How often kubeconfig, token and certificates are checked: well within a minute of a rotation or correction. */
const LOOK_AGAIN_MS = 20_000;
/** Minimum time between forced renewals: an invalid token must not start a credential plugin per request. */
const RENEW_AT_MOST_EVERY_MS = 1_000;
/** A credential plugin that takes longer counts as failed. */
const LOAD_TIMEOUT_MS = 30_000;

interface AccessDeps {
  readonly clock: Clock;
  readonly proxies: EgressProxies;
}

/** Returns connections cached for seconds; concurrent callers share one load. */
export function createClusterAccess(source: ClusterSource, loaded: RawKubeconfig, deps: AccessDeps): ClusterAccess {
  return new CachedAccess(source, selectContext(loaded, source.name).namespace, deps);
}

/** The login from a kubeconfig; it keeps a plugin's token for as long as it is valid. */
interface Login {
  /** Fingerprint of the kubeconfig that it was made from. */
  readonly fingerprint: string;
  readonly read: () => Promise<Connection>;
}

class CachedAccess implements ClusterAccess {
  readonly source: string;
  readonly namespace: string | undefined;
  readonly #origin: ClusterSource;
  readonly #deps: AccessDeps;
  #login: Login | undefined;
  #current: Connection | undefined;
  #loading: Promise<Connection> | undefined;
  #lookedAt = 0;
  #renewedAt = 0;

  constructor(origin: ClusterSource, namespace: string | undefined, deps: AccessDeps) {
    this.source = origin.name;
    this.namespace = namespace;
    this.#origin = origin;
    this.#deps = deps;
  }

  async connection(refused?: Connection): Promise<Connection> {
    if (this.#loading !== undefined) {
      return this.#loading;
    }
    const now = this.#deps.clock.now().getTime();
    const current = this.#current;
    if (current === undefined) {
      return this.#load({ anew: false });
    }
    if (refused === current && now - this.#renewedAt >= RENEW_AT_MOST_EVERY_MS) {
      this.#renewedAt = now;
      return this.#load({ anew: true });
    }
    if (now - this.#lookedAt >= LOOK_AGAIN_MS) {
      // The next check waits the full interval, regardless of the result.
      this.#lookedAt = now;
      // A temporarily unreadable file (it is being replaced) does not break a working connection.
      return this.#load({ anew: false }).catch(() => current);
    }
    return current;
  }

  async #load(options: { readonly anew: boolean }): Promise<Connection> {
    this.#loading = this.#read(options).then((connection) => this.#keep(connection));
    try {
      return await this.#loading;
    } finally {
      this.#loading = undefined;
    }
  }

  async #read({ anew }: { readonly anew: boolean }): Promise<Connection> {
    const context = selectContext(await this.#origin.load(), this.source);
    try {
      return await withTimeout(this.#logIn(context, anew), LOAD_TIMEOUT_MS);
    } catch (error) {
      throw loginFailed(this.source, context, error);
    }
  }

  /** Reuses the login while the kubeconfig is unchanged, unless `anew`: its cached token may be the rejected one. */
  async #logIn(context: SelectedContext, anew: boolean): Promise<Connection> {
    const fingerprint = fingerprintOf(context);
    const isSame = this.#login?.fingerprint === fingerprint && !anew;
    const login = isSame ? this.#login : undefined;
    const read = login?.read ?? (await createLogin(context, this.#deps.proxies));
    const connection = await read();
    this.#login = { fingerprint, read };
    return connection;
  }

  #keep(connection: Connection): Connection {
    this.#lookedAt = this.#deps.clock.now().getTime();
    if (this.#current === undefined || fingerprintOf(this.#current) !== fingerprintOf(connection)) {
      this.#current = connection;
    }
    return this.#current;
  }
}

function fingerprintOf(value: SelectedContext | Connection): string {
  return hash('sha256', JSON.stringify(value));
}

async function withTimeout<T>(work: Promise<T>, ms: number): Promise<T> {
  let timer: NodeJS.Timeout | undefined;
  const late = new Promise<never>((_resolve, reject) => {
    timer = setTimeout(() => {
      reject(new Error(`no credentials after ${ms} ms`));
    }, ms);
  });
  try {
    return await Promise.race([work, late]);
  } finally {
    clearTimeout(timer);
  }
}
