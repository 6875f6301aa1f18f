import { readFile } from 'node:fs/promises';
import { dirname, isAbsolute, join, resolve } from 'node:path';
import { parseAllDocuments } from 'yaml';
import type { Clock } from '../../base/clock.ts';
import { errorMessage, FacteurError } from '../../base/errors.ts';
import { isRecord } from '../../base/json.ts';
import type { ClusterAccess } from './connection.ts';
import { readProxies } from '../../config/egress-proxy.ts';
import { createClusterAccess, type ClusterSource } from './credentials.ts';
import { kubeconfigInvalid, textOf, type NamedEntry, type RawKubeconfig } from './selected-context.ts';

/** Where a pod's service account is mounted. */
const SERVICE_ACCOUNT_DIRECTORY = '/var/run/secrets/kubernetes.io/serviceaccount';

export interface KubeconfigSources {
  readonly environment: Readonly<Record<string, string | undefined>>;
  readonly homeDirectory: string;
  readonly clock: Clock;
  /** Replaces the directory of the service account's files, for tests. */
  readonly serviceAccountDirectory?: string;
}

/**
 * The cluster to use: `FACTEUR_KUBECONFIG`, else `KUBECONFIG` (a `:`-separated list is merged; the first file with a value wins),
 * else the pod's service account, else `~/.kube/config`. If no file of `KUBECONFIG` exists, only the pod's account is tried: a
 * mistyped name must not select another cluster. Throws `argo.kubeconfig_missing` without any and `argo.kubeconfig_invalid` if
 * the chosen one is invalid. Credentials are first read by a request.
 */
export async function resolveClusterAccess(sources: KubeconfigSources): Promise<ClusterAccess> {
  const source = await chooseSource(sources);
  const proxies = readProxies(sources.environment);
  return createClusterAccess(source, await source.load(), { clock: sources.clock, proxies });
}

async function chooseSource(sources: KubeconfigSources): Promise<ClusterSource> {
  const own = sources.environment['FACTEUR_KUBECONFIG'] ?? '';
  if (own !== '') {
    return fileSource([own], `FACTEUR_KUBECONFIG (${own})`);
  }
  const shared = sources.environment['KUBECONFIG'] ?? '';
  const files = shared.split(':').filter((file) => file !== '');
  const present = await Promise.all(files.map(readIfPresent));
  if (present.some((text) => text !== undefined)) {
    return fileSource(files, `KUBECONFIG (${shared})`);
  }
  const directory = sources.serviceAccountDirectory ?? SERVICE_ACCOUNT_DIRECTORY;
  const inCluster = await inClusterSource(sources.environment, directory);
  if (inCluster !== undefined) {
    return inCluster;
  }
  const standard = join(sources.homeDirectory, '.kube', 'config');
  if (files.length === 0 && (await readIfPresent(standard)) !== undefined) {
    return fileSource([standard], standard);
  }
  const remark = files.length === 0 ? '' : ` (${shared}, which KUBECONFIG names, does not exist)`;
  throw new FacteurError(
    'argo.kubeconfig_missing',
    `no Kubernetes credentials found${remark}: set FACTEUR_KUBECONFIG or KUBECONFIG, run in a cluster with a service account, or create ~/.kube/config`,
    { retryable: false },
  );
}

function fileSource(files: readonly string[], name: string): ClusterSource {
  return { name, load: async () => loadFiles(files, name) };
}

async function inClusterSource(
  environment: KubeconfigSources['environment'],
  directory: string,
): Promise<ClusterSource | undefined> {
  const host = environment['KUBERNETES_SERVICE_HOST'] ?? '';
  const port = environment['KUBERNETES_SERVICE_PORT'] ?? '';
  const tokenFile = join(directory, 'token');
  if (host === '' || port === '' || (await readIfPresent(tokenFile)) === undefined) {
    return undefined;
  }
  const authority = host.includes(':') ? `[${host}]:${port}` : `${host}:${port}`;
  // Other clients also assume plain HTTP on these ports, which `kubectl proxy` and similar tools use.
  const scheme = ['80', '8080', '8001'].includes(port) ? 'http' : 'https';
  const load = async (): Promise<RawKubeconfig> => ({
    clusters: [
      {
        name: 'in-cluster',
        cluster: { server: `${scheme}://${authority}`, 'certificate-authority': join(directory, 'ca.crt') },
      },
    ],
    users: [{ name: 'in-cluster', user: { tokenFile } }],
    contexts: [
      {
        name: 'in-cluster',
        context: {
          cluster: 'in-cluster',
          user: 'in-cluster',
          namespace: (await readIfPresent(join(directory, 'namespace')))?.trim() ?? '',
        },
      },
    ],
    currentContext: 'in-cluster',
  });
  return { name: 'in-cluster', load };
}

