import type { CodexDelivery } from '../domain/codex-delivery.ts';
import type { Command } from '../domain/command.ts';
import type { NewRun } from '../domain/run.ts';
import type { WorkflowPlan } from '../domain/workflow-plan.ts';
import { IMPLEMENTATION, type CodexPlan } from './plan-codex.ts';

/** What both kinds of run take from the moment of acceptance. */
export interface Moment {
  readonly acceptedAt: Date;
  readonly state: NewRun['state'];
}

/** What a command takes besides. */
export interface CommandMoment extends Moment {
  /** The correlation id of a command that brings none. */
  readonly freshId: string;
  /** Whether only the user may see the follow-up. */
  readonly ephemeral: boolean;
}

/**
 * A command as the ledger keeps it. The idea is the interaction, so that each has its own task. One from the chat gets
 * its message there together with the run, so that a crash in between cannot leave the user without news.
 */
export function commandRun(command: Command, plan: WorkflowPlan, moment: CommandMoment): NewRun {
  const { deliveryId, interactionId, principal, options } = command;
  const name = plan.parameters['action'] ?? command.name;
  return {
    deliveryId,
    kind: 'command',
    command: name,
    door: command.door,
    correlationId: command.correlationId === '' ? moment.freshId : command.correlationId,
    traceparent: command.traceparent,
    userId: principal.userId,
    guildId: principal.guildId,
    channelId: principal.channelId,
    acceptedAt: moment.acceptedAt,
    state: moment.state,
    plan,
    idea: {
      sourceType: 'discord.command',
      sourceRef: interactionId === '' ? deliveryId : interactionId,
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
    task: { stage: name, metadata: { deliveryId, command: name, userId: principal.userId } },
    runMetadata: { deliveryId, workflowTemplate: plan.workflowTemplate },
    ...(command.door === 'discord' ? { message: { interactionId, ephemeral: moment.ephemeral } } : {}),
  };
}

/** A Codex task as the ledger keeps it: one idea an issue, one task a stage, one run a delivery. */
export function codexRun(delivery: CodexDelivery, plan: CodexPlan, moment: Moment): NewRun {
  const { task, deliveryId } = delivery;
  const issueNumber = Number(task.issueNumber);
  return {
    deliveryId,
    kind: 'codex',
    command: IMPLEMENTATION,
    door: delivery.door,
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
