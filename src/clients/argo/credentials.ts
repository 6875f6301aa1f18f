import { createHash } from 'node:crypto';
import { readFile } from 'node:fs/promises';
import type { RequestOptions } from 'node:https';
import type { Clock } from '../../base/clock.ts';
import { FacteurError } from '../../base/errors.ts';
import { isRecord } from '../../base/json.ts';
import type { ClusterAccess, Connection, TlsMaterial } from './connection.ts';

/** `clusters`, `users` and `contexts` of a kubeconfig have this form; all paths are absolute by now. */
export interface NamedEntry {
  readonly name: string;
  readonly cluster?: Readonly<Record<string, unknown>>;
  readonly user?: Readonly<Record<string, unknown>>;
  readonly context?: Readonly<Record<string, unknown>>;
}

export interface RawKubeconfig {
  readonly clusters: readonly NamedEntry[];
  readonly users: readonly NamedEntry[];
  readonly contexts: readonly NamedEntry[];
  readonly currentContext: string;
}

/** Where a kubeconfig comes from, so that it can be read again when its credentials were refused. */
export interface ClusterSource {
  readonly name: string;
  load(): Promise<RawKubeconfig>;
}

/** Token and certificate files are looked at this often: a rotated service account token is noticed well within a minute. */
const LOOK_AGAIN_MS = 20_000;
/** Between two forced renewals, so that a token that is plainly wrong does not start a credential plugin per request. */
const RENEW_AT_MOST_EVERY_MS = 1_000;
/** A credential plugin that takes longer counts as failed. */
const LOAD_TIMEOUT_MS = 30_000;

/** What the current context says, before any credential was asked for. */
interface Selected {
  readonly cluster: Readonly<Record<string, unknown>>;
  readonly user: Readonly<Record<string, unknown>>;
  readonly namespace: string | undefined;
}

/** Gives connections from a cache of seconds; one load at a time, whoever asks. */
export function createClusterAccess(source: ClusterSource, loaded: RawKubeconfig, clock: Clock): ClusterAccess {
  const first = select(loaded, source.name);
  return new CachedAccess(source, first, clock);
}

class CachedAccess implements ClusterAccess {
  readonly source: string;
  readonly namespace: string | undefined;
  readonly #origin: ClusterSource;
  readonly #clock: Clock;
  readonly #first: Selected;
  #reader: (() => Promise<Connection>) | undefined;
  #current: Connection | undefined;
  #loading: Promise<Connection> | undefined;
  #lookedAt = 0;
  #renewedAt = 0;

  constructor(origin: ClusterSource, first: Selected, clock: Clock) {
    this.source = origin.name;
    this.namespace = first.namespace;
    this.#origin = origin;
    this.#clock = clock;
    this.#first = first;
  }

  async connection(refused?: Connection): Promise<Connection> {
    if (this.#loading !== undefined) {
      return this.#loading;
    }
    const now = this.#clock.now().getTime();
    const current = this.#current;
    if (current === undefined) {
      return this.#load(async () => this.#read());
    }
    if (refused === current && now - this.#renewedAt >= RENEW_AT_MOST_EVERY_MS) {
      this.#renewedAt = now;
      return this.#load(async () => this.#renew());
    }
    if (now - this.#lookedAt >= LOOK_AGAIN_MS) {
      // Whatever comes of it, the next look is not before its time.
      this.#lookedAt = now;
      // A file that cannot be read for a moment (it is being replaced) does not end a connection that works.
      return this.#load(async () => this.#read()).catch(() => current);
    }
    return current;
  }

  async #read(): Promise<Connection> {
    this.#reader ??= await createReader(this.#first);
    return this.#reader();
  }

  /** Everything anew: the kubeconfig itself may have changed, and a plugin's cached token may be the refused one. */
  async #renew(): Promise<Connection> {
    const reader = await createReader(select(await this.#origin.load(), this.source));
    const connection = await reader();
    this.#reader = reader;
    return connection;
  }

  async #load(read: () => Promise<Connection>): Promise<Connection> {
    this.#loading = withTimeout(read(), LOAD_TIMEOUT_MS).then(
      (connection) => this.#keep(connection),
      (error: unknown) => {
        throw error instanceof FacteurError ? error : credentialsFailed(error);
      },
    );
    try {
      return await this.#loading;
    } finally {
      this.#loading = undefined;
    }
  }

  #keep(connection: Connection): Connection {
    this.#lookedAt = this.#clock.now().getTime();
    if (this.#current === undefined || fingerprint(this.#current) !== fingerprint(connection)) {
      this.#current = connection;
    }
    return this.#current;
  }
}

