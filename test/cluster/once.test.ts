import { describe, expect, test } from 'vitest';
import { deliveryLabel } from '../../src/domain/workflow-name.ts';
import type { Facteur } from '../support/facteur.ts';
import { expectRun, runOf, timePasses } from '../support/ledger.ts';
import { asProtobuf, codexTask, event } from '../support/messages.ts';
import { freshId, useBench, workflowPath } from './bench.ts';

// Invariant 2 on a real cluster: one delivery id, at most one workflow, ever.

const bench = useBench();

const DOORS = [
  ['/events', (id: string) => event({ interactionId: id })],
  ['/codex/tasks', (id: string) => codexTask({ deliveryId: id })],
] as const;

test.each(DOORS)(
  '%s: twenty concurrent deliveries to two replicas, as JSON and protobuf: one workflow',
  async (_door, message) => {
    const replicas = await Promise.all([bench.start('as-told'), bench.start('as-told')]);
    const id = freshId('twenty');
    const variants = [message(id), asProtobuf(message(id))];
    const answers = await Promise.all(
      Array.from({ length: 20 }, (_, index) => replicas[index % 2]!.send(variants[index % 3 === 0 ? 0 : 1]!)),
    );
    expect(new Set(answers.map(({ status, body }) => `${status} ${body.workflowName}`)).size).toBe(1);
    expect(answers.filter(({ body }) => body.duplicate === false)).toHaveLength(1);
    expect(await bench.workflowsOf(id)).toHaveLength(1);
  },
);

test('a redelivery after the workflow was deleted creates no other workflow', async () => {
  const facteur = await bench.start('as-told');
  const message = event({ interactionId: freshId('deleted') });
  const { body } = await facteur.send(message);
  await expectRun(bench.db, body.deliveryId, 'succeeded');
  await bench.remove(body.workflowName);
  expect((await facteur.send(message)).body).toMatchObject({ workflowName: body.workflowName, duplicate: true });
  await timePasses(bench.db);
  expect((await facteur.send(message)).body).toMatchObject({ runId: body.runId, duplicate: true });
  expect(await bench.workflowsOf(body.deliveryId)).toEqual([]);
});

test.each(['gone-at-once', 'gone-in-a-second'])(
  '%s: a workflow that Argo removes right after its end is seen to succeed, and is created once',
  async (template) => {
    const facteur = await bench.start(template);
    const messages = Array.from({ length: 5 }, () => event({ interactionId: freshId(template) }));
    const sent = await Promise.all(messages.map((message) => facteur.send(message)));
    for (const { body } of sent) {
      await expectRun(bench.db, body.deliveryId, 'succeeded');
    }
    const again = await Promise.all(messages.map((message) => facteur.send(message)));
    expect(again.map(({ body }) => body.runId)).toEqual(sent.map(({ body }) => body.runId));
    const left = async (): Promise<number> =>
      (await Promise.all(sent.map(({ body }) => bench.workflowsOf(body.deliveryId)))).flat().length;
    await expect.poll(left).toBe(0);
  },
);

describe('a workflow name that is already taken', () => {
  /** Records a run without submitting it: the test then takes its name. */
  async function recordOnly(): Promise<{ readonly id: string; readonly name: string }> {
    const door = await bench.start('as-told', { roles: ['http'] });
    const id = freshId('taken');
    await door.send(event({ interactionId: id }));
    return { id, name: (await runOf(bench.db, id)).workflow_name };
  }

  async function take(name: string, labels: Record<string, string>, annotations = {}): Promise<string> {
    const { metadata } = await bench.world.api.call(workflowPath(''), {
      method: 'POST',
      body: {
        apiVersion: 'argoproj.io/v1alpha1',
        kind: 'Workflow',
        metadata: { name, labels, annotations },
        spec: { workflowTemplateRef: { name: 'as-told' } },
      },
    });
    return metadata.uid;
  }

  async function submit(): Promise<Facteur> {
    const facteur = await bench.start('as-told');
    await timePasses(bench.db);
    return facteur;
  }

  test('by our own workflow, after a lost answer: it is adopted', async () => {
    const { id, name } = await recordOnly();
    const uid = await take(name, {
      'facteur.proompteng.ai/delivery': deliveryLabel(id),
      'app.kubernetes.io/managed-by': 'facteur',
    });
    await submit();
    await expectRun(bench.db, id, 'succeeded');
    expect(await runOf(bench.db, id)).toMatchObject({ workflow_uid: uid, workflow_name: name });
    expect(await bench.workflowsOf(id)).toHaveLength(1);
  });

  test.each<[string, Record<string, string>]>([
    ['had its labels removed by an admission policy', {}],
    ['got another label from its template', { 'facteur.proompteng.ai/delivery': 'of-the-template' }],
  ])('by our own workflow, which %s: it is adopted', { timeout: 240_000 }, async (_how, labels) => {
    const { id, name } = await recordOnly();
    const annotations = { 'facteur.proompteng.ai/run-id': (await runOf(bench.db, id)).run_id };
    const uid = await take(name, labels, annotations);
    await submit();
    // Without the label, only the audit of live runs finds that it has ended.
    const run = await expectRun(bench.db, id, 'succeeded', 200_000);
    expect(run).toMatchObject({ workflow_uid: uid, workflow_name: name });
  });

  test('by a foreign workflow: the run gets another name, and the workflow is left alone', async () => {
    const { id, name } = await recordOnly();
    const uid = await take(name, {});
    await submit();
    const run = await expectRun(bench.db, id, 'succeeded');
    expect(run.workflow_name).not.toBe(name);
    expect(run.workflow_uid).not.toBe(uid);
    expect((await bench.workflow(name)).metadata.uid).toBe(uid);
  });
});
