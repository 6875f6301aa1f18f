import { beforeAll, describe, expect, test } from 'vitest';
import type { ClusterApi } from '../../scripts/cluster/api.ts';
import type { Json } from '../support/cluster.ts';
import { BASE, CASES, workflow } from './cluster-cases.ts';

/** The cluster under test. */
export interface Subject {
  readonly api: ClusterApi;
  /** A namespace where the cases may do anything. */
  readonly namespace: string;
}

/** How a cluster must behave towards facteur; the same for the real and the simulated one. */
export function clusterConformance(which: 'real' | 'simulated', subject: () => Subject): void {
  const collection = (): string => `/apis/argoproj.io/v1alpha1/namespaces/${subject().namespace}/workflows`;
  const created = async (name: string, labels: Readonly<Record<string, string>> = {}): Promise<Json> => {
    const { api } = subject();
    await api.send(`${collection()}/${name}`, { method: 'DELETE' });
    return api.call(collection(), { method: 'POST', body: workflow({ name, labels }) });
  };

  beforeAll(async () => {
    await created(BASE, { conformance: 'base' });
  });

  test('an unknown kind, as while its definition is replaced: 404 as plain text, without a Status', async () => {
    const answer = await subject().api.send(`${collection()}-of-yesterday`);
    expect(answer).toEqual({ status: 404, body: '404 page not found\n' });
  });

  test.each(CASES)('$name', async ({ method, path = '', body, contentType, headers, expected, simulated }) => {
    const wanted = which === 'simulated' ? (simulated ?? expected) : expected;
    const answer = await subject().api.send(collection() + path, {
      method: method ?? 'GET',
      body,
      ...(contentType === undefined ? {} : { contentType }),
      ...(headers === undefined ? {} : { headers }),
    });
    const status = answer.body as Json;
    expect({ status: answer.status, message: status?.message }).toMatchObject({
      status: wanted.status,
      ...(wanted.says === undefined ? {} : { message: expect.stringMatching(wanted.says) }),
    });
    if (wanted.status >= 400) {
      expect(status).toMatchObject({ kind: 'Status', apiVersion: 'v1', status: 'Failure', code: wanted.status });
      expect(status.reason).toBe(wanted.reason);
    }
  });

  describe('representations of a created object', () => {
    const METADATA = 'application/json;as=PartialObjectMetadata;g=meta.k8s.io;v=v1';
    test.each([
      [METADATA, 'PartialObjectMetadata'],
      [`${METADATA}, application/json`, 'PartialObjectMetadata'],
      [`application/json, ${METADATA}`, 'Workflow'],
      ['application/json', 'Workflow'],
      ['*/*', 'Workflow'],
    ])('%s: %s', async (accept, kind) => {
      const { api } = subject();
      await api.send(`${collection()}/form`, { method: 'DELETE' });
      const body = workflow({ name: 'form', labels: { form: 'yes' } });
      const answer = await api.send(collection(), { method: 'POST', body, headers: { accept } });
      const object = answer.body as Json;
      const stored = await api.call(`${collection()}/form`);
      expect({ status: answer.status, kind: object.kind }).toEqual({ status: 201, kind });
      expect(object.metadata).toMatchObject({ name: 'form', uid: stored.metadata.uid, labels: { form: 'yes' } });
      expect('spec' in object).toBe(kind === 'Workflow');
    });
  });

  describe('pages', () => {
    test('a limit and a continue token return all items at one version', async () => {
      const names = ['page-1', 'page-2', 'page-3'];
      await subject().api.send(`${collection()}/page-4`, { method: 'DELETE' });
      await Promise.all(names.map((name) => created(name, { page: 'yes' })));
      const { api } = subject();
      const first = await api.call(`${collection()}?labelSelector=page%3Dyes&limit=2`);
      expect(first.items).toHaveLength(2);
      await created('page-4', { page: 'yes' });
      const token = encodeURIComponent(first.metadata.continue);
      const second = await api.call(`${collection()}?labelSelector=page%3Dyes&limit=2&continue=${token}`);
      expect([...namesOf(first), ...namesOf(second)]).toEqual(names);
      expect(second.metadata).toMatchObject({ resourceVersion: first.metadata.resourceVersion });
      expect(second.metadata.continue ?? '').toBe('');
    });

    test('from the cache, everything comes on one page, whatever the limit', async () => {
      const names = ['cached-1', 'cached-2', 'cached-3'];
      await Promise.all(names.map((name) => created(name, { cached: 'yes' })));
      const list = (): Promise<Json> =>
        subject().api.call(`${collection()}?labelSelector=cached%3Dyes&limit=1&resourceVersion=0`);
      await expect.poll(async () => namesOf(await list())).toEqual(names);
      expect((await list()).metadata.continue ?? '').toBe('');
    });
  });

  describe('selectors', () => {
    beforeAll(async () => {
      await created('pick-1', { pick: 'yes', app: 'web', 'example.com/team': 'a' });
      await created('pick-2', { pick: 'yes', app: 'api', empty: '' });
      await created('pick-3', { pick: 'yes' });
    });

    test.each([
      ['app=web', [1]],
      ['app==web', [1]],
      ['app!=web', [2, 3]],
      ['app in (web, api)', [1, 2]],
      ['app notin (web)', [2, 3]],
      ['app', [1, 2]],
      ['!app', [3]],
      ['empty=', [2]],
      ['example.com/team=a', [1]],
      ['app,app notin (api)', [1]],
      ['app=web,app=api', []],
    ])('%s', async (selector, expected) => {
      const query = encodeURIComponent(`pick=yes,${selector}`);
      expect(namesOf(await subject().api.call(`${collection()}?labelSelector=${query}`))).toEqual(
        expected.map((number) => `pick-${number}`),
      );
    });
  });

  describe('watches', () => {
    test('from a version: later changes, in order', async () => {
      const before = await created('watched');
      await subject().api.send(`${collection()}/watched`, {
        method: 'PATCH',
        contentType: 'application/merge-patch+json',
        body: { metadata: { labels: { seen: 'yes' } } },
      });
      await subject().api.send(`${collection()}/watched`, { method: 'DELETE' });
      const events = await watch({
        resourceVersion: before.metadata.resourceVersion,
        fieldSelector: 'metadata.name=watched',
      });
      const types = events.map(({ type }) => type).filter((type) => type !== 'BOOKMARK');
      expect(types[0]).toBe('MODIFIED');
      expect(types.at(-1)).toBe('DELETED');
    });

    test('with bookmarks: one before the end, with a version to resume from', async () => {
      const { metadata } = await created('watched');
      await subject().api.send(`${collection()}/watched`, { method: 'DELETE' });
      // The server sends none with a version that is not later than that of the last event: something has to happen after the
      // start of the watch.
      const last = async (): Promise<Json> => {
        const events = watch({ resourceVersion: metadata.resourceVersion });
        await created('later');
        return (await events).at(-1);
      };
      await expect.poll(last).toMatchObject({ type: 'BOOKMARK' });
      expect(Number((await last()).object.metadata.resourceVersion)).toBeGreaterThan(Number(metadata.resourceVersion));
    });

    test('without a version: existing objects come as ADDED', async () => {
      await created('present');
      const events = await watch({ labelSelector: 'conformance=base' });
      expect(events[0]).toMatchObject({ type: 'ADDED', object: { metadata: { name: BASE } } });
    });

    test('an object that stops matching the selector comes as DELETED', async () => {
      const { metadata } = await created('matching', { match: 'yes' });
      await subject().api.send(`${collection()}/matching`, {
        method: 'PATCH',
        contentType: 'application/merge-patch+json',
        body: { metadata: { labels: { match: 'no' } } },
      });
      const events = await watch({ resourceVersion: metadata.resourceVersion, labelSelector: 'match=yes' });
      const told = events.filter(({ type }) => type !== 'BOOKMARK');
      expect(told.at(-1)).toMatchObject({ type: 'DELETED', object: { metadata: { name: 'matching' } } });
    });

    test('from version 1: an ERROR event, because the version is too old', async () => {
      expect(await watch({ resourceVersion: '1' })).toMatchObject([
        {
          type: 'ERROR',
          object: { kind: 'Status', code: 410, reason: 'Expired', message: /too old resource version: 1/ },
        },
      ]);
    });

    test('from a future version: no events', async () => {
      const events = await watch({ resourceVersion: '99999999', allowWatchBookmarks: 'false' });
      expect(events).toEqual([]);
    });

    /** All events until the server ends the watch, after four seconds. A bookmark, if any, comes two seconds before. */
    async function watch(query: Readonly<Record<string, string>>): Promise<readonly Json[]> {
      const parameters = new URLSearchParams({
        watch: '1',
        timeoutSeconds: '4',
        allowWatchBookmarks: 'true',
        ...query,
      });
      const { body } = await subject().api.send(`${collection()}?${parameters.toString()}`);
      return typeof body === 'string'
        ? body
            .split('\n')
            .filter((line) => line !== '')
            .map((line) => JSON.parse(line))
        : [body];
    }
  });
}

function namesOf({ items }: Json): readonly string[] {
  return items.map(({ metadata }: Json) => metadata.name);
}
