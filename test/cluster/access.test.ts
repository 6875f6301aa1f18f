import { writeFileSync } from 'node:fs';
import { expect, test } from 'vitest';
import { expectRun, runOf } from '../support/ledger.ts';
import { event } from '../support/messages.ts';
import { freshId, useBench } from './bench.ts';
import { logIn } from './world.ts';

// Changes of facteur's own credentials while it runs.

const bench = useBench();

test('if the token file is empty at the start, runs wait until there is a token', async () => {
  const { access, tokenFile, renew } = await logIn(bench.world);
  writeFileSync(tokenFile, '');
  const facteur = await bench.start('as-told', { access });
  const id = freshId('empty');
  const { status, body } = await facteur.send(event({ interactionId: id }));
  expect({ status, state: body.status }).toEqual({ status: 202, state: 'queued' });
  await renew();
  await expectRun(bench.db, id, 'succeeded');
});

test('reads a renewed token after the old one was rejected, and no request fails', async () => {
  const { access, tokenFile, renew } = await logIn(bench.world);
  const facteur = await bench.start('as-told', { access });
  writeFileSync(tokenFile, 'not-a-token');
  const id = freshId('wrong');
  await facteur.send(event({ interactionId: id }));
  await renew();
  await expectRun(bench.db, id, 'succeeded');
  const later = freshId('renewed');
  const { body } = await facteur.send(event({ interactionId: later }));
  expect(body.status).toBe('submitted');
  await expectRun(bench.db, later, 'succeeded');
});

test('a recreated service account voids its old tokens, and a fresh one works', async () => {
  // Not the account that other test files use at the same time.
  const [name, namespace] = ['made-anew', 'facteur'];
  const account = { apiVersion: 'v1', kind: 'ServiceAccount', metadata: { name, namespace } };
  await bench.world.api.apply(account);
  await bench.world.api.apply({
    apiVersion: 'rbac.authorization.k8s.io/v1',
    kind: 'RoleBinding',
    metadata: { name, namespace: 'argo-workflows' },
    roleRef: { apiGroup: 'rbac.authorization.k8s.io', kind: 'Role', name: 'facteur' },
    subjects: [{ kind: 'ServiceAccount', name, namespace }],
  });
  const { access, renew } = await logIn(bench.world, namespace, name);
  const facteur = await bench.start('as-told', { access });
  const first = freshId('old');
  await facteur.send(event({ interactionId: first }));
  await expectRun(bench.db, first, 'succeeded');
  await bench.world.api.remove(account);
  await bench.world.api.apply({ ...account, automountServiceAccountToken: false });
  const id = freshId('void');
  const { status } = await facteur.send(event({ interactionId: id }));
  expect(status).toBe(202);
  expect((await runOf(bench.db, id)).state).not.toBe('refused');
  // Like the kubelet renews a pod's token file.
  await renew();
  await expectRun(bench.db, id, 'succeeded');
});
