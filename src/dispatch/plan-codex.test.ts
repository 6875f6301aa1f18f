import { create, fromJson, type JsonValue } from '@bufbuild/protobuf';
import { describe, expect, test } from 'vitest';
import type { CodexConfig } from '../config/config.ts';
import { Refusal } from '../domain/refusal.ts';
import { CodexIterationsPolicySchema, CodexTaskSchema } from '../proto/proompteng/froussard/v1/codex_task_pb.ts';
import { iterationCount, planCodexTask } from './plan-codex.ts';

const argo = {
  namespace: 'argo',
  workflowTemplate: 'facteur-dispatch',
  serviceAccount: 'facteur',
  parameters: { cluster: 'c1', extra: 'of all' },
};
const codex: CodexConfig = {
  enabled: true,
  workflowTemplate: 'github-codex-implementation',
  autonomousWorkflowTemplate: 'codex-autonomous',
  autonomousNamePrefix: 'codex-autonomous-',
  judgePrompt: '',
  reports: true,
  reflections: false,
  parameters: { head: '', extra: '' },
};

const task = (json: Record<string, JsonValue>) =>
  fromJson(CodexTaskSchema, {
    stage: 'CODEX_TASK_STAGE_IMPLEMENTATION',
    repository: 'owner/repo',
    head: 'codex/issue-7',
    issueNumber: '7',
    deliveryId: 'd-1',
    prompt: 'Do it',
    ...json,
  });

const decoded = (value: string | undefined) => JSON.parse(Buffer.from(value ?? '', 'base64').toString()) as unknown;

