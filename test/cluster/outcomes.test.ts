import { describe, expect, test } from 'vitest';
import { expectRun, runOf } from '../support/ledger.ts';
import { codexTask, event } from '../support/messages.ts';
import { freshId, useBench } from './bench.ts';

// How workflows end in Argo, and what facteur records.

const bench = useBench();

async function run(template: string, options: Record<string, string> = {}): Promise<{ id: string; name: string }> {
  const facteur = await bench.start(template);
  const id = freshId(template);
  const { status, body } = await facteur.send(event({ interactionId: id, options }));
  expect({ status, state: body.status }).toEqual({ status: 202, state: 'submitted' });
  return { id, name: body.workflowName };
}

test('a failed step: the reason is its name and its message', async () => {
  const { id } = await run('second-step-fails');
  const { reason, progress } = await expectRun(bench.db, id, 'failed');
  expect(reason).toMatch(/^deploy: .*the rocket is broken/);
  expect(progress).toBe('1/2');
});

test.each([
  ['second-step-fails', 'failed', /^deploy: .*the rocket is broken/],
  ['not-there', 'error', /not-there/],
] as const)('a Codex task with the template %s ends as %s', async (template, state, says) => {
  const facteur = await bench.start(template, {
    env: { FACTEUR_CODEX_IMPLEMENTATION_ORCHESTRATOR_WORKFLOW_TEMPLATE: template },
  });
  const deliveryId = freshId(template);
  const { body } = await facteur.send(codexTask({ deliveryId }));
  expect(body).toMatchObject({ status: 'submitted', stage: 'implementation' });
  expect((await bench.workflow(body.workflowName)).spec.workflowTemplateRef.name).toBe(template);
  expect((await expectRun(bench.db, deliveryId, state)).reason).toMatch(says);
});

test('a pod that fails before its container ends: the reason has the message of the pod', async () => {
  const { id } = await run('as-told', { exit: '137', 'pod-message': 'The node was low on resource: memory.' });
  const { reason } = await expectRun(bench.db, id, 'failed');
  expect(reason).toContain('The node was low on resource: memory.');
});

test('a pod that cannot start: the run shows why while it waits', async () => {
  const { id } = await run('as-told', { pending: 'ImagePullBackOff' });
  const step = async (): Promise<string> => (await runOf(bench.db, id)).step;
  await expect.poll(step).toMatch(/ \(ImagePullBackOff: Back-off pulling image\)$/);
});

test('a failure that is repaired by the template’s own retries does not count', async () => {
  const { id, name } = await run('tries-again');
  await expectRun(bench.db, id, 'succeeded');
  const { status } = await bench.workflow(name);
  const pods = Object.values<{ type: string }>(status.nodes).filter(({ type }) => type === 'Pod');
  expect(pods.length).toBeGreaterThan(1);
});

test('shows progress reported by the container while it runs', async () => {
  const { id } = await run('as-told', { run: '30s', progress: '25/100' });
  const progress = async (): Promise<string> => (await expectRun(bench.db, id, 'running')).progress;
  await expect.poll(progress).toBe('25/100');
});

describe('errors that Argo itself finds', () => {
  test('a parameter without a value: the run fails, and the reason names it', async () => {
    await bench.world.api.apply({
      apiVersion: 'argoproj.io/v1alpha1',
      kind: 'WorkflowTemplate',
      metadata: { name: 'wants-a-value', namespace: 'argo-workflows' },
      spec: {
        entrypoint: 'main',
        arguments: { parameters: [{ name: 'wanted' }] },
        templates: [{ name: 'main', container: { image: 'none', command: ['{{workflow.parameters.wanted}}'] } }],
      },
    });
    const { id } = await run('wants-a-value');
    expect((await expectRun(bench.db, id, 'failed')).reason).toContain('wanted');
  });

  test('a missing template: the run ends in error, and the reason names it', async () => {
    const { id } = await run('not-there');
    expect((await expectRun(bench.db, id, 'error')).reason).toContain('not-there');
  });

  test('a missing service account: the run ends in error, and the reason names it', async () => {
    const facteur = await bench.start('as-told', { env: { FACTEUR_ARGO_SERVICE_ACCOUNT: 'nobody' } });
    const id = freshId('account');
    await facteur.send(event({ interactionId: id }));
    const { reason } = await expectRun(bench.db, id, 'error');
    expect(reason).toContain('nobody');
  });

  test('a missing namespace: RBAC refuses the create, and the run is refused', async () => {
    const facteur = await bench.start('as-told', { env: { FACTEUR_ARGO_NAMESPACE: 'nowhere' } });
    const id = freshId('namespace');
    const { body } = await facteur.send(event({ interactionId: id }));
    expect(JSON.stringify(body)).not.toContain('"submitted"');
    const { reason } = await expectRun(bench.db, id, 'refused', 150_000);
    expect(reason).toContain(
      'cannot create resource "workflows" in API group "argoproj.io" in the namespace "nowhere"',
    );
  });
});
