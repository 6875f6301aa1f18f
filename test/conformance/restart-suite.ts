import { setTimeout as pause } from 'node:timers/promises';
import { describe, expect, test } from 'vitest';
import type { ApiAnswer, ApiRequest, ClusterApi } from '../../scripts/cluster/api.ts';
import type { Json } from '../support/cluster.ts';
import { workflow } from './cluster-cases.ts';
import type { Subject } from './cluster-suite.ts';

/** A cluster whose API server can be killed, used with facteur's credentials. */
export interface RestartingSubject extends Subject {
  /** For objects that policies do not allow facteur's account to create. */
  readonly admin: Pick<ClusterApi, 'call'>;
  stop(): Promise<void>;
  start(): Promise<void>;
}

/** The refusals of an API server during its start, in the order in which they occur. */
const REFUSALS = [
  { status: 403, reason: 'Forbidden', says: /^workflows\.argoproj\.io.* is forbidden: User .* cannot / },
  { status: 503, reason: 'ServiceUnavailable', says: /before all known HTTP paths have been installed/, retryAfter: 5 },
  { status: 429, reason: 'TooManyRequests', says: /^storage is \(re\)initializing$/, retryAfter: 1 },
] as const;

/** The last refusal that each request may get: only lists and watches wait for the cache to be filled. */
const REQUESTS: readonly {
  readonly name: string;
  readonly path: string;
  readonly options?: ApiRequest;
  readonly last: number;
}[] = [
  { name: 'get', path: '/before', last: 503 },
  { name: 'list', path: '', last: 429 },
  { name: 'list from the cache', path: '?resourceVersion=0', last: 429 },
  { name: 'list a page', path: '?limit=10', last: 503 },
  { name: 'watch', path: '?watch=1&timeoutSeconds=1', last: 429 },
  {
    name: 'create',
    path: '?dryRun=All',
    options: { method: 'POST', body: workflow({ name: 'after' }) },
    last: 503,
  },
  {
    name: 'patch',
    path: '/before',
    options: { method: 'PATCH', contentType: 'application/merge-patch+json', body: {} },
    last: 503,
  },
];

/** How an API server answers facteur during a restart; the same for the real and the simulated one. */
export function restartConformance(subject: () => RestartingSubject): void {
  const collection = (): string => `/apis/argoproj.io/v1alpha1/namespaces/${subject().namespace}/workflows`;

  describe('a restart of the API server', () => {
    test('causes temporary refusals, drops old events for watches, and keeps all objects', async () => {
      const { api, admin, stop, start } = subject();
      const body = workflow({ name: 'before' }, { suspend: true, workflowTemplateRef: { name: 'as-told' } });
      const { metadata } = await admin.call(collection(), { method: 'POST', body });
      const change = { method: 'PATCH', contentType: 'application/merge-patch+json' } as const;
      for (const seen of ['once', 'twice']) {
        await api.call(`${collection()}/before`, { ...change, body: { metadata: { labels: { seen } } } });
      }
      await stop();
      await expect(api.send(`${collection()}/before`)).rejects.toThrow(/ECONNREFUSED|ECONNRESET|EPIPE|closed/);
      const starting = start();
      const met = await Promise.all(REQUESTS.map(({ path, options }) => untilTaken(path, options)));
      await starting;
      for (const [index, { name, last }] of REQUESTS.entries()) {
        const allowed = REFUSALS.slice(0, REFUSALS.findIndex(({ status }) => status === last) + 1);
        const order = met[index]!.map((answer) => allowed.findIndex((refusal) => isRefusal(answer, refusal)));
        expect.soft({ name, unknown: met[index]!.filter((_, at) => order[at] === -1) }).toEqual({ name, unknown: [] });
        expect.soft({ name, order }).toEqual({ name, order: order.toSorted() });
      }
      expect(met.flat()).not.toEqual([]);
      expect(await api.call(`${collection()}/before`)).toMatchObject({
        metadata: { uid: metadata.uid, labels: { seen: 'twice' } },
      });
      const { body: event } = await api.send(
        `${collection()}?watch=1&timeoutSeconds=5&resourceVersion=${metadata.resourceVersion}`,
      );
      expect(event).toMatchObject({
        type: 'ERROR',
        object: {
          code: 410,
          reason: 'Expired',
          message: expect.stringMatching(/^too old resource version: \d+ \(\d+\)/),
        },
      });
    });

    /** All refusals until the request succeeds. */
    async function untilTaken(path: string, options: ApiRequest = {}): Promise<readonly ApiAnswer[]> {
      const refusals: ApiAnswer[] = [];
      for (;;) {
        const answer = await subject()
          .api.send(collection() + path, options)
          .catch(() => undefined);
        if (answer !== undefined && answer.status < 300) {
          return refusals;
        }
        if (answer !== undefined) {
          refusals.push(answer);
        }
        await pause(5);
      }
    }
  });
}

function isRefusal({ status, body }: ApiAnswer, refusal: (typeof REFUSALS)[number]): boolean {
  const { kind, reason, message, details } = body as Json;
  return (
    kind === 'Status' &&
    status === refusal.status &&
    reason === refusal.reason &&
    refusal.says.test(message) &&
    details?.retryAfterSeconds === ('retryAfter' in refusal ? refusal.retryAfter : undefined)
  );
}
