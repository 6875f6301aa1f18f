import { chmod, copyFile, mkdtemp, readFile, rm, writeFile } from 'node:fs/promises';
import { createServer, type IncomingMessage } from 'node:http';
import { connect, type AddressInfo } from 'node:net';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { describe, expect, onTestFinished, test } from 'vitest';
import { clientFor, NAMESPACE } from '../../../test/support/cluster.ts';
import { systemClock } from '../../base/clock.ts';
import type { ClusterAccess } from './connection.ts';
import { resolveClusterAccess } from './kubeconfig.ts';

const CASES = join(import.meta.dirname, '../../../test/cases');

interface Noting {
  readonly url: string;
  readonly seen: IncomingMessage[];
}

/** An API server with one workflow, which records its requests, including those it gets as a proxy. */
async function notingServer(): Promise<Noting> {
  const seen: IncomingMessage[] = [];
  const server = createServer((request, response) => {
    seen.push(request);
    response.end(JSON.stringify({ metadata: { name: 'x', namespace: NAMESPACE, uid: 'u' } }));
  });
  server.on('connect', (request, socket) => {
    seen.push(request);
    const { port } = server.address() as AddressInfo;
    const target = connect(port, '127.0.0.1', () => {
      socket.write('HTTP/1.1 200 OK\r\n\r\n');
      target.pipe(socket).pipe(target);
    });
    socket.on('error', () => target.destroy());
    target.on('error', () => socket.destroy());
  });
  await new Promise<void>((resolve) => {
    server.listen(0, '127.0.0.1', resolve);
  });
  onTestFinished(() => {
    server.closeAllConnections();
    server.close();
  });
  return { url: `http://127.0.0.1:${(server.address() as AddressInfo).port}`, seen };
}

async function directoryFor(): Promise<string> {
  const directory = await mkdtemp(join(tmpdir(), 'facteur-login-'));
  onTestFinished(async () => rm(directory, { recursive: true }));
  return directory;
}

/** One of the cases, next to its plugin, with this server in it. */
async function caseAccess(name: string, server: string, edit = (text: string): string => text): Promise<ClusterAccess> {
  const directory = await directoryFor();
  const text = await readFile(join(CASES, `${name}.kubeconfig.yaml`), 'utf8');
  await writeFile(join(directory, 'config'), edit(text.replace('SERVER', server)));
  await copyFile(join(CASES, 'plugin.sh'), join(directory, 'plugin.sh'));
  await chmod(join(directory, 'plugin.sh'), 0o755);
  return accessIn(directory);
}

async function accessIn(directory: string, environment: Record<string, string> = {}): Promise<ClusterAccess> {
  return resolveClusterAccess({
    environment: { ...environment, FACTEUR_KUBECONFIG: join(directory, 'config') },
    homeDirectory: directory,
    clock: systemClock,
  });
}

async function ask(access: ClusterAccess): Promise<unknown> {
  return clientFor(access).getWorkflow(NAMESPACE, 'x', { timeoutMs: 90_000 });
}

/** The input that the plugin of a case received. */
async function told(access: ClusterAccess): Promise<unknown> {
  const file = /\((.*)\)/.exec(access.source)?.[1] ?? '';
  return JSON.parse(await readFile(join(file, '../info.json'), 'utf8'));
}

describe('a credential plugin', () => {
  test('that asks for the cluster receives it', async () => {
    const server = await notingServer();
    const access = await caseAccess('kubeconfig-provide-cluster-info', server.url);
    await ask(access);
    expect(server.seen.map(({ headers }) => headers.authorization)).toEqual(['Bearer from-plugin']);
    expect(await told(access)).toEqual({
      kind: 'ExecCredential',
      apiVersion: 'client.authentication.k8s.io/v1',
      spec: {
        interactive: false,
        cluster: { server: server.url, 'tls-server-name': 'kubernetes', 'certificate-authority-data': 'Q0E=' },
      },
    });
  });

  test('receives everything: the contents of the CA file, the proxy, and its own extension', async () => {
    const server = await notingServer();
    const more = `
    certificate-authority: ./plugin.sh
    insecure-skip-tls-verify: true
    proxy-url: ${server.url}
    disable-compression: true
    extensions:
    - name: client.authentication.k8s.io/exec
      extension: {audience: here}
    - name: other
      extension: {audience: there}`;
    const access = await caseAccess('kubeconfig-provide-cluster-info', server.url, (text) =>
      text.replace('\n    certificate-authority-data: Q0E=', more),
    );
    await ask(access);
    expect(await told(access)).toMatchObject({
      spec: {
        cluster: {
          server: server.url,
          'certificate-authority-data': await readFile(join(CASES, 'plugin.sh'), 'base64'),
          'insecure-skip-tls-verify': true,
          'proxy-url': server.url,
          'disable-compression': true,
          config: { audience: 'here' },
        },
      },
    });
  });

  test('that does not ask for the cluster does not receive it, and its failure names the plugin', async () => {
    const access = await caseAccess('kubeconfig-provide-cluster-info', 'http://127.0.0.1:1', (text) =>
      text.replace('provideClusterInfo: true', 'provideClusterInfo: false'),
    );
    const error: unknown = await ask(access).catch((reason: unknown) => reason);
    expect(error).toMatchObject({
      code: 'argo.credentials',
      message: expect.stringMatching(
        /from FACTEUR_KUBECONFIG \(.*\/config\): the credential plugin .*plugin\.sh failed$/,
      ),
      details: 'cannot get the workflow: no credentials for the cluster',
    });
    expect(await told(access)).toMatchObject({ spec: { interactive: false } });
    expect(await told(access)).not.toHaveProperty('spec.cluster');
  });
});

