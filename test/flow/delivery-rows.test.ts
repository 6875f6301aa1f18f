import { expect } from 'vitest';
import { NAMESPACE, TEMPLATE, type Json } from '../support/cluster.ts';
import { startFacteur, type Facteur } from '../support/facteur.ts';
import { db, test } from '../support/ledger-fixture.ts';
import { codexTask, event, type Message } from '../support/messages.ts';

// The rows (CONTRACT 8) and the workflow (CONTRACT 7) of a delivery, under the names that other programs use.

const TRACEPARENT = '00-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-01';

/** The labels except those of the controller. */
function labelsOf(workflow: Json): Json {
  const labels = Object.entries(workflow.metadata.labels);
  return Object.fromEntries(labels.filter(([name]) => !name.startsWith('workflows.argoproj.io/')));
}

async function deliver(facteur: Facteur, message: Message): Promise<{ body: Json; rows: Json; workflow: Json }> {
  const { status, body } = await facteur.send(message, { traceparent: TRACEPARENT });
  expect({ status, said: body.status }).toEqual({ status: 202, said: 'submitted' });
  const { rows } = await db.query<Json>({
    text: `SELECT to_jsonb(i) AS idea, to_jsonb(t) AS task, to_jsonb(r) AS run FROM codex_kb.task_runs r
      JOIN codex_kb.tasks t ON t.id = r.task_id JOIN codex_kb.ideas i ON i.id = t.idea_id WHERE r.id = $1`,
    values: [body.runId],
  });
  const { object } = facteur.cluster.store.get('workflows', NAMESPACE, body.workflowName);
  return { body, rows: rows[0], workflow: object };
}

test('the rows and the workflow of a Codex task', async () => {
  const facteur = await startFacteur({ db, env: { FACTEUR_ARGO_SERVICE_ACCOUNT: 'runner' } });
  const task = codexTask({ deliveryId: 'd1', autonomous: false });
  const { body, rows, workflow } = await deliver(facteur, task);
  const payload = { ...JSON.parse(String(task.body)), stage: 'implementation' };
  expect(rows).toMatchObject({
    idea: { source_type: 'github_issue', source_ref: 'acme/rocket#7', status: 'received', payload },
    task: { stage: 'implementation' },
    run: { id: body.runId, delivery_id: 'd1', external_run_id: body.workflowName },
  });
  expect(rows.task.metadata).toEqual({
    deliveryId: 'd1',
    stage: 'implementation',
    repository: 'acme/rocket',
    issueNumber: 7,
    head: 'codex/mend',
    base: 'main',
    autonomous: false,
  });
  expect(rows.run.metadata).toEqual({ deliveryId: 'd1', workflowTemplate: TEMPLATE.name });
  expect(new Date(rows.run.queued_at).toISOString().slice(0, 19)).toBe(body.submittedAt.slice(0, 19));

  expect(workflow).toMatchObject({ apiVersion: 'argoproj.io/v1alpha1', kind: 'Workflow' });
  expect(labelsOf(workflow)).toEqual({
    'app.kubernetes.io/managed-by': 'facteur',
    'facteur.proompteng.ai/delivery': '8b53639f152c8fc6ef30802fde462ba0',
    'facteur.proompteng.ai/command': 'implementation',
    'codex.issue_number': '7',
  });
  expect(workflow.metadata.annotations).toEqual({
    'facteur.proompteng.ai/delivery-id': 'd1',
    'facteur.proompteng.ai/run-id': body.runId,
    'facteur.proompteng.ai/traceparent': TRACEPARENT,
    'codex.repository': 'acme/rocket',
    'codex.issue_number': '7',
    'codex.head': 'codex/mend',
    'codex.base': 'main',
  });
  const { parameters } = workflow.spec.arguments;
  expect(workflow.spec).toEqual({
    workflowTemplateRef: { name: TEMPLATE.name },
    serviceAccountName: 'runner',
    arguments: { parameters },
  });
  expect(parameters.map(({ name }: Json) => name)).toEqual([
    'base',
    'eventBody',
    'head',
    'implementation_iterations',
    'issue_number',
    'iteration_cycle',
    'prompt',
    'rawEvent',
    'repository',
  ]);
  expect(parameters.every(({ value }: Json) => typeof value === 'string')).toBe(true);
});

test('the rows and the workflow of a command', async () => {
  const facteur = await startFacteur({ db });
  const { body, rows, workflow } = await deliver(
    facteur,
    event({ interactionId: 'i1', options: { objective: 'Land' } }),
  );
  expect(rows).toMatchObject({
    idea: { source_type: 'discord.command', source_ref: 'i1', status: 'received' },
    task: { stage: 'plan' },
    run: { id: body.runId, external_run_id: body.workflowName },
  });
  expect(rows.run.metadata).toEqual({ deliveryId: 'i1', workflowTemplate: TEMPLATE.name });
  expect(labelsOf(workflow)).toMatchObject({ 'facteur.proompteng.ai/command': 'plan' });
  expect(labelsOf(workflow)).not.toHaveProperty(['codex.issue_number']);
  expect(workflow.spec).toEqual({
    workflowTemplateRef: { name: TEMPLATE.name },
    arguments: {
      parameters: [
        { name: 'action', value: 'plan' },
        { name: 'objective', value: 'Land' },
      ],
    },
  });
});
