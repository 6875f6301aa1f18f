import { expect } from 'vitest';
import type { Database } from '../../src/clients/postgres/database.ts';
import { startFacteur } from '../support/facteur.ts';
import { callApi } from '../support/api.ts';
import { approvalOf, openApproval } from '../support/approvals.ts';
import { db, test } from '../support/ledger-fixture.ts';
import { event } from '../support/messages.ts';
import { forceState } from '../support/runs.ts';

const TOKENS = [
  { name: 'viewer', scope: 'read', token: 'read-token' },
  { name: 'ops', scope: 'operate', token: 'operate-token' },
];

/** A facteur with runs that wait for approval, the oldest first. */
async function withWaiting(ledger: Database, count: number) {
  const facteur = await startFacteur({ db: ledger, env: { FACTEUR_SERVER_API_TOKENS: JSON.stringify(TOKENS) } });
  const runs: string[] = [];
  for (let nth = 0; nth < count; nth += 1) {
    const { runId } = (await facteur.send(event({ interactionId: `d${nth}` }))).body;
    await openApproval(ledger, runId);
    runs.push(runId);
  }
  const call = (request: string, body?: object, token = 'operate-token') =>
    callApi(facteur.url, request, { token, ...(body === undefined ? {} : { body }) });
  return { runs, call, facteur };
}

test('pages list every approval once, and filters select among them', async () => {
  const { runs, call } = await withWaiting(db, 5);
  const [first = '', second = ''] = runs;
  const paged: string[] = [];
  let next: string | null = '';
  for (let cursor = ''; next !== null; cursor = `&cursor=${next}`) {
    const { body } = await call(`GET /v1/approvals?limit=2${cursor}`);
    paged.push(...body.approvals.map(({ runId }: { readonly runId: string }) => runId));
    next = body.next as string | null;
  }
  expect(paged).toEqual(runs);
  await call(`POST /v1/runs/${first}/approvals/${(await approvalOf(db, first)).key}/reject`, {});
  await forceState(db, second, 'failed');
  const of = async (query: string): Promise<string[]> =>
    (await call(`GET /v1/approvals?${query}`)).body.approvals.map(({ runId }: { readonly runId: string }) => runId);
  expect(await of('state=waiting')).toEqual(runs.slice(2));
  expect(await of(`run=${first}`)).toEqual([first]);
  expect(await of('command=other')).toEqual([]);
  expect(await call('GET /v1/approvals?state=open')).toMatchObject({ status: 400 });
  const unknown = `00000000-0000-4000-8000-000000000000:${'0'.repeat(16)}`;
  expect(await call(`GET /v1/approvals?cursor=${unknown}`)).toMatchObject({
    status: 400,
    body: { errors: [{ field: 'query.cursor' }] },
  });
});

test('a page of large approvals ends early, and the command line reads the next one', async () => {
  const { runs, call, facteur } = await withWaiting(db, 3);
  // Two of them together exceed 4 MiB.
  await db.query({
    text: `UPDATE facteur.approvals SET fields = jsonb_set(fields, '{0,choices}', jsonb_build_array(repeat('x', 2200000)))`,
  });
  const first = (await call('GET /v1/approvals?limit=3')).body;
  expect(first.approvals.map(({ runId }: { readonly runId: string }) => runId)).toEqual(runs.slice(0, 2));
  const second = (await call(`GET /v1/approvals?limit=3&cursor=${first.next}`)).body;
  expect([second.approvals.map(({ runId }: { readonly runId: string }) => runId), second.next]).toEqual([
    runs.slice(2),
    null,
  ]);
  const env = { FACTEUR_SERVER: facteur.url, FACTEUR_TOKEN: 'read-token' };
  const list = ['approvals', 'list', '-o', 'name'];
  for (const { stdout } of [await facteur.cli(...list), await facteur.cliWith(env, ...list)]) {
    expect(stdout.trim().split('\n')).toEqual(runs);
  }
});

test('the first decision wins, a later one gets a 409 with who decided and when, and outputs are validated', async () => {
  const { runs, call } = await withWaiting(db, 1);
  const key = (await approvalOf(db, runs[0] ?? '')).key as string;
  const path = `POST /v1/runs/${runs[0]}/approvals/${key}`;
  expect(await call(`${path}/approve`, {}, 'read-token')).toMatchObject({ status: 403 });
  expect(await call(`${path}/approve`, { outputs: { version: '{{x}}', other: 'a' } })).toMatchObject({
    status: 422,
    body: {
      code: 'invalid_option',
      errors: [{ field: 'body.outputs.other', message: 'unknown output' }, { field: 'body.outputs.version' }],
    },
  });
  const both = await Promise.all([
    call(`${path}/approve`, { outputs: { version: 'v1' } }),
    call(`${path}/reject`, { reason: 'not on a Friday' }),
  ]);
  const [won] = both.filter(({ status }) => status === 202);
  expect(both.map(({ status }) => status).toSorted()).toEqual([202, 409]);
  expect(won?.body).toMatchObject({ decidedBy: 'api ops' });
  const again = await call(`${path}/approve`, { outputs: { version: 'v1' } });
  expect(again).toMatchObject({ status: 409, body: { code: 'approval_settled' } });
  expect(again.body.detail).toBe(`approve was already ${won?.body.verdict} by api ops at ${won?.body.decidedAt}`);
  const { body: run } = await call(`GET /v1/runs/${runs[0]}`);
  const decided = run.events.filter(({ type }: { readonly type: string }) => type === 'approval.decided');
  expect(decided).toMatchObject([{ actor: 'api ops', payload: { verdict: won?.body.verdict } }]);
  expect(await call(`POST /v1/runs/${runs[0]}/approvals/${'0'.repeat(16)}/reject`, {})).toMatchObject({
    status: 404,
    body: { code: 'approval_not_found' },
  });
});

test('a decision on a run that has ended gets a 409', async () => {
  const { runs, call } = await withWaiting(db, 1);
  const key = (await approvalOf(db, runs[0] ?? '')).key as string;
  await forceState(db, runs[0] ?? '', 'failed');
  expect(await call(`POST /v1/runs/${runs[0]}/approvals/${key}/reject`, {})).toMatchObject({
    status: 409,
    body: { detail: 'approve no longer waits: the run is failed' },
  });
});
