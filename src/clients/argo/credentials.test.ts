import { mkdtemp, readFile, rm, writeFile } from 'node:fs/promises';
import { createServer as createProxy, type Server } from 'node:http';
import { createServer } from 'node:https';
import { connect, type AddressInfo } from 'node:net';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import type { TLSSocket } from 'node:tls';
import { describe, expect, onTestFinished, test } from 'vitest';
import { stringify } from 'yaml';
import { clientFor, manifest, NAMESPACE, startCluster } from '../../../test/support/cluster.ts';
import type { ClusterAccess } from './connection.ts';
import { resolveClusterAccess } from './kubeconfig.ts';

const TLS = join(import.meta.dirname, '../../../test/fixtures/tls');

/** A clock that a test moves by hand. */
class HandClock {
  ms = 1_000_000;
  now = (): Date => new Date(this.ms);
}

async function directoryFor(): Promise<string> {
  const directory = await mkdtemp(join(tmpdir(), 'facteur-credentials-'));
  onTestFinished(async () => rm(directory, { recursive: true }));
  return directory;
}

interface Login {
  readonly server: string;
  readonly user: object;
  readonly cluster?: object;
  readonly clock?: HandClock;
}

async function accessWith(
  directory: string,
  { server, user, cluster, clock = new HandClock() }: Login,
): Promise<ClusterAccess> {
  const config = {
    'current-context': 'main',
    clusters: [{ name: 'c', cluster: { server, ...cluster } }],
    users: [{ name: 'u', user }],
    contexts: [{ name: 'main', context: { cluster: 'c', user: 'u' } }],
  };
  const file = join(directory, 'config');
  await writeFile(file, stringify(config));
  return resolveClusterAccess({ environment: { FACTEUR_KUBECONFIG: file }, homeDirectory: directory, clock });
}

async function authorization(access: ClusterAccess): Promise<string | readonly string[] | undefined> {
  return (await access.connection()).headers['authorization'];
}

describe('a token file', () => {
  test('that rotates is read again after 20 seconds, not for every request', async () => {
    const directory = await directoryFor();
    const clock = new HandClock();
    await writeFile(join(directory, 'token'), 'first');
    const access = await accessWith(directory, { server: 'http://one', user: { tokenFile: 'token' }, clock });
    const before = await access.connection();
    expect(before.headers['authorization']).toBe('Bearer first');
    await writeFile(join(directory, 'token'), 'second');
    clock.ms += 19_999;
    expect(await access.connection()).toBe(before);
    clock.ms += 1;
    expect(await authorization(access)).toBe('Bearer second');
  });

  test('that has not changed gives the same connection', async () => {
    const directory = await directoryFor();
    const clock = new HandClock();
    await writeFile(join(directory, 'token'), 'first');
    const access = await accessWith(directory, { server: 'http://one', user: { tokenFile: 'token' }, clock });
    const before = await access.connection();
    clock.ms += 60_000;
    expect(await access.connection()).toBe(before);
  });

  test('that is missing for a moment leaves the last token in use', async () => {
    const directory = await directoryFor();
    const clock = new HandClock();
    await writeFile(join(directory, 'token'), 'first');
    const access = await accessWith(directory, { server: 'http://one', user: { tokenFile: 'token' }, clock });
    await access.connection();
    await rm(join(directory, 'token'));
    clock.ms += 60_000;
    expect(await authorization(access)).toBe('Bearer first');
    await writeFile(join(directory, 'token'), 'second');
    expect(await authorization(access)).toBe('Bearer first');
    clock.ms += 20_000;
    expect(await authorization(access)).toBe('Bearer second');
  });

  test('that is empty never makes a call anonymous: the last token stays in use, or the call fails for now', async () => {
    const directory = await directoryFor();
    const clock = new HandClock();
    const cluster = await startCluster({ tokens: ['first', 'second'] });
    await writeFile(join(directory, 'token'), '\n');
    const access = await accessWith(directory, { server: cluster.url, user: { tokenFile: 'token' }, clock });
    const client = clientFor(access);
    await expect(client.createWorkflow(NAMESPACE, manifest('one'))).rejects.toMatchObject({
      code: 'argo.credentials',
      message: expect.stringMatching(/the token file .* is empty/),
      retryable: true,
    });
    expect(cluster.state()['connections']).toBe(0);
    await writeFile(join(directory, 'token'), 'first');
    await client.createWorkflow(NAMESPACE, manifest('one'));
    await writeFile(join(directory, 'token'), '');
    clock.ms += 60_000;
    await client.createWorkflow(NAMESPACE, manifest('two'));
  });

  test('that does not exist is a retryable error, and is used once it exists', async () => {
    const directory = await directoryFor();
    const access = await accessWith(directory, { server: 'http://one', user: { tokenFile: 'token' } });
    await expect(clientFor(access).getWorkflow(NAMESPACE, 'x')).rejects.toMatchObject({
      code: 'argo.credentials',
      retryable: true,
      ambiguous: false,
    });
    await writeFile(join(directory, 'token'), 'late');
    expect(await authorization(access)).toBe('Bearer late');
  });

  test.each([
    ['a token file', { tokenFile: 'token' }, 'token'],
    ['the kubeconfig itself', { token: 'first' }, 'config'],
  ])('%s rotated between two requests: the 401 is retried at once', async (_what, user, rotated) => {
    const cluster = await startCluster({ tokens: ['first'] });
    const directory = await directoryFor();
    await writeFile(join(directory, 'token'), 'first');
    const client = clientFor(await accessWith(directory, { server: cluster.url, user }));
    await client.createWorkflow(NAMESPACE, manifest('before'));
    cluster.faults.apply({ op: 'tokens', tokens: ['second'] });
    const file = join(directory, rotated);
    await writeFile(file, (await readFile(file, 'utf8')).replaceAll('first', 'second'));
    await client.createWorkflow(NAMESPACE, manifest('after'));
    expect(cluster.state()['requests']).toEqual({ create: 3 });
  });

  test('of the pod’s service account is read again after a rejection, or after 20 seconds', async () => {
    const directory = await directoryFor();
    const clock = new HandClock();
    const rotate = async (token: string): Promise<void> => writeFile(join(directory, 'token'), token);
    await rotate('first');
    await writeFile(join(directory, 'ca.crt'), '');
    const access = await resolveClusterAccess({
      environment: { KUBERNETES_SERVICE_HOST: '10.0.0.1', KUBERNETES_SERVICE_PORT: '443' },
      homeDirectory: directory,
      serviceAccountDirectory: directory,
      clock,
    });
    const first = await access.connection();
    await rotate('second');
    expect(await authorization(access)).toBe('Bearer first');
    expect((await access.connection(first)).headers['authorization']).toBe('Bearer second');
    await rotate('third');
    clock.ms += 20_000;
    expect(await authorization(access)).toBe('Bearer third');
  });
});

