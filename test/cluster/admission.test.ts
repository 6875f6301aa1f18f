import { createServer, type AddressInfo } from 'node:net';
import { describe, expect, onTestFinished, test } from 'vitest';
import { ClusterApi, type ApiAnswer } from '../../scripts/cluster/api.ts';
import { ensureNamespace } from '../../scripts/cluster/set-up.ts';
import type { Json } from '../support/cluster.ts';
import { expectRun, runOf } from '../support/ledger.ts';
import { event } from '../support/messages.ts';
import { freshId, useBench, workflowPath } from './bench.ts';
import { logIn } from './world.ts';

// What the API server allows facteur's account to create and change, whatever facteur is asked to do.

const bench = useBench();

const REF = { workflowTemplateRef: { name: 'suspended' } };
const STEPS = { entrypoint: 'main', templates: [{ name: 'main', container: { image: 'alpine' } }] };

/** The cluster as seen by facteur's account, once the API server has read the policy. */
async function asFacteur(): Promise<ClusterApi> {
  const api = new ClusterApi((await logIn(bench.world)).access);
  onTestFinished(() => api.close());
  await expect.poll(async () => (await create(api, STEPS)).status).toBe(422);
  return api;
}

async function create(
  api: ClusterApi,
  spec: object,
  namespace = 'argo-workflows',
  more: object = {},
): Promise<ApiAnswer> {
  const name = freshId('admission');
  return api.send(workflowPath('').replace('argo-workflows', namespace), {
    method: 'POST',
    body: { apiVersion: 'argoproj.io/v1alpha1', kind: 'Workflow', metadata: { name, namespace }, spec, ...more },
  });
}

function messageOf({ body }: ApiAnswer): string {
  return (body as { readonly message?: string }).message ?? '';
}

describe('facteur’s account', () => {
  test('may run a template, with an account of the list or that of the template', async () => {
    const api = await asFacteur();
    expect(await create(api, REF)).toMatchObject({ status: 201 });
    expect(await create(api, { ...REF, serviceAccountName: 'facteur-workflow' })).toMatchObject({ status: 201 });
  });

  test.each([
    ['steps of its own', STEPS, /may only run a WorkflowTemplate/],
    ['steps next to a template', { ...REF, ...STEPS }, /may only run a WorkflowTemplate/],
    ['a patch of the template’s pods', { ...REF, podSpecPatch: '{"hostNetwork":true}' }, /without overriding it/],
    [
      'a ClusterWorkflowTemplate',
      { workflowTemplateRef: { name: 'any', clusterScope: true } },
      /WorkflowTemplate of the namespace/,
    ],
    ['another account', { ...REF, serviceAccountName: 'other' }, /does not allow facteur the service account other/],
  ])('may not create %s', async (_what, spec, says) => {
    const answer = await create(await asFacteur(), spec);
    expect(answer.status).toBe(422);
    expect(messageOf(answer)).toMatch(says);
  });

  test('may cancel a workflow, but not change its spec otherwise', async () => {
    const api = await asFacteur();
    const { body } = await create(api, REF);
    const { metadata } = body as { readonly metadata: { readonly name: string } };
    const patch = async (spec: object): Promise<ApiAnswer> =>
      api.send(workflowPath(metadata.name), {
        method: 'PATCH',
        contentType: 'application/merge-patch+json',
        body: { spec },
      });
    for (const spec of [
      { podSpecPatch: '{}' },
      { workflowTemplateRef: null },
      { workflowTemplateRef: { name: 'x' } },
    ]) {
      const answer = await patch(spec);
      expect(answer.status).toBe(422);
      expect(messageOf(answer)).toContain('may only change spec.shutdown and spec.suspend');
    }
    expect(await patch({ shutdown: 'Stop', suspend: null })).toMatchObject({ status: 200 });
  });

  test('may not give a workflow templates through its status, from which Argo reads them', async () => {
    const api = await asFacteur();
    const status = { phase: 'Running', storedWorkflowTemplateSpec: STEPS };
    const created = await create(api, REF, 'argo-workflows', { status });
    expect(created.status).toBe(422);
    expect(messageOf(created)).toContain('may not create a workflow with a status');

    const { body } = await create(api, REF);
    const { name } = (body as { readonly metadata: { readonly name: string } }).metadata;
    const patch = async (changed: object | null): Promise<ApiAnswer> =>
      api.send(workflowPath(name), {
        method: 'PATCH',
        contentType: 'application/merge-patch+json',
        body: { status: changed },
      });
    for (const changed of [status, { storedTemplates: { 'namespaced/any/main': STEPS.templates[0] } }]) {
      const answer = await patch(changed);
      expect(answer.status).toBe(422);
      expect(messageOf(answer)).toContain('may only change the nodes in the status of a workflow');
    }
    expect(
      await patch({ nodes: { [name]: { id: name, name, displayName: name, type: 'Suspend', phase: 'Running' } } }),
    ).toMatchObject({ status: 200 });
  });

  test('may send an empty status, as the Go service does', async () => {
    const api = await asFacteur();
    const status = { startedAt: null, finishedAt: null };
    expect(await create(api, REF, 'argo-workflows', { status })).toMatchObject({ status: 201 });
    for (const more of [{ nodes: {} }, { phase: 'Running' }, { storedWorkflowTemplateSpec: STEPS }]) {
      const answer = await create(api, REF, 'argo-workflows', { status: { ...status, ...more } });
      expect(answer.status).toBe(422);
      expect(messageOf(answer)).toContain('may not create a workflow with a status');
    }
  });

  test('is limited in every namespace where a Role allows it to create workflows', async () => {
    const namespace = 'admission-test';
    await ensureNamespace(bench.world.api, namespace);
    const rbac = { apiVersion: 'rbac.authorization.k8s.io/v1', metadata: { name: 'facteur', namespace } };
    await bench.world.api.apply({
      ...rbac,
      kind: 'Role',
      rules: [{ apiGroups: ['argoproj.io'], resources: ['workflows'], verbs: ['create'] }],
    });
    await bench.world.api.apply({
      ...rbac,
      kind: 'RoleBinding',
      roleRef: { apiGroup: 'rbac.authorization.k8s.io', kind: 'Role', name: 'facteur' },
      subjects: [{ kind: 'ServiceAccount', name: 'facteur', namespace: 'facteur' }],
    });
    const api = await asFacteur();
    expect(await create(api, REF, namespace)).toMatchObject({ status: 201 });
    expect(messageOf(await create(api, STEPS, namespace))).toMatch(/may only run a WorkflowTemplate/);
  });
});

