import type { Config } from '../config/config.ts';
import { findCommand, type Command, type CommandDefinition, type Principal } from '../domain/command.ts';
import { Refusal } from '../domain/refusal.ts';
import { workflowManifest, type WorkflowManifest } from '../domain/workflow-manifest.ts';
import { workflowName } from '../domain/workflow-name.ts';
import { authorise } from './authorise.ts';
import { modalOptions } from './modal-options.ts';
import { planCommand } from './plan-command.ts';

/** What would come of a slash command, and why. */
export interface Explanation {
  readonly command: string;
  readonly definition: 'built in' | 'configured' | 'none';
  readonly allowed: boolean;
  /** Roles that may run it; empty when anybody may. */
  readonly allowedRoles: readonly string[];
  /** Those of them that the person has. */
  readonly heldRoles: readonly string[];
  /** Answers with how things are, and runs nothing. */
  readonly isStatus: boolean;
  /** Asks for its input in a form. */
  readonly hasForm: boolean;
  /** Why it would be refused, whoever asks; absent when it would not. */
  readonly refusal?: { readonly reason: string; readonly details: string };
  /** What would be created, with ids and times as examples; absent when nothing would be. */
  readonly manifest?: WorkflowManifest;
}

export interface Question {
  readonly name: string;
  readonly options: Readonly<Record<string, string>>;
  readonly principal: Principal;
  readonly now: Date;
}

/** Stand where facteur, Discord and the ledger would put their own. */
const EXAMPLE = { interactionId: '1000000000000000000', runId: '00000000-0000-0000-0000-000000000000' };

/** Decides as Discord's door would, and does nothing. */
export function explain(question: Question, config: Pick<Config, 'roleMap' | 'commands' | 'argo'>): Explanation {
  const { name, principal } = question;
  const definition = findCommand(config.commands, name);
  const { allowed, allowedRoles } = authorise(config.roleMap, name, principal);
  const common = {
    command: name.toLowerCase(),
    allowed,
    allowedRoles,
    heldRoles: allowedRoles.filter((role) => principal.roles.includes(role)),
    isStatus: definition?.action === 'status',
    hasForm: definition?.modal !== undefined,
    definition: originOf(definition),
  };
  return common.isStatus ? common : { ...common, ...effectOf(question, definition, config.argo) };
}

function originOf(definition: CommandDefinition | undefined): Explanation['definition'] {
  if (definition === undefined) {
    return 'none';
  }
  return definition.configured ? 'configured' : 'built in';
}

function effectOf(
  { name, options, principal, now }: Question,
  definition: CommandDefinition | undefined,
  argo: Config['argo'],
): Pick<Explanation, 'refusal' | 'manifest'> {
  const { interactionId, runId } = EXAMPLE;
  const filledIn = { fields: options, interactionId, principal, issuedAt: now };
  const command: Command = {
    door: 'discord',
    deliveryId: interactionId,
    interactionId,
    name,
    options: definition?.modal === undefined ? options : modalOptions(filledIn),
    principal,
    correlationId: '',
    traceparent: '',
    traceId: '',
  };
  try {
    const plan = planCommand(command, definition, argo);
    const identity = {
      runId,
      deliveryId: interactionId,
      workflowName: workflowName(plan.namePrefix, now, interactionId),
    };
    return { manifest: workflowManifest(plan, { ...identity, traceparent: '' }) };
  } catch (error) {
    if (error instanceof Refusal) {
      return { refusal: { reason: error.message, details: error.details ?? '' } };
    }
    throw error;
  }
}