/** A credential plugin that records its starts in one file and prints the token from another. */
async function plugin(directory: string): Promise<object> {
  const script = `
    const fs = require('node:fs');
    fs.appendFileSync('${directory}/starts', process.env.KUBERNETES_EXEC_INFO + '\\n');
    const token = fs.readFileSync('${directory}/token', 'utf8');
    if (token === 'broken') { console.error('secret on stderr'); process.exit(1); }
    console.log(JSON.stringify({ kind: 'ExecCredential', status: { token } }));`;
  await writeFile(join(directory, 'plugin.cjs'), script);
  await writeFile(join(directory, 'token'), 'first');
  return {
    exec: {
      apiVersion: 'client.authentication.k8s.io/v1',
      command: process.execPath,
      args: [join(directory, 'plugin.cjs')],
    },
  };
}

async function starts(directory: string): Promise<string[]> {
  return (await readFile(join(directory, 'starts'), 'utf8')).trim().split('\n');
}

describe('a credential plugin', () => {
  test('is started once for many concurrent requests, and again after a 401', async () => {
    const cluster = await startCluster({ tokens: ['first'] });
    const directory = await directoryFor();
    const access = await accessWith(directory, { server: cluster.url, user: await plugin(directory) });
    const client = clientFor(access);
    const create = async (from: string): Promise<unknown> =>
      Promise.all(
        Array.from({ length: 64 }, (_, index) =>
          client.createWorkflow(NAMESPACE, manifest(`${from}-${index}`), { timeoutMs: 120_000 }),
        ),
      );
    await create('a');
    expect(await starts(directory)).toHaveLength(1);
    expect(JSON.parse((await starts(directory))[0] ?? '')).toMatchObject({
      kind: 'ExecCredential',
      spec: { interactive: false },
    });
    cluster.faults.apply({ op: 'tokens', tokens: ['second'] });
    await writeFile(join(directory, 'token'), 'second');
    await create('b');
    expect(await starts(directory)).toHaveLength(2);
  });

  test('whose token is always rejected is not started for every request', async () => {
    const cluster = await startCluster({ tokens: ['other'] });
    const directory = await directoryFor();
    const clock = new HandClock();
    const access = await accessWith(directory, { server: cluster.url, user: await plugin(directory), clock });
    const client = clientFor(access);
    const ask = async (): Promise<void> =>
      expect(client.getWorkflow(NAMESPACE, 'x')).rejects.toMatchObject({ code: 'argo.unauthorized' });
    for (let count = 0; count < 5; count += 1) {
      await ask();
    }
    expect(await starts(directory)).toHaveLength(2);
    clock.ms += 1000;
    await ask();
    expect(await starts(directory)).toHaveLength(3);
  });

  test('that fails is an error without its output', async () => {
    const directory = await directoryFor();
    const user = await plugin(directory);
    await writeFile(join(directory, 'token'), 'broken');
    const access = await accessWith(directory, { server: 'http://127.0.0.1:1', user });
    const error = await clientFor(access)
      .getWorkflow(NAMESPACE, 'x')
      .catch((reason: unknown) => reason);
    expect(error).toMatchObject({ code: 'argo.credentials', retryable: true });
    expect((error as Error).message).not.toContain('secret');
  });
});

