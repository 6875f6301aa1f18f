/** A raw client of a real cluster's API for tests: unchanged data, and no retries. */
import { setTimeout } from 'node:timers/promises';
import { Agent, request } from 'undici';
import { systemClock } from '../../src/base/clock.ts';
import { isRecord } from '../../src/base/json.ts';
import type { ClusterAccess, Connection } from '../../src/clients/argo/connection.ts';
import { resolveClusterAccess } from '../../src/clients/argo/kubeconfig.ts';

/** The untyped result of `JSON.parse`: a wrong shape fails the expectation that follows. */
type Json = ReturnType<typeof JSON.parse>;

export interface ApiAnswer {
  readonly status: number;
  /** Parsed JSON, else text. */
  readonly body: unknown;
}

export interface ApiRequest {
  readonly method?: 'GET' | 'POST' | 'PUT' | 'PATCH' | 'DELETE';
  readonly body?: unknown;
  /** Content type of the body; JSON by default. */
  readonly contentType?: string;
  /** Override the login headers; an empty value removes a header. */
  readonly headers?: Readonly<Record<string, string>>;
}

/** A Kubernetes object. */
export interface ApiObject {
  readonly apiVersion: string;
  readonly kind: string;
  readonly metadata: {
    readonly name: string;
    readonly namespace?: string;
    readonly labels?: Readonly<Record<string, string>>;
    readonly annotations?: Readonly<Record<string, string>>;
  };
  readonly [field: string]: unknown;
}

interface DiscoveredResource {
  readonly kind: string;
  /** The name, with `/` before a subresource. */
  readonly name: string;
  readonly namespaced: boolean;
}

/** A cluster, with the access of its kubeconfig. */
export class ClusterApi {
  readonly #access: ClusterAccess;
  readonly #plurals = new Map<string, Promise<{ plural: string; namespaced: boolean }>>();
  #agent: { readonly connection: Connection; readonly agent: Agent } | undefined;

  constructor(access: ClusterAccess) {
    this.#access = access;
  }

  /** Sends a request and returns any result. */
  async send(path: string, { method = 'GET', body, contentType, headers }: ApiRequest = {}): Promise<ApiAnswer> {
    const connection = await this.#access.connection();
    const type = body === undefined ? {} : { 'content-type': contentType ?? 'application/json' };
    const all = { ...connection.headers, ...type, ...headers };
    const response = await request(connection.server + path, {
      method,
      dispatcher: this.#agentFor(connection),
      headers: Object.fromEntries(Object.entries(all).filter(([, value]) => value !== '')),
      ...(body === undefined ? {} : { body: typeof body === 'string' ? body : JSON.stringify(body) }),
    });
    const text = await response.body.text();
    return { status: response.statusCode, body: parseIfJson(text) };
  }

  /** Sends a request that must succeed, and returns its result in the shape that the caller expects. Throws otherwise. */
  async call<T = Json>(path: string, options: ApiRequest = {}): Promise<T> {
    const answer = await this.send(path, options);
    if (answer.status >= 300) {
      throw refusal(`${options.method ?? 'GET'} ${path}`, answer);
    }
    return answer.body as T;
  }

  /** Applies the object by server-side apply, which rejects unknown fields. */
  async apply<T = Json>(object: ApiObject, query = ''): Promise<T> {
    const path = `${await this.pathOf(object)}?fieldManager=facteur-tests&force=true${query}`;
    return this.call<T>(path, { method: 'PATCH', contentType: 'application/apply-patch+yaml', body: object });
  }

  /** Deletes the object if it exists. */
  async remove(object: Pick<ApiObject, 'apiVersion' | 'kind' | 'metadata'>): Promise<void> {
    const answer = await this.send(await this.pathOf(object), { method: 'DELETE' });
    if (answer.status >= 300 && answer.status !== 404) {
      throw refusal(`delete ${object.kind} ${object.metadata.name}`, answer);
    }
  }

  /** The path of an object, from the discovery of its kind. */
  async pathOf({ apiVersion, kind, metadata }: Pick<ApiObject, 'apiVersion' | 'kind' | 'metadata'>): Promise<string> {
    const group = apiVersion.includes('/') ? `/apis/${apiVersion}` : `/api/${apiVersion}`;
    const { plural, namespaced } = await this.#resource(group, kind);
    const namespace = namespaced ? `/namespaces/${metadata.namespace ?? 'default'}` : '';
    return `${group}${namespace}/${plural}/${metadata.name}`;
  }

  async close(): Promise<void> {
    await this.#agent?.agent.destroy();
  }

  #resource(group: string, kind: string): Promise<{ plural: string; namespaced: boolean }> {
    const key = `${group} ${kind}`;
    const known = this.#plurals.get(key) ?? this.#discover(group, kind);
    this.#plurals.set(key, known);
    // A kind that was not found is looked up again next time.
    known.catch(() => this.#plurals.delete(key));
    return known;
  }

  async #discover(group: string, kind: string): Promise<{ plural: string; namespaced: boolean }> {
    const { resources } = await this.call<{ readonly resources: readonly DiscoveredResource[] }>(group);
    const found = resources.find((one) => one.kind === kind && !one.name.includes('/'));
    if (found === undefined) {
      throw new Error(`the cluster has no ${kind} in ${group}`);
    }
    return { plural: found.name, namespaced: found.namespaced };
  }

  #agentFor(connection: Connection): Agent {
    if (this.#agent?.connection !== connection) {
      void this.#agent?.agent.close();
      const { ca, cert, key } = connection.tls;
      this.#agent = { connection, agent: new Agent({ connect: { ca, cert, key } }) };
    }
    return this.#agent.agent;
  }
}

/** The cluster of a kubeconfig file, read by facteur's own code. */
export async function accessByKubeconfig(file: string): Promise<ClusterAccess> {
  return resolveClusterAccess({
    environment: { FACTEUR_KUBECONFIG: file },
    homeDirectory: '/nonexistent',
    clock: systemClock,
  });
}

export async function openCluster(kubeconfig: string): Promise<ClusterApi> {
  return new ClusterApi(await accessByKubeconfig(kubeconfig));
}

/** Retries until `attempt` succeeds. Throws the last error if it does not in time. */
export async function eventually<T>(attempt: () => Promise<T>, timeoutMs = 60_000): Promise<T> {
  const deadline = performance.now() + timeoutMs;
  for (;;) {
    try {
      return await attempt();
    } catch (error) {
      if (performance.now() > deadline) {
        throw error;
      }
      await setTimeout(100);
    }
  }
}

function refusal(what: string, { status, body }: ApiAnswer): Error {
  const message = isRecord(body) && typeof body['message'] === 'string' ? body['message'] : JSON.stringify(body);
  return new Error(`${what}: ${status} ${message}`);
}

function parseIfJson(text: string): unknown {
  try {
    return JSON.parse(text) as unknown;
  } catch {
    return text;
  }
}
