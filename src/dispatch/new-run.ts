import type { CodexDelivery } from '../domain/codex-delivery.ts';
import type { Command } from '../domain/command.ts';
import type { DeliveryFamily } from '../domain/delivery.ts';
import type { NewRun, RunMessage } from '../domain/run.ts';
import type { WorkflowPlan } from '../domain/workflow-plan.ts';
import { IMPLEMENTATION, type CodexPlan } from './plan-codex.ts';
import { codexTitle } from './request-title.ts';

/** What both kinds of run record about the moment of acceptance. */
export interface Moment {
  readonly acceptedAt: Date;
  readonly state: NewRun['state'];
}

/** Additional data of a command. */
interface CommandMoment extends Moment {
  /** The request in one line. */
  readonly title: string;
  /** How the chat is updated about the run; absent if it is not. */
  readonly followUp?: Omit<RunMessage, 'interactionId'>;
}

/**
 * A command as recorded in the ledger. The idea is the interaction, so each has its own task. A command from the chat is recorded
 * together with its message, so a crash in between cannot leave the user without an answer.
 */
export function commandRun(command: Command, plan: WorkflowPlan, moment: CommandMoment): NewRun {
  const { deliveryId, interactionId, principal, options } = command;
  const name = plan.parameters['action'] ?? command.name;
  return {
    deliveryId,
    family: familyOf(command),
    kind: 'command',
    command: name,
    door: command.door,
    ...(command.actor === undefined ? {} : { actor: command.actor }),
    title: moment.title,
    correlationId: command.correlationId,
    traceparent: command.traceparent,
    userId: principal.userId,
    guildId: principal.guildId,
    channelId: principal.channelId,
    acceptedAt: moment.acceptedAt,
    state: moment.state,
    plan,
    idea: {
      sourceType: 'discord.command',
      sourceRef: deliveryId,
      status: 'received',
      payload: {
        command: name,
        options,
        correlationId: command.correlationId,
        guildId: principal.guildId,
        channelId: principal.channelId,
        user: { id: principal.userId, username: principal.username, globalName: principal.globalName },
      },
    },
    task: { stage: name, metadata: { deliveryId, command: name, userId: principal.userId, ...repositoryOf(plan) } },
    runMetadata: { deliveryId, workflowTemplate: plan.workflowTemplate },
    ...(moment.followUp === undefined ? {} : { message: { interactionId, ...moment.followUp } }),
  };
}

/** Under the same key as in Codex tasks, where reflections of the run find it. */
function repositoryOf({ knowledge }: WorkflowPlan): { readonly repository?: string } {
  return knowledge === undefined ? {} : { repository: knowledge.repository };
}

function familyOf({ family, door }: Command): DeliveryFamily {
  return family ?? (door === 'discord' || door === 'api' ? door : 'command');
}

/** A Codex task as recorded in the ledger: one idea per issue, one task per stage, one run per delivery. */
export function codexRun(delivery: CodexDelivery, plan: CodexPlan, moment: Moment): NewRun {
  const { task, deliveryId } = delivery;
  const issueNumber = Number(task.issueNumber);
  return {
    deliveryId,
    family: 'codex',
    kind: 'codex',
    command: IMPLEMENTATION,
    door: delivery.door,
    ...(delivery.actor === undefined ? {} : { actor: delivery.actor }),
    title: codexTitle(task),
    correlationId: deliveryId,
    traceparent: delivery.traceparent,
    userId: '',
    guildId: '',
    channelId: '',
    acceptedAt: moment.acceptedAt,
    state: moment.state,
    plan: plan.workflow,
    idea: {
      sourceType: 'github_issue',
      sourceRef: `${task.repository}#${task.issueNumber}`,
      status: 'received',
      payload: plan.payload,
    },
    task: {
      stage: IMPLEMENTATION,
      metadata: {
        deliveryId,
        stage: IMPLEMENTATION,
        repository: task.repository,
        issueNumber,
        head: task.head,
        base: plan.base,
        autonomous: task.autonomous ?? false,
      },
    },
    runMetadata: { deliveryId, workflowTemplate: plan.workflow.workflowTemplate },
  };
}
