import { readFile } from 'node:fs/promises';
import type { RequestOptions } from 'node:https';
import { FacteurError } from '../../base/errors.ts';
import { isRecord } from '../../base/json.ts';
import { proxyFor, type EgressProxies } from '../../config/egress-proxy.ts';
import type { Connection, TlsMaterial } from './connection.ts';
import { textOf, type SelectedContext } from './selected-context.ts';

type Body = Readonly<Record<string, unknown>>;

/** The extension in a cluster's entry that only its credential plugin reads. */
const EXEC_EXTENSION = 'client.authentication.k8s.io/exec';

/** A function that returns the current credentials, or throws. */
export async function createLogin(
  context: SelectedContext,
  proxies: EgressProxies,
): Promise<() => Promise<Connection>> {
  const { cluster, user, impersonation } = context;
  const server = textOf(cluster['server']).replace(/(?<!\/)\/+$/, '');
  const proxyUrl = textOf(cluster['proxy-url']) || proxyFor(new URL(server), proxies)?.reveal();
  const needsLibrary = isRecord(user['exec']) || isRecord(user['auth-provider']);
  const logIn = needsLibrary ? await pluginLogin(context, server) : () => plainLogin(context);
  return async () => {
    const options = await logIn();
    const tokenFile = textOf(user['tokenFile']);
    const token = tokenFile === '' ? '' : await readToken(tokenFile);
    return {
      server,
      ...(proxyUrl === undefined ? {} : { proxyUrl }),
      headers: { ...headersOf(options, token), ...impersonation },
      tls: tlsOf(options),
    };
  };
}

/** Logins that only need reading: tokens, passwords and certificates. A pod needs nothing else. */
async function plainLogin({ cluster, user }: SelectedContext): Promise<RequestOptions> {
  const [ca, cert, key] = await Promise.all([
    material(cluster, 'certificate-authority'),
    material(user, 'client-certificate'),
    material(user, 'client-key'),
  ]);
  const [token, name, servername] = [user['token'], user['username'], cluster['tls-server-name']].map(textOf);
  return {
    ca,
    cert,
    key,
    servername: servername || undefined,
    rejectUnauthorized: cluster['insecure-skip-tls-verify'] === true ? false : undefined,
    headers: token ? { authorization: `Bearer ${token}` } : {},
    auth: name ? `${name}:${textOf(user['password'])}` : undefined,
  };
}

/** If both are given, the data wins over the file, as in client-go. */
async function material(body: Body, field: string): Promise<Buffer | undefined> {
  const [data, file] = [textOf(body[`${field}-data`]), textOf(body[field])];
  if (data !== '') {
    return Buffer.from(data, 'base64');
  }
  return file === '' ? undefined : readFile(file);
}

/** Uses the library, which supports every kind of login. Loaded on demand, because loading takes 200 ms. */
async function pluginLogin({ cluster, user }: SelectedContext, server: string): Promise<() => Promise<RequestOptions>> {
  const { KubeConfig } = await import('@kubernetes/client-node');
  // The library would send an empty `as`, and supports no other impersonation.
  const login = Object.fromEntries(Object.entries(user).filter(([field]) => !['as', 'tokenFile'].includes(field)));
  const config = new KubeConfig();
  config.loadFromString(
    JSON.stringify({
      'current-context': 'facteur',
      contexts: [{ name: 'facteur', context: { cluster: 'facteur', user: 'facteur' } }],
      // The library refuses plain HTTP without this flag; without TLS the flag weakens nothing.
      clusters: [
        {
          name: 'facteur',
          cluster: {
            ...withoutOverruled(cluster),
            ...(server.startsWith('http:') ? { 'insecure-skip-tls-verify': true } : {}),
          },
        },
      ],
      users: [{ name: 'facteur', user: await withExecInfo(withoutOverruled(login), cluster) }],
    }),
  );
  return async () => {
    const options: RequestOptions = {};
    await config.applyToHTTPSOptions(options);
    return options;
  };
}

/**
 * Why the credentials could not be read, naming the kubeconfig and the failed file or plugin. A plugin's output may
 * contain anything, so it stays in the cause.
 */
export function loginFailed(source: string, { user }: SelectedContext, error: unknown): FacteurError {
  if (error instanceof FacteurError) {
    return error;
  }
  const { code, path, syscall } = (error ?? {}) as Partial<NodeJS.ErrnoException>;
  const plugin = isRecord(user['exec']) ? textOf(user['exec']['command']) : '';
  const failed = plugin === '' ? 'cannot read them' : `the credential plugin ${plugin} failed`;
  const verb = syscall?.startsWith('spawn') === true ? 'start' : 'read';
  const why = code === undefined || path === undefined ? failed : `cannot ${verb} ${path} (${code})`;
  return new FacteurError('argo.credentials', `no Kubernetes credentials from ${source}: ${why}`, {
    retryable: true,
    cause: error,
  });
}

/** An empty file would send the request anonymously. */
async function readToken(file: string): Promise<string> {
  const token = (await readFile(file, 'utf8')).trim();
  if (token === '') {
    throw new FacteurError('argo.credentials', `the token file ${file} is empty`, { retryable: true });
  }
  return token;
}

/** If both are given, client-go uses the data, but the library uses the file. */
function withoutOverruled(body: Body): Body {
  const files = ['certificate-authority', 'client-certificate', 'client-key'];
  const overruled = new Set(files.filter((field) => textOf(body[`${field}-data`]) !== ''));
  return Object.fromEntries(Object.entries(body).filter(([field]) => !overruled.has(field)));
}

/** Plugins of the newer protocol read their input from this variable, which the library does not set. */
async function withExecInfo(user: Body, cluster: Body): Promise<Body> {
  const { exec } = user;
  if (!isRecord(exec)) {
    return user;
  }
  const info = {
    kind: 'ExecCredential',
    apiVersion: exec['apiVersion'],
    spec: {
      interactive: false,
      ...(exec['provideClusterInfo'] === true ? { cluster: await clusterInfo(cluster) } : {}),
    },
  };
  const given = Array.isArray(exec['env']) ? (exec['env'] as unknown[]) : [];
  return {
    ...user,
    exec: { ...exec, env: [...given, { name: 'KUBERNETES_EXEC_INFO', value: JSON.stringify(info) }] },
  };
}

const TOLD_TO_PLUGINS = ['server', 'tls-server-name', 'insecure-skip-tls-verify', 'proxy-url', 'disable-compression'];

/** The cluster as passed to a plugin: with the authority's certificate data instead of its file. */
async function clusterInfo(cluster: Body): Promise<Body> {
  const file = textOf(cluster['certificate-authority']);
  const data = textOf(cluster['certificate-authority-data']);
  const authority = data === '' && file !== '' ? await readFile(file, 'base64') : data;
  const extensions = Array.isArray(cluster['extensions']) ? cluster['extensions'].filter(isRecord) : [];
  const config = extensions.find(({ name }) => name === EXEC_EXTENSION)?.['extension'];
  const told = Object.entries(cluster).filter(([field]) => TOLD_TO_PLUGINS.includes(field));
  return {
    ...Object.fromEntries(told),
    ...(authority === '' ? {} : { 'certificate-authority-data': authority }),
    ...(config === undefined ? {} : { config }),
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
