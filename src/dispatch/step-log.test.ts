import { describe, expect, test } from 'vitest';
import { ArgoError, type ArgoErrorCode } from '../clients/argo/errors.ts';
import type { Workflow } from '../clients/argo/workflows.ts';
import type { RunView } from '../ledger/find-runs.ts';
import { readStepLog, type StepLogDeps } from './step-log.ts';

const run = { namespace: 'argo', workflowName: 'plan-1', workflowUid: 'u-1', reason: 'build: boom' } as RunView;
const node = { id: 'plan-1-7', name: 'plan-1[0].build', displayName: 'build', templateName: 'build', type: 'Pod' };

function workflow(nodes: object, uid = 'u-1'): Workflow {
  return { metadata: { name: 'plan-1', namespace: 'argo', uid }, status: { nodes } } as unknown as Workflow;
}

const FAILED = workflow({ a: { ...node, phase: 'Failed', message: 'boom', finishedAt: '2026-01-01T00:00:00Z' } });

/** What the cluster answers, in place of one. */
function cluster(found: () => Promise<Workflow>, log: () => Promise<string>) {
  const asked: string[] = [];
  const workflows: NonNullable<StepLogDeps['workflows']> = {
    getWorkflow: found,
    podLog: async (namespace, pod, { container, tailLines }) => {
      asked.push(`${namespace}/${pod}/${container}/${tailLines}`);
      return log();
    },
  };
  return { asked, workflows };
}

function fails(code: ArgoErrorCode): () => Promise<never> {
  return () => Promise.reject(new ArgoError(code, 'no'));
}

describe('readStepLog', () => {
  test('gives the last lines of the step that failed, safe to show', async () => {
    const { asked, workflows } = cluster(
      async () => FAILED,
      async () => '\u001b[31mPASSWORD=canary\u001b[0m\nboom\n',
    );
    expect(await readStepLog(run, { workflows })).toEqual({ reason: 'build: boom', lines: 'PASSWORD=***\nboom' });
    expect(asked).toEqual([expect.stringMatching(/^argo\/plan-1-build-\d+\/main\/20$/)]);
  });

  test.each([
    ['denied', async () => FAILED, fails('argo.forbidden')],
    ['gone', async () => FAILED, fails('argo.not_found')],
    ['gone', async () => FAILED, fails('argo.invalid')],
    ['gone', fails('argo.not_found'), fails('argo.not_found')],
    ['gone', async () => workflow({}, 'another'), async () => 'of another workflow'],
    ['silent', fails('argo.timeout'), async () => ''],
    ['silent', fails('argo.connection'), async () => ''],
    ['no_step', async () => workflow({}), async () => ''],
    [
      'no_step',
      async () => workflow({ a: { ...node, type: 'Suspend', phase: 'Failed', message: 'x' } }),
      async () => '',
    ],
  ] as const)('says that there are none: %s', async (problem, found, log) => {
    const { workflows } = cluster(found, log);
    expect(await readStepLog(run, { workflows })).toEqual({ reason: 'build: boom', lines: '', problem });
  });

  test('does not wait for a cluster that hangs', async () => {
    const { workflows } = cluster(
      () => new Promise(() => undefined),
      async () => '',
    );
    const began = performance.now();
    expect(await readStepLog(run, { workflows })).toMatchObject({ problem: 'silent' });
    expect(performance.now() - began).toBeLessThan(2500);
  });

  test('without a cluster there is nobody to ask', async () => {
    expect(await readStepLog(run, { workflows: undefined })).toMatchObject({ problem: 'disabled' });
  });
});