async function loadFiles(files: readonly string[], name: string): Promise<RawKubeconfig> {
  const loaded: RawKubeconfig[] = [];
  for (const file of files) {
    const text = await readIfPresent(file);
    // Missing files of a list are skipped, as in kubectl.
    if (text !== undefined) {
      loaded.push(parseFile(file, text));
    }
  }
  if (loaded.length === 0) {
    throw kubeconfigInvalid(name, 'no such file');
  }
  return {
    clusters: firstOfEachName(loaded.flatMap(({ clusters }) => clusters)),
    users: firstOfEachName(loaded.flatMap(({ users }) => users)),
    contexts: firstOfEachName(loaded.flatMap(({ contexts }) => contexts)),
    currentContext: loaded.find(({ currentContext }) => currentContext !== '')?.currentContext ?? '',
  };
}

function parseFile(file: string, text: string): RawKubeconfig {
  const document = parseAsKubectl(file, text);
  const directory = dirname(resolve(file));
  return {
    clusters: entries(document, 'cluster', { file, directory }),
    users: entries(document, 'user', { file, directory }),
    contexts: entries(document, 'context', { file, directory }),
    currentContext: textOf(document['current-context']),
  };
}

/** As in kubectl and its Go library, the first document counts, and the last of duplicate keys. */
function parseAsKubectl(file: string, text: string): Readonly<Record<string, unknown>> {
  const [first] = parseAllDocuments(text, { uniqueKeys: false, merge: true, logLevel: 'error' });
  const [fault] = first?.errors ?? [];
  if (fault !== undefined) {
    // The parser's message quotes the file, which may contain a token.
    throw kubeconfigInvalid(file, `not YAML, at line ${fault.linePos?.[0].line ?? 1}`);
  }
  // An empty file is valid: another file of the list may have everything.
  const value = plainValue(file, () => first?.toJS()) ?? {};
  if (!isRecord(value)) {
    throw kubeconfigInvalid(file, 'not a kubeconfig');
  }
  return value;
}

/** Unknown aliases, or too many of them, only show when the value is built. */
function plainValue(file: string, make: () => unknown): unknown {
  try {
    return make();
  } catch {
    throw kubeconfigInvalid(file, 'not YAML: its aliases cannot be resolved');
  }
}

/** Fields with a path relative to the kubeconfig file. */
const PATHS = ['certificate-authority', 'client-certificate', 'client-key', 'tokenFile'];

function entries(
  document: Readonly<Record<string, unknown>>,
  key: 'cluster' | 'user' | 'context',
  { file, directory }: { readonly file: string; readonly directory: string },
): NamedEntry[] {
  const list = document[`${key}s`];
  const items = (Array.isArray(list) ? list : []).filter(isRecord).filter(({ name }) => typeof name === 'string');
  const names = items.map(({ name }) => textOf(name));
  const repeated = names.find((name, index) => names.indexOf(name) < index);
  if (repeated !== undefined) {
    throw kubeconfigInvalid(file, `${key}s has the duplicate name ${JSON.stringify(repeated)}`);
  }
  return items.map((item) => ({ name: textOf(item['name']), [key]: absolute(item[key], directory) }));
}

function absolute(body: unknown, directory: string): Record<string, unknown> {
  const result: Record<string, unknown> = isRecord(body) ? { ...body } : {};
  for (const field of PATHS) {
    const path = result[field];
    if (typeof path === 'string' && path !== '' && !isAbsolute(path)) {
      result[field] = join(directory, path);
    }
  }
  const exec = result['exec'];
  if (isRecord(exec) && typeof exec['command'] === 'string' && exec['command'].includes('/')) {
    result['exec'] = { ...exec, command: resolve(directory, exec['command']) };
  }
  return result;
}

function firstOfEachName(list: readonly NamedEntry[]): NamedEntry[] {
  return list.filter(({ name }, index) => list.findIndex((other) => other.name === name) === index);
}

async function readIfPresent(file: string): Promise<string | undefined> {
  try {
    return await readFile(file, 'utf8');
  } catch (error) {
    if (isRecord(error) && (error['code'] === 'ENOENT' || error['code'] === 'ENOTDIR')) {
      return undefined;
    }
    throw kubeconfigInvalid(file, errorMessage(error));
  }
}