function select(config: RawKubeconfig, source: string): Selected {
  const context = config.contexts.find(({ name }) => name === config.currentContext)?.context;
  if (context === undefined) {
    throw invalid(source, `the current context ${JSON.stringify(config.currentContext)} is not defined`);
  }
  const cluster = config.clusters.find(({ name }) => name === context['cluster'])?.cluster ?? {};
  if (URL.parse(textOf(cluster['server'])) === null) {
    throw invalid(source, "the current context's cluster has no valid server");
  }
  if (!/^(?:https?:.*)?$/.test(textOf(cluster['proxy-url']))) {
    throw invalid(source, 'proxy-url: only http and https proxies are supported');
  }
  const user = config.users.find(({ name }) => name === context['user'])?.user ?? {};
  const namespace = textOf(context['namespace']);
  return { cluster, user, namespace: namespace === '' ? undefined : namespace };
}

function textOf(value: unknown): string {
  return typeof value === 'string' ? value : '';
}

/**
 * A function that reads the credentials as they are now. The library knows the many ways to log in (plugins, OIDC,
 * certificates); it is loaded here and not before because that takes half a second.
 */
async function createReader({ cluster, user }: Selected): Promise<() => Promise<Connection>> {
  const { KubeConfig } = await import('@kubernetes/client-node');
  const server = textOf(cluster['server']).replace(/\/+$/, '');
  const proxyUrl = textOf(cluster['proxy-url']);
  const { tokenFile, ...login } = user;
  const config = new KubeConfig();
  config.loadFromString(
    JSON.stringify({
      'current-context': 'facteur',
      contexts: [{ name: 'facteur', context: { cluster: 'facteur', user: 'facteur' } }],
      // The library refuses plain HTTP without this flag; without TLS it weakens nothing.
      clusters: [
        {
          name: 'facteur',
          cluster: { ...cluster, ...(server.startsWith('http:') ? { 'insecure-skip-tls-verify': true } : {}) },
        },
      ],
      users: [{ name: 'facteur', user: withExecInfo(login) }],
    }),
  );
  return async () => {
    const options: RequestOptions = {};
    await config.applyToHTTPSOptions(options);
    const token = textOf(tokenFile) === '' ? '' : (await readFile(textOf(tokenFile), 'utf8')).trim();
    return {
      server,
      ...(proxyUrl === '' ? {} : { proxyUrl }),
      headers: headersOf(options, token),
      tls: tlsOf(options),
    };
  };
}

/** Plugins of the newer protocol read what they are asked for from this variable, which the library does not set. */
function withExecInfo(user: Readonly<Record<string, unknown>>): Readonly<Record<string, unknown>> {
  const { exec } = user;
  if (!isRecord(exec)) {
    return user;
  }
  const info = { kind: 'ExecCredential', apiVersion: exec['apiVersion'], spec: { interactive: false } };
  const given = Array.isArray(exec['env']) ? (exec['env'] as unknown[]) : [];
  return {
    ...user,
    exec: { ...exec, env: [...given, { name: 'KUBERNETES_EXEC_INFO', value: JSON.stringify(info) }] },
  };
}

function headersOf(options: RequestOptions, token: string): Record<string, string> {
  const headers: Record<string, string> = {};
  for (const [name, value] of Object.entries(options.headers ?? {})) {
    headers[name.toLowerCase()] = String(value);
  }
  if (typeof options.auth === 'string') {
    headers['authorization'] = `Basic ${Buffer.from(options.auth).toString('base64')}`;
  }
  if (token !== '') {
    headers['authorization'] = `Bearer ${token}`;
  }
  return headers;
}

function tlsOf({ ca, cert, key, servername, rejectUnauthorized }: RequestOptions): TlsMaterial {
  return {
    ...(ca === undefined ? {} : { ca: ca as string | Buffer }),
    ...(cert === undefined ? {} : { cert: cert as string | Buffer }),
    ...(key === undefined ? {} : { key: key as string | Buffer }),
    ...(servername === undefined ? {} : { servername }),
    ...(rejectUnauthorized === undefined ? {} : { rejectUnauthorized }),
  };
}

function fingerprint(connection: Connection): string {
  return createHash('sha256').update(JSON.stringify(connection)).digest('hex');
}

async function withTimeout<T>(work: Promise<T>, ms: number): Promise<T> {
  let timer: NodeJS.Timeout | undefined;
  const late = new Promise<never>((_resolve, reject) => {
    timer = setTimeout(() => {
      reject(new Error(`no credentials within ${ms} ms`));
    }, ms);
  });
  try {
    return await Promise.race([work, late]);
  } finally {
    clearTimeout(timer);
  }
}

function credentialsFailed(error: unknown): FacteurError {
  // What a plugin writes to stderr may be anything, so it stays in the cause.
  const why = isRecord(error) && typeof error['code'] === 'string' ? ` (${error['code']})` : '';
  return new FacteurError('argo.credentials', `no Kubernetes credentials could be obtained${why}`, {
    retryable: true,
    cause: error,
  });
}

function invalid(source: string, why: string): FacteurError {
  return new FacteurError('argo.kubeconfig_invalid', `kubeconfig ${source}: ${why}`, { retryable: false });
}