test('impersonation sends every header, and one per group', async () => {
  const server = await notingServer();
  await ask(await caseAccess('kubeconfig-impersonation', server.url));
  const [request] = server.seen;
  const pairs = request?.rawHeaders.flatMap((name, index, all) => (index % 2 === 0 ? [[name, all[index + 1]]] : []));
  expect(pairs?.filter(([name]) => name?.startsWith('impersonate'))).toEqual([
    ['impersonate-user', 'system:serviceaccount:ci:deployer'],
    ['impersonate-uid', '1234'],
    ['impersonate-group', 'argo-admins'],
    ['impersonate-group', 'dev'],
    ['impersonate-extra-scopes', 'view'],
  ]);
});

test('a duplicate key still allows a login', async () => {
  const server = await notingServer();
  await ask(await caseAccess('kubeconfig-duplicate-key', server.url));
  expect(server.seen.map(({ headers }) => headers.authorization)).toEqual(['Bearer t']);
});

describe('a kubeconfig that is corrected', () => {
  const config = (server: string, user: string): string => `
current-context: x
clusters: [{name: c, cluster: {server: "${server}"}}]
contexts: [{name: x, context: {cluster: c, user: u}}]
users: [{name: u, user: ${user}}]
`;

  test.each([
    [
      'a missing plugin',
      '{exec: {command: ./gone, apiVersion: client.authentication.k8s.io/v1}}',
      /cannot start .*\/gone \(ENOENT\)$/,
    ],
    ['a missing token file', '{tokenFile: gone}', /cannot read .*\/gone \(ENOENT\)$/],
    ['a missing certificate', '{client-certificate: gone}', /cannot read .*\/gone \(ENOENT\)$/],
    ['an empty token file', '{tokenFile: empty}', /the token file .*\/empty is empty$/],
  ])('after %s is used at the next attempt, without a restart', async (_what, user, why) => {
    const server = await notingServer();
    const directory = await directoryFor();
    await writeFile(join(directory, 'empty'), '\n');
    await writeFile(join(directory, 'config'), config(server.url, user));
    const access = await accessIn(directory);
    await expect(ask(access)).rejects.toMatchObject({ code: 'argo.credentials', message: expect.stringMatching(why) });
    await writeFile(join(directory, 'config'), config(server.url, '{token: right}'));
    await ask(access);
    expect(server.seen.map(({ headers }) => headers.authorization)).toEqual(['Bearer right']);
  });

  test('after it broke while in use is read again later; until then, the last valid one is used', async () => {
    const [before, after] = [await notingServer(), await notingServer()];
    const directory = await directoryFor();
    const file = join(directory, 'config');
    await writeFile(file, config(before.url, '{token: t}'));
    const clock = { ms: 1e9, now: () => new Date(clock.ms) };
    const access = await resolveClusterAccess({
      environment: { FACTEUR_KUBECONFIG: file },
      homeDirectory: directory,
      clock,
    });
    await ask(access);
    await writeFile(file, 'clusters: [');
    clock.ms += 20_000;
    await ask(access);
    await writeFile(file, config(after.url, '{token: t}'));
    clock.ms += 20_000;
    await ask(access);
    expect([before.seen.length, after.seen.length]).toEqual([2, 1]);
  });
});

describe('a proxy', () => {
  const config = (more = ''): string => `
current-context: x
clusters: [{name: c, cluster: {server: "http://apiserver.invalid:8080"${more}}}]
contexts: [{name: x, context: {cluster: c, user: u}}]
users: [{name: u, user: {token: t}}]
`;

  async function through(kubeconfig: string, environment: Record<string, string>): Promise<unknown> {
    const directory = await directoryFor();
    await writeFile(join(directory, 'config'), kubeconfig);
    return ask(await accessIn(directory, environment));
  }

  test('in the environment is used, unless the kubeconfig names another one', async () => {
    const [environments, own] = [await notingServer(), await notingServer()];
    await through(config(), { HTTP_PROXY: environments.url });
    expect(environments.seen.map(({ url }) => url)).toEqual([
      expect.stringMatching(/^http:\/\/apiserver\.invalid:8080\/apis\//),
    ]);
    await through(config(`, proxy-url: "${own.url}"`), { HTTP_PROXY: environments.url, NO_PROXY: '*' });
    expect([environments.seen.length, own.seen.length]).toEqual([1, 1]);
  });

  test('is not used for hosts in NO_PROXY', async () => {
    const proxy = await notingServer();
    const attempt = through(config(), { HTTP_PROXY: proxy.url, NO_PROXY: '.invalid' });
    await expect(attempt).rejects.toMatchObject({ code: 'argo.connection' });
    expect(proxy.seen).toEqual([]);
  });
});