test.each(['argo-workflows', 'admission-others'])(
  'other accounts may create what their Roles allow in %s',
  async (namespace) => {
    await asFacteur();
    await ensureNamespace(bench.world.api, namespace);
    expect(await create(bench.world.api, STEPS, namespace)).toMatchObject({ status: 201 });
  },
);

test('a command with another account is refused, with the reason', async () => {
  await asFacteur();
  const facteur = await bench.start('suspended', { env: { FACTEUR_ARGO_SERVICE_ACCOUNT: 'codex-admin' } });
  const id = freshId('account');
  await facteur.send(event({ interactionId: id }));
  await expectRun(bench.db, id, 'refused');
  expect((await runOf(bench.db, id)).reason).toContain('does not allow facteur the service account codex-admin');
});

test('the reason names a webhook that hangs: the API server times out before facteur does', async () => {
  const silent = createServer();
  await new Promise<void>((listening) => silent.listen(0, '127.0.0.1', listening));
  const url = `https://127.0.0.1:${(silent.address() as AddressInfo).port}/`;
  const hook = {
    apiVersion: 'admissionregistration.k8s.io/v1',
    kind: 'ValidatingWebhookConfiguration',
    metadata: { name: 'hangs' },
    webhooks: [
      {
        name: 'hangs.example.com',
        admissionReviewVersions: ['v1'],
        sideEffects: 'None',
        clientConfig: { url },
        matchConditions: [{ name: 'own', expression: "object.spec.workflowTemplateRef.name == 'hangs'" }],
        rules: [{ apiGroups: ['argoproj.io'], apiVersions: ['*'], operations: ['CREATE'], resources: ['workflows'] }],
      },
    ],
  };
  await bench.world.api.apply(hook);
  onTestFinished(async () => {
    await bench.world.api.remove(hook);
    silent.close();
  });
  const facteur = await bench.start('hangs');
  // It takes a moment until the API server knows the webhook. Until then it accepts.
  await expect
    .poll(
      async () => {
        const id = freshId('hangs');
        await facteur.send(event({ interactionId: id }));
        await expect.poll(async () => isWaiting(await runOf(bench.db, id))).toBe(true);
        return (await runOf(bench.db, id)).reason;
      },
      { timeout: 60_000 },
    )
    .toContain('the admission webhook "hangs.example.com" failed');
});

/** Whether it was tried: a queued run has a reason after a failed attempt. */
function isWaiting({ state, reason }: Json): boolean {
  return state !== 'queued' || reason !== '';
}
