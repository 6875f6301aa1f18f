import { expect, test } from 'vitest';
import { expectRun } from '../support/ledger.ts';
import { codexTask, event } from '../support/messages.ts';
import { freshId, useBench } from './bench.ts';

// What an operator gets from the unchanged manifests.

const bench = useBench();

test('a command succeeds with the shipped template and facteur’s own service account', async () => {
  const facteur = await bench.start('');
  const interactionId = freshId('first');
  const answer = await facteur.send(event({ interactionId, options: { objective: 'Mend the rocket.' } }));
  expect(answer).toMatchObject({ status: 202, body: { status: 'submitted', namespace: 'argo-workflows' } });
  await expectRun(bench.db, interactionId, 'succeeded');
  const { spec, status } = await bench.workflow(answer.body.workflowName);
  expect(spec).toMatchObject({
    workflowTemplateRef: { name: 'facteur-dispatch' },
    serviceAccountName: 'facteur-workflow',
  });
  expect(status).toMatchObject({ phase: 'Succeeded', progress: '1/1' });
});

test('a Codex task succeeds', async () => {
  const facteur = await bench.start('');
  const deliveryId = freshId('first');
  const answer = await facteur.send(codexTask({ deliveryId }));
  expect(answer).toMatchObject({ status: 202, body: { status: 'submitted', stage: 'implementation' } });
  await expectRun(bench.db, deliveryId, 'succeeded');
  const { spec } = await bench.workflow(answer.body.workflowName);
  expect(spec).toMatchObject({
    workflowTemplateRef: { name: 'github-codex-implementation' },
    serviceAccountName: 'codex-workflow',
  });
});