describe('planCodexTask', () => {
  test('the parameters of the contract override the configured ones', () => {
    const { workflow, payload } = planCodexTask(task({}), codex, argo);
    const { rawEvent, eventBody, ...rest } = workflow.parameters;
    expect(rest).toEqual({
      cluster: 'c1',
      extra: '',
      repository: 'owner/repo',
      issue_number: '7',
      head: 'codex/issue-7',
      base: 'main',
      prompt: 'Do it',
      implementation_iterations: '1',
      iteration_cycle: '1',
    });
    expect(decoded(rawEvent)).toEqual({
      stage: 'CODEX_TASK_STAGE_IMPLEMENTATION',
      prompt: 'Do it',
      repository: 'owner/repo',
      base: '',
      head: 'codex/issue-7',
      issueNumber: '7',
      issueUrl: '',
      issueTitle: '',
      issueBody: '',
      sender: '',
      issuedAt: null,
      deliveryId: 'd-1',
    });
    expect(decoded(eventBody)).toEqual({ ...(decoded(rawEvent) as object), stage: 'implementation' });
    expect(payload).toEqual(decoded(eventBody));
  });

  test('parameters name the issue, if there is one', () => {
    const parametersOf = (fields: Parameters<typeof task>[0]): Record<string, string> =>
      planCodexTask(task(fields), codex, argo).workflow.parameters;
    expect(parametersOf({ repository: ' owner/repo ' })).toMatchObject({ repository: 'owner/repo', issue_number: '7' });
    const none = parametersOf({ repository: ' ', issueNumber: '0' });
    expect(none).not.toHaveProperty('repository');
    expect(none).not.toHaveProperty('issue_number');
    expect(parametersOf({ repository: 'a{{b}}' })).toMatchObject({ repository: 'a{ {b}}' });
  });

  test('ignores white space around the base branch and the names in annotations, as in Go', () => {
    const { workflow, base } = planCodexTask(task({ base: '\u0085 develop\n', head: ' codex/7\u0085' }), codex, argo);
    expect(base).toBe('develop');
    expect(workflow.parameters).toMatchObject({ base: 'develop', head: ' codex/7\u0085' });
    expect(workflow.annotations).toMatchObject({ 'codex.base': 'develop', 'codex.head': 'codex/7' });
    // A byte order mark is not white space.
    const marked = planCodexTask(task({ base: '\uFEFFdevelop' }), codex, argo);
    expect(marked.workflow.annotations).toMatchObject({ 'codex.base': '\uFEFFdevelop' });
  });

  test('labels and annotations name the issue', () => {
    const { workflow } = planCodexTask(task({ base: 'develop' }), codex, argo);
    expect(workflow.labels).toMatchObject({ 'codex.issue_number': '7' });
    expect(workflow.annotations).toEqual({
      'codex.repository': 'owner/repo',
      'codex.issue_number': '7',
      'codex.head': 'codex/issue-7',
      'codex.base': 'develop',
    });
  });

  test('an autonomous task uses its own template and prefix', () => {
    const { workflow } = planCodexTask(task({ autonomous: true }), codex, argo);
    expect(workflow).toMatchObject({ workflowTemplate: 'codex-autonomous', namePrefix: 'codex-autonomous-' });
    expect(planCodexTask(task({}), codex, argo).workflow.namePrefix).toBe('github-codex-implementation-');
  });

  test.each([
    ['by default, the target of argo', {}, false, ['argo', 'facteur-dispatch', 'facteur']],
    ['its own target', { namespace: 'n', workflowTemplate: 't', serviceAccount: 's' }, false, ['n', 't', 's']],
    [
      'by default, the same for an autonomous task',
      { namespace: 'n', serviceAccount: 's' },
      true,
      ['n', 'codex-autonomous', 's'],
    ],
    [
      'the target of autonomous tasks',
      { namespace: 'n', serviceAccount: 's', autonomousNamespace: 'an', autonomousServiceAccount: 'as' },
      true,
      ['an', 'codex-autonomous', 'as'],
    ],
  ])('where it runs: %s', (_what, own, autonomous, target) => {
    const { workflowTemplate: _, ...bare } = codex;
    const { workflow } = planCodexTask(task({ autonomous }), { ...bare, ...own }, argo);
    expect([workflow.namespace, workflow.workflowTemplate, workflow.serviceAccount]).toEqual(target);
  });

  test.each([
    [-1, '1'],
    [0, '1'],
    [3, '3'],
  ])('iteration cycle %i -> %s', (iterationCycle, cycle) => {
    expect(planCodexTask(task({ iterationCycle }), codex, argo).workflow.parameters['iteration_cycle']).toBe(cycle);
  });

  test('falls back to defaults if nothing is configured', () => {
    const { workflowTemplate: _, ...bare } = codex;
    const { workflow } = planCodexTask(task({}), bare, { ...argo, namespace: '', workflowTemplate: '' });
    expect(workflow).toMatchObject({ namespace: 'argo-workflows', workflowTemplate: 'github-codex-implementation' });
  });

  test('passes a judge prompt if there is one', () => {
    expect(planCodexTask(task({}), { ...codex, judgePrompt: 'Judge' }, argo).workflow.parameters['judge_prompt']).toBe(
      'Judge',
    );
  });

  test.each(
    ['head', 'base'].flatMap((field) => [
      { field, text: 'x{{y', kind: 'template_tag', details: `${field}: must not contain "{{"` },
      {
        field,
        text: 'x\u{1fae9}',
        kind: 'unprintable',
        details: `${field}: must not contain U+1FAE9, a character that Argo cannot read`,
      },
    ]),
  )('$kind in $field is refused', ({ field, text, kind, details }) => {
    const plan = () => planCodexTask(task({ [field]: text }), codex, argo);
    expect(plan).toThrow(Refusal);
    expect(plan).toThrow(expect.objectContaining({ kind, details }));
  });

  test('makes the prompt and annotations safe for Argo, and leaves the task itself unchanged', () => {
    const text = '{=workflow}} \u{1fae9} {{x}} {';
    const { parameters, annotations } = planCodexTask(task({ prompt: text, repository: text }), codex, argo).workflow;
    expect(parameters['prompt']).toBe(' {=workflow}} \ufffd { {x}} { ');
    expect(annotations['codex.repository']).toBe(' {=workflow}} \ufffd { {x}} { ');
    const raw = JSON.parse(Buffer.from(parameters['rawEvent'] ?? '', 'base64').toString()) as unknown;
    expect(raw).toMatchObject({ prompt: text, repository: text });
  });

  test.each([
    [undefined, 1],
    [{ mode: '', count: 4 }, 4],
    [{ mode: 'fixed', count: 0 }, 1],
    [{ mode: 'fixed', count: 99 }, 25],
    [{ mode: ' UNTIL ', max: 6, count: 3 }, 6],
    [{ mode: 'until', count: 3 }, 3],
    [{ mode: 'until', max: -1 }, 1],
    [{ mode: 'budget', count: 9 }, 1],
  ])('iterations %j -> %i', (policy, count) => {
    expect(iterationCount(policy === undefined ? undefined : create(CodexIterationsPolicySchema, policy))).toBe(count);
  });
});
