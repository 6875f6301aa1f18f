import { mkdir, mkdtemp, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { describe, expect, onTestFinished, test } from 'vitest';
import { stringify } from 'yaml';
import { systemClock } from '../../base/clock.ts';
import { FacteurError } from '../../base/errors.ts';
import { resolveClusterAccess, type KubeconfigSources } from './kubeconfig.ts';

/** A directory with the files of a test, removed afterwards. */
async function files(contents: Record<string, string>): Promise<string> {
  const directory = await mkdtemp(join(tmpdir(), 'facteur-kubeconfig-'));
  onTestFinished(async () => rm(directory, { recursive: true }));
  for (const [name, content] of Object.entries(contents)) {
    await mkdir(join(directory, name, '..'), { recursive: true });
    await writeFile(join(directory, name), content);
  }
  return directory;
}

interface Parts {
  readonly server?: string;
  readonly cluster?: object;
  readonly user?: object;
  readonly namespace?: string;
  readonly context?: string;
}

function kubeconfig({
  server = 'http://one',
  cluster = {},
  user = {},
  namespace,
  context = 'main',
}: Parts = {}): string {
  return stringify({
    'current-context': context,
    clusters: [{ name: 'c', cluster: { server, ...cluster } }],
    users: [{ name: 'u', user }],
    contexts: [
      { name: 'main', context: { cluster: 'c', user: 'u', ...(namespace === undefined ? {} : { namespace }) } },
    ],
  });
}

/** The server that would be used, and its source. */
async function resolved(sources: Partial<KubeconfigSources>): Promise<[string, string]> {
  const access = await resolveClusterAccess(plain(sources));
  return [(await access.connection()).server, access.source];
}

function plain(sources: Partial<KubeconfigSources>): KubeconfigSources {
  const nowhere = '/nonexistent/facteur';
  return { environment: {}, homeDirectory: nowhere, serviceAccountDirectory: nowhere, clock: systemClock, ...sources };
}

async function refusal(sources: Partial<KubeconfigSources>): Promise<FacteurError> {
  const error: unknown = await resolveClusterAccess(plain(sources)).then(
    () => undefined,
    (reason: unknown) => reason,
  );
  expect(error).toBeInstanceOf(FacteurError);
  return error as FacteurError;
}

describe('the source of the cluster', () => {
  test('is FACTEUR_KUBECONFIG, else KUBECONFIG, else the pod, else the home directory, else an error', async () => {
    const directory = await files({
      own: kubeconfig({ server: 'http://own' }),
      shared: kubeconfig({ server: 'http://shared' }),
      'home/.kube/config': kubeconfig({ server: 'http://home' }),
      'pod/token': 'pod-token',
    });
    const pod = { KUBERNETES_SERVICE_HOST: '10.0.0.1', KUBERNETES_SERVICE_PORT: '8080' };
    const shared = { KUBECONFIG: join(directory, 'shared') };
    const own = { FACTEUR_KUBECONFIG: join(directory, 'own') };
    const places = { homeDirectory: join(directory, 'home'), serviceAccountDirectory: join(directory, 'pod') };

    expect(await resolved({ ...places, environment: { ...pod, ...shared, ...own } })).toEqual([
      'http://own',
      `FACTEUR_KUBECONFIG (${join(directory, 'own')})`,
    ]);
    expect(await resolved({ ...places, environment: { ...pod, ...shared, FACTEUR_KUBECONFIG: '' } })).toEqual([
      'http://shared',
      `KUBECONFIG (${join(directory, 'shared')})`,
    ]);
    await writeFile(join(directory, 'pod/ca.crt'), '');
    expect(await resolved({ ...places, environment: { ...pod, KUBECONFIG: '' } })).toEqual([
      'http://10.0.0.1:8080',
      'in-cluster',
    ]);
    const missing = { KUBECONFIG: `${join(directory, 'gone')}:${join(directory, 'lost')}` };
    expect(await resolved({ ...places, environment: { ...pod, ...missing } })).toEqual([
      'http://10.0.0.1:8080',
      'in-cluster',
    ]);
    // Not the cluster of the home directory: the name may be mistyped.
    expect((await refusal({ ...places, environment: missing })).message).toContain(
      `${missing.KUBECONFIG}, which KUBECONFIG names`,
    );
    expect(await resolved({ ...places, environment: {} })).toEqual([
      'http://home',
      join(directory, 'home/.kube/config'),
    ]);
    const error = await refusal({ environment: pod });
    expect(error).toMatchObject({ code: 'argo.kubeconfig_missing', retryable: false });
    for (const name of ['FACTEUR_KUBECONFIG', 'KUBECONFIG', 'in a cluster', '~/.kube/config']) {
      expect(error.message).toContain(name);
    }
  });

  test('may be a list in KUBECONFIG: the first value wins, and missing and empty files are skipped', async () => {
    const directory = await files({
      empty: '',
      comment: '# nothing\n',
      a: stringify({ 'current-context': '', users: [{ name: 'u', user: { token: 'from-a' } }] }),
      b: kubeconfig({ server: 'http://b', user: { token: 'from-b' }, namespace: 'b' }),
    });
    const list = ['missing', 'empty', 'comment', 'a', 'b'].map((name) => join(directory, name)).join(':');
    const access = await resolveClusterAccess(plain({ environment: { KUBECONFIG: list } }));
    expect(await access.connection()).toMatchObject({
      server: 'http://b',
      headers: { authorization: 'Bearer from-a' },
    });
    expect(access.namespace).toBe('b');
  });

  test.each([
    ['a namespace', { namespace: 'here' }, 'here'],
    ['no namespace', {}, undefined],
  ])('the namespace of a context with %s', async (_what, parts, expected) => {
    const directory = await files({ config: kubeconfig(parts) });
    const access = await resolveClusterAccess(
      plain({ environment: { FACTEUR_KUBECONFIG: join(directory, 'config') } }),
    );
    expect(access.namespace).toBe(expected);
  });
});

describe('an invalid kubeconfig', () => {
  test.each([
    ['no such file', undefined, 'no such file'],
    ['broken YAML', 'users: [{token: "hush', 'not YAML, at line 1'],
    ['an unknown alias', 'users: *hush', 'not YAML'],
    ['a scalar', 'hello', 'not a kubeconfig'],
    ['an undefined context', kubeconfig({ context: 'other' }), '"other" is not defined'],
    ['a server that is not a URL', kubeconfig({ server: 'nowhere' }), 'no valid server'],
    ['a server with another scheme', kubeconfig({ server: 'unix:/run/x' }), 'no valid server'],
    ['an undefined user', kubeconfig().replace('name: u', 'name: v'), 'the user "u" is not defined'],
    [
      'two users with the same name',
      kubeconfig().replace('contexts:', '  - name: u\ncontexts:'),
      'users has the duplicate name "u"',
    ],
    ['groups without a name', kubeconfig({ user: { 'as-groups': ['dev'] } }), 'need as'],
    ['a uid without a name', kubeconfig({ user: { 'as-uid': '1' } }), 'need as'],
    ['a uid that is a number', kubeconfig({ user: { as: 'bob', 'as-uid': 1234 } }), 'as-uid'],
    ['a group that is not in a list', kubeconfig({ user: { as: 'bob', 'as-groups': 'dev' } }), 'as-groups'],
    ['a group that is not text', kubeconfig({ user: { as: 'bob', 'as-groups': [1] } }), 'as-groups'],
    ['an extra that is not a map', kubeconfig({ user: { as: 'bob', 'as-user-extra': ['view'] } }), 'as-user-extra'],
    [
      'an extra value that is not a list',
      kubeconfig({ user: { as: 'bob', 'as-user-extra': { a: 'b' } } }),
      'as-user-extra',
    ],
    ['a name with a line break', kubeconfig({ user: { as: 'bob\r\nx: y' } }), 'as and as-uid'],
    ['a SOCKS proxy', kubeconfig({ cluster: { 'proxy-url': 'socks5://x' } }), 'proxy-url'],
  ])('%s', async (_what, content, expected) => {
    const directory = await files(content === undefined ? {} : { config: content });
    const error = await refusal({ environment: { FACTEUR_KUBECONFIG: join(directory, 'config') } });
    expect(error).toMatchObject({ code: 'argo.kubeconfig_invalid', retryable: false });
    expect(error.message).toContain(expected);
    expect(error.message).toContain(join(directory, 'config'));
    expect(error.message).not.toContain('hush');
  });
});

describe('ways to log in', () => {
  test.each([
    ['a token', { token: 'abc' }, { authorization: 'Bearer abc' }],
    ['a user name and a password', { username: 'me', password: 'pw' }, { authorization: `Basic ${btoa('me:pw')}` }],
    ['impersonation', { token: 'abc', as: 'bob' }, { authorization: 'Bearer abc', 'impersonate-user': ['bob'] }],
    ['no credentials', {}, {}],
  ])('%s', async (_what, user, headers) => {
    const directory = await files({ config: kubeconfig({ user }) });
    const access = await resolveClusterAccess(
      plain({ environment: { FACTEUR_KUBECONFIG: join(directory, 'config') } }),
    );
    expect((await access.connection()).headers).toEqual(headers);
  });

  test.each<[string, object, object]>([
    [
      'uid, groups and extra',
      { as: 'bob', 'as-uid': '1234', 'as-groups': ['admins', 'dev'], 'as-user-extra': { Scopes: ['view', 'edit'] } },
      {
        'impersonate-user': ['bob'],
        'impersonate-uid': ['1234'],
        'impersonate-group': ['admins', 'dev'],
        'impersonate-extra-scopes': ['view', 'edit'],
      },
    ],
    [
      'extra names that are invalid in a header, and non-ASCII text as its UTF-8 bytes',
      { as: 'jürgen', 'as-user-extra': { 'acme.com/pröject%': ['a'], empty: [] } },
      {
        'impersonate-user': ['jÃ¼rgen'],
        'impersonate-extra-acme.com%2Fpr%C3%B6ject%25': ['a'],
      },
    ],
    ['only empty fields', { as: '', 'as-uid': '', 'as-groups': null, 'as-user-extra': null }, {}],
  ])('impersonation: %s', async (_what, user, headers) => {
    const directory = await files({ config: kubeconfig({ user }) });
    const access = await resolveClusterAccess(
      plain({ environment: { FACTEUR_KUBECONFIG: join(directory, 'config') } }),
    );
    expect((await access.connection()).headers).toEqual(headers);
  });

  test('inline data wins over a file, as in kubectl', async () => {
    const directory = await files({
      config: kubeconfig({
        server: 'https://one',
        cluster: { 'certificate-authority': 'gone', 'certificate-authority-data': btoa('ca') },
        user: {
          'client-certificate': 'gone',
          'client-certificate-data': btoa('cert'),
          'client-key': 'gone',
          'client-key-data': btoa('key'),
        },
      }),
    });
    const access = await resolveClusterAccess(plain({ environment: { KUBECONFIG: join(directory, 'config') } }));
    const { tls } = await access.connection();
    expect([String(tls.ca), String(tls.cert), String(tls.key)]).toEqual(['ca', 'cert', 'key']);
  });

  test('the last of duplicate keys counts, and the first of several documents', async () => {
    const text = `${kubeconfig({ server: 'http://one' })}current-context: main\nkind: Config\nkind: Config\n---\nother: [`;
    expect(
      await resolved({
        environment: { KUBECONFIG: join(await files({ config: `current-context: no\n${text}` }), 'config') },
      }),
    ).toEqual(['http://one', expect.anything()]);
  });

  test('paths are relative to the kubeconfig, and can be combined with inline data', async () => {
    const directory = await files({
      'deep/config': kubeconfig({
        server: 'https://one',
        cluster: { 'certificate-authority': '../ca.crt', 'tls-server-name': 'api' },
        user: { 'client-certificate': 'me.crt', 'client-key-data': btoa('key'), tokenFile: 'token' },
      }),
      'ca.crt': 'ca',
      'deep/me.crt': 'cert',
      'deep/token': 'from-file\n',
    });
    const access = await resolveClusterAccess(plain({ environment: { KUBECONFIG: join(directory, 'deep/config') } }));
    const { headers, tls } = await access.connection();
    expect(headers).toEqual({ authorization: 'Bearer from-file' });
    expect([String(tls.ca), String(tls.cert), String(tls.key), tls.servername]).toEqual(['ca', 'cert', 'key', 'api']);
  });

  test('in a pod, the address may be IPv6, and the namespace is the pod’s', async () => {
    const directory = await files({ token: 't', namespace: 'mine\n', 'ca.crt': 'ca' });
    const environment = { KUBERNETES_SERVICE_HOST: 'fd00::1', KUBERNETES_SERVICE_PORT: '443' };
    const access = await resolveClusterAccess(plain({ environment, serviceAccountDirectory: directory }));
    expect(access.namespace).toBe('mine');
    expect(await access.connection()).toMatchObject({
      server: 'https://[fd00::1]:443',
      headers: { authorization: 'Bearer t' },
    });
  });
});
