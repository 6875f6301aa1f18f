import { createInterface } from 'node:readline';
import { Readable } from 'node:stream';
import { describe, expect, onTestFinished, test } from 'vitest';
import { manifest, NAMESPACE, seed, startCluster, type Json } from '../../test/support/cluster.ts';
import type { SimulatedCluster } from './cluster.ts';

const WORKFLOWS = `/apis/argoproj.io/v1alpha1/namespaces/${NAMESPACE}/workflows`;

interface Line {
  readonly type: string;
  readonly object: Json;
}

/** An open watch that collects its lines. */
interface OpenWatch {
  readonly status: number;
  readonly lines: Line[];
  /** Resolves when the server ends it or the connection breaks. */
  readonly over: Promise<'ended' | 'broken'>;
  readonly rest: string[];
}

async function watch(cluster: SimulatedCluster, query: Record<string, string> = {}): Promise<OpenWatch> {
  const stop = new AbortController();
  onTestFinished(() => stop.abort());
  const response = await fetch(
    `${cluster.url}${WORKFLOWS}?${new URLSearchParams({ watch: '1', ...query }).toString()}`,
    {
      signal: stop.signal,
    },
  );
  const lines: Line[] = [];
  const rest: string[] = [];
  const read = async (): Promise<'ended' | 'broken'> => {
    const input = Readable.fromWeb(response.body!);
    try {
      for await (const line of createInterface({ input })) {
        try {
          lines.push(JSON.parse(line) as Line);
        } catch {
          rest.push(line);
        }
      }
      return input.errored === null ? 'ended' : 'broken';
    } catch {
      return 'broken';
    }
  };
  return { status: response.status, lines, rest, over: read() };
}

async function create(cluster: SimulatedCluster, name: string, labels: Record<string, string> = {}): Promise<Json> {
  const response = await fetch(cluster.url + WORKFLOWS, {
    method: 'POST',
    body: JSON.stringify(manifest(name, labels)),
    headers: { 'content-type': 'application/json' },
  });
  return response.json();
}

async function patch(cluster: SimulatedCluster, name: string, change: object): Promise<void> {
  await fetch(`${cluster.url}${WORKFLOWS}/${name}`, {
    method: 'PATCH',
    body: JSON.stringify(change),
    headers: { 'content-type': 'application/merge-patch+json' },
  });
}

/** A cluster with workflows that never start: only the test causes events. */
async function quietCluster(options: Parameters<typeof startCluster>[0] = {}): Promise<SimulatedCluster> {
  return startCluster({ defaults: { pendingMs: 3_600_000 }, ...options });
}

const typesAndNames = (lines: readonly Line[]): string[] =>
  lines.map(({ type, object }) => `${type} ${object.metadata.name ?? ''}`);

describe('a watch', () => {
  test('without a version starts with existing objects, then sends changes', async () => {
    const cluster = await quietCluster();
    await create(cluster, 'one');
    const { lines } = await watch(cluster);
    await create(cluster, 'two');
    await patch(cluster, 'one', { metadata: { labels: { a: 'b' } } });
    cluster.faults.apply({ op: 'delete', namespace: NAMESPACE, name: 'one' });
    await expect.poll(() => typesAndNames(lines)).toEqual(['ADDED one', 'ADDED two', 'MODIFIED one', 'DELETED one']);
    const versions = lines.map(({ object }) => Number(object.metadata.resourceVersion));
    expect(versions).toEqual(versions.toSorted((a, b) => a - b));
  });

  test('from a version sends everything after it and nothing before', async () => {
    const cluster = await quietCluster();
    await create(cluster, 'one');
    const { resourceVersion } = (await create(cluster, 'two')).metadata;
    await create(cluster, 'three');
    const { lines } = await watch(cluster, { resourceVersion });
    await create(cluster, 'four');
    await expect.poll(() => typesAndNames(lines)).toEqual(['ADDED three', 'ADDED four']);
  });

  test('with a selector, an object comes and goes with its labels', async () => {
    const cluster = await quietCluster();
    const { lines } = await watch(cluster, { labelSelector: 'team in (a, b)' });
    await create(cluster, 'one', { team: 'a' });
    await create(cluster, 'other', { team: 'c' });
    await patch(cluster, 'one', { metadata: { labels: { team: 'b' } } });
    await patch(cluster, 'one', { metadata: { labels: { team: 'c' } } });
    await patch(cluster, 'one', { metadata: { labels: { team: 'd' } } });
    await patch(cluster, 'one', { metadata: { labels: { team: 'a' } } });
    await expect.poll(() => typesAndNames(lines)).toEqual(['ADDED one', 'MODIFIED one', 'DELETED one', 'ADDED one']);
  });

  test('gets no events from another namespace', async () => {
    const cluster = await quietCluster();
    const everywhere = await fetch(`${cluster.url}/apis/argoproj.io/v1alpha1/workflows?limit=5`);
    expect((await everywhere.json()) as Json).toMatchObject({ items: [] });
    const { lines } = await watch(cluster);
    seed(cluster, { ...manifest('far'), metadata: { name: 'far', namespace: 'default' } });
    await create(cluster, 'near');
    await expect.poll(() => typesAndNames(lines)).toEqual(['ADDED near']);
  });

  test('ends after timeoutSeconds, with a bookmark if requested', async () => {
    const cluster = await quietCluster();
    await create(cluster, 'one');
    const { lines, over } = await watch(cluster, { timeoutSeconds: '1', allowWatchBookmarks: 'true' });
    expect(await over).toBe('ended');
    expect(lines.map(({ type }) => type)).toEqual(['ADDED', 'BOOKMARK']);
    expect(lines[1]?.object.metadata.resourceVersion).toBe(String(cluster.store.version));
    expect(cluster.state()['watchers']).toBe(0);
  });

  test('gets periodic bookmarks if requested', async () => {
    const cluster = await quietCluster({ bookmarkIntervalMs: 20 });
    const since = { resourceVersion: String(cluster.store.version) };
    const { lines } = await watch(cluster, { allowWatchBookmarks: '1', ...since });
    const without = await watch(cluster, since);
    expect(lines).toEqual([]);
    await create(cluster, 'one');
    await expect.poll(() => lines.filter(({ type }) => type === 'BOOKMARK').length).toBeGreaterThan(1);
    expect(without.lines.map(({ type }) => type)).toEqual(['ADDED']);
  });

  test('from a version that is too old gets an ERROR event', async () => {
    const cluster = await quietCluster({ eventWindow: 4 });
    const { resourceVersion } = (await create(cluster, 'first')).metadata;
    for (let count = 0; count < 10; count += 1) {
      await create(cluster, `more-${count}`);
    }
    const { status, lines, over } = await watch(cluster, { resourceVersion });
    expect(await over).toBe('ended');
    expect(status).toBe(200);
    expect(lines).toMatchObject([{ type: 'ERROR', object: { kind: 'Status', code: 410, reason: 'Expired' } }]);
  });

  test('from a future version is silent until it is reached', async () => {
    const cluster = await quietCluster();
    const resourceVersion = String(cluster.store.version + 2);
    const { lines } = await watch(cluster, { resourceVersion });
    for (const name of ['one', 'two', 'three']) {
      await create(cluster, name);
    }
    await expect.poll(() => lines).toMatchObject([{ type: 'ADDED', object: { metadata: { name: 'three' } } }]);
  });
});

