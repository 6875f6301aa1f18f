import { writeFileSync } from 'node:fs';
import { expect, test } from 'vitest';
import { expectRun, runOf } from '../support/ledger.ts';
import { event } from '../support/messages.ts';
import { freshId, useBench } from './bench.ts';
import { logIn } from './world.ts';

// What happens to facteur's own credentials while it works.

const bench = useBench();

test('a token file that is empty when facteur starts: runs wait, and go on when there is a token', async () => {
  const { access, tokenFile, renew } = await logIn(bench.world);
  writeFileSync(tokenFile, '');
  const facteur = await bench.start('as-told', { access });
  const id = freshId('empty');
  const { status, body } = await facteur.send(event({ interactionId: id }));
  expect({ status, state: body.status }).toEqual({ status: 202, state: 'queued' });
  await renew();
  await expectRun(bench.db, id, 'succeeded');
});

test('a rotated token: the old one is rejected, the new one is read, and no request fails', async () => {
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

test('the service account is made anew: its old tokens are void, and a fresh one works', async () => {
  // Not the one that other files are logged in with at the same time.
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
  // As the kubelet does to a pod's file.
  await renew();
  await expectRun(bench.db, id, 'succeeded');
});
