import { toJson, type JsonObject } from '@bufbuild/protobuf';
import type { ArgoConfig, CodexConfig } from '../config/config.ts';
import { Refusal } from '../domain/refusal.ts';
import { LABELS, type WorkflowPlan } from '../domain/workflow-plan.ts';
import {
  CodexTaskSchema,
  type CodexIterationsPolicy,
  type CodexTask,
} from '../proto/proompteng/froussard/v1/codex_task_pb.ts';

/** The only stage that is orchestrated. */
export const IMPLEMENTATION = 'implementation';

/** Where and how Codex tasks run when nothing at all is configured: what the Go service did. */
const FALLBACK = {
  namespace: 'argo-workflows',
  workflowTemplate: 'github-codex-implementation',
  namePrefix: 'github-codex-implementation-',
} as const;

const MAX_ITERATIONS = 25;

/** A planned Codex task: its workflow, and the task as JSON with its stage as other readers of the ledger know it. */
export interface CodexPlan {
  readonly workflow: WorkflowPlan;
  readonly payload: JsonObject;
  readonly base: string;
}

/**
 * The workflow of a Codex task. What a person wrote travels base64-encoded, except the prompt, whose template tags are
 * broken up; a branch name with one is refused, since it cannot be changed without changing its meaning.
 *
 * @throws Refusal `template_tag`
 */
export function planCodexTask(task: CodexTask, codex: CodexConfig, argo: ArgoConfig): CodexPlan {
  const raw = taskJson(task);
  const payload = { ...raw, stage: IMPLEMENTATION };
  const base = task.base.trim() === '' ? 'main' : task.base;
  refuseTemplateTag('head', task.head);
  refuseTemplateTag('base', base);
  const workflow: WorkflowPlan = {
    ...target(task.autonomous === true, codex, argo),
    parameters: {
      ...argo.parameters,
      ...codex.parameters,
      rawEvent: base64(raw),
      eventBody: base64(payload),
      head: task.head,
      base,
      prompt: withoutTemplateTags(task.prompt),
      implementation_iterations: String(iterationCount(task.iterations)),
      iteration_cycle: String(Math.max(1, task.iterationCycle ?? 1)),
      ...(codex.judgePrompt === '' ? {} : { judge_prompt: codex.judgePrompt }),
    },
    labels: {
      [LABELS.command]: IMPLEMENTATION,
      ...(task.issueNumber > 0n ? { 'codex.issue_number': String(task.issueNumber) } : {}),
    },
    annotations: {
      ...(task.repository.trim() === '' ? {} : { 'codex.repository': task.repository.trim() }),
      ...(task.issueNumber > 0n ? { 'codex.issue_number': String(task.issueNumber) } : {}),
      ...(task.head.trim() === '' ? {} : { 'codex.head': task.head.trim() }),
      'codex.base': base.trim(),
    },
  };
  return { workflow, payload, base };
}

function target(autonomous: boolean, codex: CodexConfig, argo: ArgoConfig) {
  const namespace = codex.namespace ?? (argo.namespace === '' ? FALLBACK.namespace : argo.namespace);
  const serviceAccount = codex.serviceAccount ?? argo.serviceAccount;
  if (autonomous) {
    return {
      namespace: codex.autonomousNamespace ?? namespace,
      workflowTemplate: codex.autonomousWorkflowTemplate,
      serviceAccount: codex.autonomousServiceAccount ?? serviceAccount,
      namePrefix: codex.autonomousNamePrefix,
    };
  }
  const template = codex.workflowTemplate ?? argo.workflowTemplate;
  return {
    namespace,
    workflowTemplate: template === '' ? FALLBACK.workflowTemplate : template,
    serviceAccount,
    namePrefix: FALLBACK.namePrefix,
  };
}

/** The task as Go's protojson writes it with unpopulated fields: an absent timestamp is there too, as null. */
function taskJson(task: CodexTask): JsonObject {
  const json = toJson(CodexTaskSchema, task, { alwaysEmitImplicit: true }) as JsonObject;
  return task.issuedAt === undefined ? { ...json, issuedAt: null } : json;
}

/** How many rounds the implementation may take: the policy's count (`fixed`) or its upper bound (`until`), 1 to 25. */
export function iterationCount(policy: CodexIterationsPolicy | undefined): number {
  if (policy === undefined) {
    return 1;
  }
  const clamp = (count: number) => Math.min(MAX_ITERATIONS, Math.max(1, count));
  switch (policy.mode.trim().toLowerCase()) {
    case '':
    case 'fixed':
      return clamp(policy.count ?? 1);
    case 'until':
      return clamp((policy.max ?? 0) > 0 ? (policy.max ?? 1) : (policy.count ?? 1));
    default:
      return 1;
  }
}

/** `{{` anywhere becomes `{ {`, also in runs of three and more. */
export function withoutTemplateTags(text: string): string {
  return text.replaceAll(/\{(?=\{)/g, '{ ');
}

function refuseTemplateTag(field: string, value: string): void {
  if (value.includes('{{')) {
    throw new Refusal('template_tag', `${field}: must not contain "{{"`);
  }
}

function base64(json: JsonObject): string {
  return Buffer.from(JSON.stringify(json), 'utf8').toString('base64');
}