describe('a disturbed watch', () => {
  test.each([
    ['end', 'ended'],
    ['reset', 'broken'],
  ] as const)('is dropped by %s', async (how, expected) => {
    const cluster = await quietCluster();
    const { over } = await watch(cluster);
    cluster.faults.apply({ op: 'drop-watches', how });
    expect(await over).toBe(expected);
  });

  test('expires at the start as an HTTP answer or as an event, the given number of times', async () => {
    const cluster = await quietCluster();
    cluster.faults.apply({ op: 'expire-watches', form: 'http', times: 1 });
    const version = { resourceVersion: String(cluster.store.version) };
    expect((await watch(cluster, version)).status).toBe(410);
    cluster.faults.apply({ op: 'expire-watches', form: 'event', times: 1 });
    const second = await watch(cluster, version);
    await second.over;
    expect(second.lines).toMatchObject([{ type: 'ERROR', object: { code: 410 } }]);
    const third = await watch(cluster, version);
    await create(cluster, 'one');
    await expect.poll(() => typesAndNames(third.lines)).toEqual(['ADDED one']);
  });

  test('ends in the middle of a line', async () => {
    const cluster = await quietCluster();
    const { lines, rest, over } = await watch(cluster);
    await create(cluster, 'one');
    await expect.poll(() => typesAndNames(lines)).toEqual(['ADDED one']);
    cluster.faults.apply({ op: 'truncate-watches' });
    await create(cluster, 'two');
    expect(await over).toBe('ended');
    expect(typesAndNames(lines)).toEqual(['ADDED one']);
    expect(rest).toHaveLength(1);
    expect(rest[0]).toMatch(/^\{"type":"ADDED"/);
  });

  test('gets duplicate events', async () => {
    const cluster = await quietCluster();
    cluster.faults.apply({ op: 'disturb-watches', duplicate: true, reorder: false });
    const { lines } = await watch(cluster);
    await create(cluster, 'one');
    await expect.poll(() => typesAndNames(lines)).toEqual(['ADDED one', 'ADDED one']);
  });

  test('gets events in reverse order', async () => {
    const cluster = await quietCluster();
    cluster.faults.apply({ op: 'disturb-watches', duplicate: false, reorder: true });
    const { lines } = await watch(cluster);
    for (const name of ['one', 'two', 'three']) {
      seed(cluster, manifest(name));
    }
    await expect.poll(() => typesAndNames(lines)).toEqual(['ADDED three', 'ADDED two', 'ADDED one']);
  });

  test('is silent for a while, then gets everything at once', async () => {
    const cluster = await quietCluster({ bookmarkIntervalMs: 5 });
    const { lines } = await watch(cluster, { allowWatchBookmarks: '1' });
    await expect.poll(() => lines.length).toBeGreaterThan(0);
    cluster.faults.apply({ op: 'silence-watches', ms: 3_600_000 });
    const heard = lines.length;
    await create(cluster, 'one');
    const probe = await watch(cluster);
    expect(probe.lines).toEqual([]);
    expect(lines.slice(heard).filter(({ type }) => type === 'ADDED')).toEqual([]);
    cluster.faults.apply({ op: 'silence-watches', ms: 0 });
    await expect.poll(() => typesAndNames(lines)).toContain('ADDED one');
    await expect.poll(() => typesAndNames(probe.lines)).toContain('ADDED one');
  });

  test('behaves normally again after clear', async () => {
    const cluster = await quietCluster();
    cluster.faults.apply({ op: 'disturb-watches', duplicate: true, reorder: true });
    cluster.faults.apply({ op: 'truncate-watches' });
    cluster.faults.apply({ op: 'expire-watches', form: 'http', times: 9 });
    cluster.faults.apply({ op: 'clear' });
    const { lines } = await watch(cluster);
    await create(cluster, 'one');
    await create(cluster, 'two');
    await expect.poll(() => typesAndNames(lines)).toEqual(['ADDED one', 'ADDED two']);
  });
});
