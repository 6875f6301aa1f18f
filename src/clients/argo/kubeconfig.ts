import { readFile } from 'node:fs/promises';
import { dirname, isAbsolute, join, resolve } from 'node:path';
import { parse } from 'yaml';
import type { Clock } from '../../base/clock.ts';
import { errorMessage, FacteurError } from '../../base/errors.ts';
import { isRecord } from '../../base/json.ts';
import type { ClusterAccess } from './connection.ts';
import { createClusterAccess, type ClusterSource, type NamedEntry, type RawKubeconfig } from './credentials.ts';

/** Where a pod finds its own identity. */
const SERVICE_ACCOUNT_DIRECTORY = '/var/run/secrets/kubernetes.io/serviceaccount';

export interface KubeconfigSources {
  readonly environment: Readonly<Record<string, string | undefined>>;
  readonly homeDirectory: string;
  readonly clock: Clock;
  /** Another place for the service account's files, for tests. */
  readonly serviceAccountDirectory?: string;
}

/**
 * The cluster to talk to: `FACTEUR_KUBECONFIG`, else `KUBECONFIG` (a `:`-list is merged, the first file to say
 * something wins), else the pod's service account, else `~/.kube/config`. Throws `argo.kubeconfig_missing` when there
 * is none and `argo.kubeconfig_invalid` when the chosen one is of no use. Credentials are first asked for by a request.
 */
export async function resolveClusterAccess(sources: KubeconfigSources): Promise<ClusterAccess> {
  const source = await chooseSource(sources);
  return createClusterAccess(source, await source.load(), sources.clock);
}

async function chooseSource(sources: KubeconfigSources): Promise<ClusterSource> {
  const own = sources.environment['FACTEUR_KUBECONFIG'] ?? '';
  if (own !== '') {
    return fileSource([own], `FACTEUR_KUBECONFIG (${own})`);
  }
  const shared = sources.environment['KUBECONFIG'] ?? '';
  const files = shared.split(':').filter((file) => file !== '');
  if (files.length > 0) {
    return fileSource(files, `KUBECONFIG (${shared})`);
  }
  const directory = sources.serviceAccountDirectory ?? SERVICE_ACCOUNT_DIRECTORY;
  const inCluster = await inClusterSource(sources.environment, directory);
  if (inCluster !== undefined) {
    return inCluster;
  }
  const standard = join(sources.homeDirectory, '.kube', 'config');
  if ((await readIfPresent(standard)) !== undefined) {
    return fileSource([standard], standard);
  }
  throw new FacteurError(
    'argo.kubeconfig_missing',
    'no Kubernetes credentials found: set FACTEUR_KUBECONFIG or KUBECONFIG, run in a cluster with a service account, or have ~/.kube/config',
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
  // The ports on which `kubectl proxy` and its kind speak plain HTTP, by convention of the other clients.
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
    // Of a list, files that do not exist are passed over, as kubectl does.
    if (text !== undefined) {
      loaded.push(parseFile(file, text));
    }
  }
  if (loaded.length === 0) {
    throw invalid(name, 'no such file');
  }
  return {
    clusters: firstOfEachName(loaded.flatMap(({ clusters }) => clusters)),
    users: firstOfEachName(loaded.flatMap(({ users }) => users)),
    contexts: firstOfEachName(loaded.flatMap(({ contexts }) => contexts)),
    currentContext: loaded.find(({ currentContext }) => currentContext !== '')?.currentContext ?? '',
  };
}

function parseFile(file: string, text: string): RawKubeconfig {
  let document: unknown;
  try {
    document = parse(text);
  } catch {
    // The parser's message quotes the file, which may hold a token.
    throw invalid(file, 'not YAML');
  }
  if (!isRecord(document)) {
    throw invalid(file, 'not a kubeconfig');
  }
  const directory = dirname(resolve(file));
  const current = document['current-context'];
  return {
    clusters: entries(document['clusters'], 'cluster', directory),
    users: entries(document['users'], 'user', directory),
    contexts: entries(document['contexts'], 'context', directory),
    currentContext: typeof current === 'string' ? current : '',
  };
}

/** Fields that are paths relative to the file they stand in. */
const PATHS = ['certificate-authority', 'client-certificate', 'client-key', 'tokenFile'];

function entries(list: unknown, key: 'cluster' | 'user' | 'context', directory: string): NamedEntry[] {
  if (!Array.isArray(list)) {
    return [];
  }
  return list.filter(isRecord).flatMap((item) => {
    const body = item[key];
    return typeof item['name'] === 'string' ? [{ name: item['name'], [key]: absolute(body, directory) }] : [];
  });
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
    throw invalid(file, errorMessage(error));
  }
}

function invalid(file: string, why: string): FacteurError {
  return new FacteurError('argo.kubeconfig_invalid', `kubeconfig ${file}: ${why}`, { retryable: false });
}
