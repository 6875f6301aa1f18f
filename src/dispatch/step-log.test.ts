import { describe, expect, test } from 'vitest';
import { ArgoError, type ArgoErrorCode } from '../clients/argo/errors.ts';
import type { Workflow } from '../clients/argo/workflows.ts';
import type { RunView } from '../ledger/find-runs.ts';
import { TurnableTimer } from '../../test/support/turnable-timer.ts';
import { readStepLog, type StepLogDeps } from './step-log.ts';

const timer = new TurnableTimer();
const names = { namespace: 'argo', workflowName: 'plan-1', workflowUid: 'u-1' };
const run = { ...names, state: 'failed', reason: 'build: boom' } as RunView;
const node = { id: 'plan-1-7', name: 'plan-1[0].build', displayName: 'build', templateName: 'build', type: 'Pod' };

function workflow(nodes: object, uid = 'u-1'): Workflow {
  return { metadata: { name: 'plan-1', namespace: 'argo', uid }, status: { nodes } } as unknown as Workflow;
}

const FAILED = workflow({ a: { ...node, phase: 'Failed', message: 'boom', finishedAt: '2026-01-01T00:00:00Z' } });

interface Answers {
  readonly workflow: Workflow | ArgoErrorCode | 'never';
  readonly log: { readonly text: string } | ArgoErrorCode;
}

/** A fake cluster with these answers. */
function cluster(answers: Answers) {
  const asked: string[] = [];
  const workflows: NonNullable<StepLogDeps['workflows']> = {
    async getWorkflow() {
      if (answers.workflow === 'never') {
        await new Promise(() => undefined);
      }
      return failing(answers.workflow) ?? (answers.workflow as Workflow);
    },
    async podLog(namespace, pod, { container, tailLines }) {
      asked.push(`${namespace}/${pod}/${container}/${tailLines}`);
      return failing(answers.log) ?? (answers.log as { text: string }).text;
    },
  };
  return { asked, workflows };
}

function failing(answer: unknown): undefined {
  if (typeof answer === 'string') {
    throw new ArgoError(answer as ArgoErrorCode, 'no');
  }
}

describe('readStepLog', () => {
  test('returns the last lines of the step that failed, safe to show', async () => {
    const { asked, workflows } = cluster({
      workflow: FAILED,
      log: { text: '\u001b[31mPASSWORD=canary\u001b[0m\nboom\n' },
    });
    expect(await readStepLog(run, { workflows, timer })).toEqual({
      reason: 'build: boom',
      step: 'build',
      lines: 'PASSWORD=***\nboom',
    });
    expect(asked).toEqual([expect.stringMatching(/^argo\/plan-1-build-\d+\/main\/20$/)]);
  });

  test.each<readonly [string, Answers['workflow'], Answers['log']]>([
    ['denied', FAILED, 'argo.forbidden'],
    ['gone', FAILED, 'argo.not_found'],
    ['gone', FAILED, 'argo.invalid'],
    ['gone', 'argo.not_found', { text: '' }],
    ['gone', workflow({}, 'another'), { text: 'of another workflow' }],
    ['silent', 'argo.timeout', { text: '' }],
    ['silent', 'argo.connection', { text: '' }],
    ['no_step', workflow({}), { text: '' }],
    ['no_step', workflow({ a: { ...node, type: 'Suspend', phase: 'Failed', message: 'x' } }), { text: '' }],
  ])('reports why there are no lines: %s', async (problem, found, log) => {
    const { workflows } = cluster({ workflow: found, log });
    expect(await readStepLog(run, { workflows, timer })).toMatchObject({ reason: 'build: boom', lines: '', problem });
  });

  test('does not wait for a cluster that hangs', async () => {
    const { workflows } = cluster({ workflow: 'never', log: { text: '' } });
    const reading = readStepLog(run, { workflows, timer });
    await timer.pass(1500);
    expect(await reading).toMatchObject({ problem: 'silent' });
  });

  test('reports that the log is disabled without a cluster', async () => {
    expect(await readStepLog(run, { workflows: undefined, timer })).toMatchObject({ problem: 'disabled' });
  });
});
