import { toJson, type JsonObject } from '@bufbuild/protobuf';
import { trimmed } from '../base/trimmed.ts';
import type { ArgoConfig, CodexConfig } from '../config/config.ts';
import { argoText, refuseForArgo } from '../domain/argo-text.ts';
import { ISSUE_LABEL, LABELS, type WorkflowPlan } from '../domain/workflow-plan.ts';
import { knowledgeOf } from './plan-knowledge.ts';
import {
  CodexTaskSchema,
  type CodexIterationsPolicy,
  type CodexTask,
} from '../proto/proompteng/froussard/v1/codex_task_pb.ts';

/** The only stage that is orchestrated. */
export const IMPLEMENTATION = 'implementation';

/** Defaults of Codex tasks without any configuration, as in the Go service. */
const FALLBACK = {
  namespace: 'argo-workflows',
  workflowTemplate: 'github-codex-implementation',
  namePrefix: 'github-codex-implementation-',
} as const;

const MAX_ITERATIONS = 25;

/** A planned Codex task: its workflow, and the task as JSON with the stage, as other readers of the ledger expect it. */
export interface CodexPlan {
  readonly workflow: WorkflowPlan;
  readonly payload: JsonObject;
  readonly base: string;
}

/**
 * The workflow of a Codex task. Text from people is base64-encoded, except the prompt, which is made valid for Argo. A branch
 * name that Argo cannot accept is refused, since changing it would change its meaning.
 *
 * @param actor the sender, if the door knows it
 * @throws Refusal `template_tag` or `unprintable`
 */
export function planCodexTask(task: CodexTask, codex: CodexConfig, argo: ArgoConfig, actor?: string): CodexPlan {
  const raw = taskJson(task);
  const payload = { ...raw, stage: IMPLEMENTATION };
  const base = trimmed(task.base) || 'main';
  refuseForArgo('head', task.head);
  refuseForArgo('base', base);
  const repository = argoText(trimmed(task.repository));
  const issue = task.issueNumber > 0n ? String(task.issueNumber) : '';
  const workflow: WorkflowPlan = {
    ...target(task.autonomous === true, codex, argo),
    parameters: {
      ...argo.parameters,
      ...codex.parameters,
      rawEvent: base64(raw),
      eventBody: base64(payload),
      ...named('repository', repository),
      ...named('issue_number', issue),
      head: task.head,
      base,
      prompt: argoText(task.prompt),
      implementation_iterations: String(iterationCount(task.iterations)),
      iteration_cycle: String(Math.max(1, task.iterationCycle ?? 1)),
      ...named('judge_prompt', codex.judgePrompt),
    },
    labels: {
      [LABELS.command]: IMPLEMENTATION,
      ...named(ISSUE_LABEL, issue),
    },
    annotations: {
      ...named('codex.repository', repository),
      ...named('codex.issue_number', issue),
      ...named('codex.head', trimmed(task.head)),
      'codex.base': base,
    },
    ...(codex.reports ? {} : { report: false }),
    ...(codex.reflections ? knowledgeOf(trimmed(task.repository), { actor, named: senderOf(task) }) : {}),
  };
  return { workflow, payload, base };
}

function senderOf({ sender }: CodexTask): string {
  return sender.trim() === '' ? '' : `github:${sender.trim()}`;
}

/** Omits empty values. */
function named(name: string, value: string): Readonly<Record<string, string>> {
  return value === '' ? {} : { [name]: value };
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

/** The task as written by Go's protojson with unpopulated fields: a missing timestamp is null. */
function taskJson(task: CodexTask): JsonObject {
  const json = toJson(CodexTaskSchema, task, { alwaysEmitImplicit: true }) as JsonObject;
  return task.issuedAt === undefined ? { ...json, issuedAt: null } : json;
}

/** The maximum number of implementation rounds: the policy's count (`fixed`) or its upper bound (`until`), 1 to 25. */
export function iterationCount(policy: CodexIterationsPolicy | undefined): number {
  if (policy === undefined) {
    return 1;
  }
  const clamp = (count: number) => Math.min(MAX_ITERATIONS, Math.max(1, count));
  switch (trimmed(policy.mode).toLowerCase()) {
    case '':
    case 'fixed':
      return clamp(policy.count ?? 1);
    case 'until':
      return clamp((policy.max ?? 0) > 0 ? (policy.max ?? 1) : (policy.count ?? 1));
    default:
      return 1;
  }
}

function base64(json: JsonObject): string {
  return Buffer.from(JSON.stringify(json), 'utf8').toString('base64');
}
