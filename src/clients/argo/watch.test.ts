import fc from 'fast-check';
import { describe, expect, onTestFinished, test, vi } from 'vitest';
import { clientFor, manifest, NAMESPACE, seed, startCluster } from '../../../test/support/cluster.ts';
import { serveHttp } from '../../../test/support/serve-http.ts';
import type { SimulatedCluster } from '../../../sandbox/cluster/cluster.ts';
import { ArgoError } from './errors.ts';
import { readWorkflow } from './read.ts';
import { lines, parseWatchLine } from './watch.ts';
import type { WatchEvent, WatchOptions, Workflow } from './workflows.ts';

const OPERATION = { name: 'watch the workflows', write: false };

/** Runs a watch to its end, and collects its events and how it ends. */
function follow(
  cluster: Pick<SimulatedCluster, 'url'>,
  options: WatchOptions = {},
): { events: string[]; over: Promise<unknown> } {
  const stop = new AbortController();
  onTestFinished(() => stop.abort());
  const client = clientFor(cluster.url);
  const events: string[] = [];
  const run = async (): Promise<unknown> => {
    try {
      for await (const event of client.watchWorkflows(NAMESPACE, { signal: stop.signal, ...options })) {
        events.push(event.type === 'BOOKMARK' ? 'BOOKMARK' : `${event.type} ${event.object.metadata.name ?? ''}`);
      }
      return 'ended';
    } catch (error) {
      return error;
    }
  };
  return { events, over: run() };
}

async function quietCluster(bookmarkIntervalMs = 60_000): Promise<SimulatedCluster> {
  return startCluster({ defaults: { pendingMs: 3_600_000 }, bookmarkIntervalMs });
}

/** From now on the test decides when time limits pass; bookmarks and the test's own polling work as before. */
function turnTimeouts(): void {
  vi.useFakeTimers({ toFake: ['setTimeout', 'clearTimeout'] });
  onTestFinished(() => void vi.useRealTimers());
}

function isWatched(cluster: SimulatedCluster): () => unknown {
  return () => cluster.state()['watchers'];
}

describe('a watch', () => {
  test('continues where a list ended', async () => {
    const cluster = await quietCluster();
    const client = clientFor(cluster.url);
    await client.createWorkflow(NAMESPACE, manifest('before'));
    const { value: page } = await client.listWorkflows(NAMESPACE).next();
    await client.createWorkflow(NAMESPACE, manifest('between'));
    const { events } = follow(cluster, page === undefined ? {} : { resourceVersion: page.resourceVersion });
    await client.createWorkflow(NAMESPACE, manifest('after'));
    await client.patchWorkflow(NAMESPACE, 'before', { spec: { suspend: true } });
    cluster.faults.apply({ op: 'delete', namespace: NAMESPACE, name: 'after' });
    await expect.poll(() => events).toEqual(['ADDED between', 'ADDED after', 'MODIFIED before', 'DELETED after']);
  });

  test('receives only what its selector matches', async () => {
    const cluster = await quietCluster();
    const { events } = follow(cluster, { labelSelector: 'ours=yes' });
    seed(cluster, manifest('theirs'));
    seed(cluster, manifest('ours', { ours: 'yes' }));
    await expect.poll(() => events).toEqual(['ADDED ours']);
  });

  test('gives a version to continue from with every event', async () => {
    const cluster = await quietCluster(10);
    const seen: WatchEvent<Workflow>[] = [];
    seed(cluster, manifest('one'));
    for await (const event of clientFor(cluster.url).watchWorkflows(NAMESPACE)) {
      seen.push(event);
      if (event.type === 'BOOKMARK') {
        break;
      }
    }
    expect(seen[0]).toMatchObject({ type: 'ADDED', resourceVersion: String(cluster.store.version) });
    expect(seen.at(-1)).toEqual({ type: 'BOOKMARK', resourceVersion: String(cluster.store.version) });
    await expect.poll(isWatched(cluster)).toBe(0);
  });

  test('ends without an error when the server ends it cleanly', async () => {
    const cluster = await quietCluster();
    const { events, over } = follow(cluster, { timeoutSeconds: 1 });
    expect(await over).toBe('ended');
    expect(events).toEqual(['BOOKMARK']);
  });

  test('ends without an error when the caller aborts', async () => {
    const cluster = await quietCluster();
    const stop = new AbortController();
    const { over } = follow(cluster, { signal: stop.signal });
    await expect.poll(isWatched(cluster)).toBe(1);
    stop.abort();
    expect(await over).toBe('ended');
    await expect.poll(isWatched(cluster)).toBe(0);
    expect(await follow(cluster, { signal: stop.signal }).over).toBe('ended');
  });
});