describe('TLS', () => {
  interface Greeting {
    readonly url: string;
    readonly seen: (string | undefined)[];
  }

  /** An API server with one workflow, which records the client certificates of its requests. */
  async function tlsServer(requestCert: boolean): Promise<Greeting> {
    const seen: (string | undefined)[] = [];
    const [key, cert, ca] = await Promise.all(
      ['server.key', 'server.crt', 'ca.crt'].map(async (name) => readFile(join(TLS, name))),
    );
    const server = createServer(
      { key, cert, ca, requestCert, rejectUnauthorized: requestCert },
      (request, response) => {
        const { CN } = (request.socket as TLSSocket).getPeerCertificate().subject ?? {};
        seen.push(typeof CN === 'string' ? CN : undefined);
        response.end(JSON.stringify({ metadata: { name: 'x', namespace: NAMESPACE, uid: 'u' } }));
      },
    );
    return { url: `https://127.0.0.1:${await listening(server)}`, seen };
  }

  async function listening(server: Server): Promise<number> {
    await new Promise<void>((resolve) => {
      server.listen(0, '127.0.0.1', resolve);
    });
    onTestFinished(() => {
      server.closeAllConnections();
      server.close();
    });
    return (server.address() as AddressInfo).port;
  }

  test('uses the proxy that the kubeconfig names', async () => {
    const { url } = await tlsServer(false);
    const tunnels: (string | undefined)[] = [];
    const proxy = createProxy();
    proxy.on('connect', (request, socket) => {
      tunnels.push(request.url);
      const target = connect(Number(new URL(url).port), '127.0.0.1', () => {
        socket.write('HTTP/1.1 200 OK\r\n\r\n');
        target.pipe(socket).pipe(target);
      });
      socket.on('error', () => target.destroy());
      socket.on('close', () => target.destroy());
      target.on('error', () => socket.destroy());
    });
    const cluster = {
      'certificate-authority': join(TLS, 'ca.crt'),
      'proxy-url': `http://127.0.0.1:${await listening(proxy)}`,
    };
    const access = await accessWith(await directoryFor(), { server: 'https://localhost:6443', user: {}, cluster });
    expect((await clientFor(access).getWorkflow(NAMESPACE, 'x')).metadata.name).toBe('x');
    expect(tunnels).toEqual(['localhost:6443']);
  });

  test('trusts only the CA of the cluster, unless verification is off', async () => {
    const { url } = await tlsServer(false);
    const directory = await directoryFor();
    const cluster = { 'certificate-authority': join(TLS, 'ca.crt') };
    const trusting = await accessWith(directory, { server: url, user: {}, cluster });
    expect((await clientFor(trusting).getWorkflow(NAMESPACE, 'x')).metadata.name).toBe('x');
    const doubting = await accessWith(directory, { server: url, user: {} });
    await expect(clientFor(doubting).getWorkflow(NAMESPACE, 'x')).rejects.toMatchObject({
      code: 'argo.connection',
      ambiguous: false,
    });
    const careless = await accessWith(directory, {
      server: url,
      user: {},
      cluster: { 'insecure-skip-tls-verify': true },
    });
    expect((await clientFor(careless).getWorkflow(NAMESPACE, 'x')).metadata.name).toBe('x');
  });

  test('presents the client certificate, and opens new connections after a rotation', async () => {
    const { url, seen } = await tlsServer(true);
    const directory = await directoryFor();
    const clock = new HandClock();
    const copy = async (from: string, to: string): Promise<void> =>
      writeFile(join(directory, to), await readFile(join(TLS, from)));
    await copy('client.crt', 'me.crt');
    await copy('client.key', 'me.key');
    const user = { 'client-certificate': 'me.crt', 'client-key': 'me.key' };
    const cluster = { 'certificate-authority': join(TLS, 'ca.crt') };
    const access = await accessWith(directory, { server: url, user, cluster, clock });
    const client = clientFor(access);
    await client.getWorkflow(NAMESPACE, 'x');
    await copy('server.crt', 'me.crt');
    await copy('server.key', 'me.key');
    clock.ms += 20_000;
    await client.getWorkflow(NAMESPACE, 'x');
    expect(seen).toEqual(['facteur test client', 'facteur test server']);
  });
});