describe('a watch that breaks', () => {
  test.each(['http', 'event'] as const)('an expired version, reported by %s, is argo.expired', async (form) => {
    const cluster = await quietCluster();
    cluster.faults.apply({ op: 'expire-watches', form, times: 1 });
    const { over } = follow(cluster, { resourceVersion: '5' });
    expect(await over).toMatchObject({ code: 'argo.expired', status: 410 });
  });

  test('a version that the cluster has compacted is argo.expired', async () => {
    const cluster = await quietCluster();
    const resourceVersion = String(cluster.store.version);
    seed(cluster, manifest('one'));
    cluster.faults.apply({ op: 'compact' });
    expect(await follow(cluster, { resourceVersion }).over).toMatchObject({ code: 'argo.expired' });
  });

  test('a reset connection is argo.connection', async () => {
    const cluster = await quietCluster();
    const { over } = follow(cluster);
    await expect.poll(isWatched(cluster)).toBe(1);
    cluster.faults.apply({ op: 'drop-watches', how: 'reset' });
    expect(await over).toMatchObject({ code: 'argo.connection', retryable: true });
  });

  test('a truncated line is argo.bad_answer', async () => {
    const cluster = await quietCluster();
    const { events, over } = follow(cluster);
    await expect.poll(isWatched(cluster)).toBe(1);
    seed(cluster, manifest('whole'));
    await expect.poll(() => events).toEqual(['ADDED whole']);
    cluster.faults.apply({ op: 'truncate-watches' });
    seed(cluster, manifest('cut'));
    expect(await over).toMatchObject({ code: 'argo.bad_answer', retryable: true });
    expect(events).toEqual(['ADDED whole']);
  });

  test('silence is argo.timeout, even from the beginning', async () => {
    const cluster = await quietCluster(20);
    turnTimeouts();
    const { events, over } = follow(cluster, { idleTimeoutMs: 1000 });
    for (let turn = 0; turn < 4; turn += 1) {
      // Wait for a new event: only that restarts the time.
      const heard = events.length;
      await expect.poll(() => events.length).toBeGreaterThan(heard);
      vi.advanceTimersByTime(900);
    }
    await expect.poll(() => events.length).toBeGreaterThan(8);
    cluster.faults.apply({ op: 'silence-watches', ms: 3_600_000 });
    vi.advanceTimersByTime(1000);
    expect(await over).toMatchObject({ code: 'argo.timeout', retryable: true });
    cluster.faults.apply({ op: 'add', rule: { match: { verb: 'watch' }, action: { kind: 'hang' } } });
    const silent = follow(cluster, { idleTimeoutMs: 1000 });
    vi.advanceTimersByTime(1000);
    expect(await silent.over).toMatchObject({ code: 'argo.timeout' });
  });

  test('a slow reader is not taken for a silent server', async () => {
    const cluster = await quietCluster(20);
    turnTimeouts();
    seed(cluster, manifest('one'));
    const watch = clientFor(cluster.url).watchWorkflows(NAMESPACE, { idleTimeoutMs: 1000 });
    expect((await watch.next()).value).toMatchObject({ type: 'ADDED' });
    vi.advanceTimersByTime(10_000);
    seed(cluster, manifest('two'));
    let event: WatchEvent<Workflow> | undefined;
    do {
      event = (await watch.next()).value ?? undefined;
    } while (event?.type === 'BOOKMARK');
    expect(event).toMatchObject({ type: 'ADDED', object: { metadata: { name: 'two' } } });
    await watch.return();
  });

  test('distinguishes a refused connection from a missing permission', async () => {
    const cluster = await quietCluster();
    cluster.faults.apply({ op: 'deny', requests: [{ verb: 'watch' }] });
    expect(await follow(cluster).over).toMatchObject({ code: 'argo.forbidden' });
    await cluster.disconnect();
    expect(await follow(cluster).over).toMatchObject({ code: 'argo.connection' });
  });
});

describe('a watch of a server with answers of its own', () => {
  test('a refusal whose page does not end is an error at once', async () => {
    await using server = await serveHttp((_request, response) => response.writeHead(403).write('x'.repeat(300_000)));
    expect(await follow(server).over).toMatchObject({ code: 'argo.bad_answer', status: 403 });
  });

  test.each([
    ['an error', '{"type":"ERROR","object":{"kind":"Status","code":410}}', 'argo.expired'],
    ['nonsense', '{', 'argo.bad_answer'],
  ])('the events before %s that arrives with them are handed over', async (_what, line, code) => {
    const added = ['one', 'two', 'three'].map((name) => {
      const metadata = { name, namespace: NAMESPACE, uid: name, resourceVersion: '1' };
      return JSON.stringify({ type: 'ADDED', object: { metadata } });
    });
    const answer = [...added.slice(0, 2), line, added[2], ''].join('\n');
    await using server = await serveHttp((_request, response) => response.end(answer));
    const { events, over } = follow(server);
    expect(await over).toMatchObject({ code });
    expect(events).toEqual(['ADDED one', 'ADDED two']);
  });
});

describe('lines', () => {
  test('come out whole, however the input is split', async () => {
    const texts = fc.array(fc.string({ unit: 'grapheme' }).map((text) => text.replaceAll('\n', '')));
    await fc.assert(
      fc.asyncProperty(texts, fc.array(fc.integer({ min: 1, max: 9 })), async (wanted, sizes) => {
        const bytes = Buffer.from(wanted.map((text) => `${text}\n`).join(''));
        const pieces = cut(bytes, sizes);
        const got: string[] = [];
        for await (const whole of lines(pieces, OPERATION)) {
          got.push(...whole);
        }
        expect(got).toEqual(wanted);
      }),
    );
  });

  test('rejects an endless line', async () => {
    async function* endless(): AsyncGenerator<Buffer> {
      for (;;) {
        yield Buffer.alloc(1024 * 1024, 'x');
      }
    }
    await expect(lines(endless(), OPERATION).next()).rejects.toMatchObject({ code: 'argo.bad_answer' });
  });

  test.each([
    '',
    'null',
    '[]',
    '{',
    '{"type":"ADDED"}',
    '{"type":"ADDED","object":{"metadata":{"resourceVersion":"1"}}}',
    '{"type":"NEW","object":{"metadata":{"resourceVersion":"1"}}}',
    '{"type":"BOOKMARK","object":{"metadata":{}}}',
  ])('%j is not an event', (line) => {
    expect(() => parseWatchLine(line, OPERATION, readWorkflow)).toThrow(ArgoError);
  });
});

async function* cut(bytes: Buffer, sizes: readonly number[]): AsyncGenerator<Buffer> {
  let at = 0;
  for (const size of sizes) {
    yield bytes.subarray(at, at + size);
    at += size;
  }
  yield bytes.subarray(at);
}
