import type { Config } from '../config/config.ts';
import type { Command, CommandDefinition, Principal, TemplateSource } from '../domain/command.ts';
import { findCommand, ruledName, type CommandRules } from '../domain/command-rules.ts';
import { Refusal } from '../domain/refusal.ts';
import { workflowManifest, type WorkflowManifest } from '../domain/workflow-manifest.ts';
import { workflowName } from '../domain/workflow-name.ts';
import { authorise } from './authorise.ts';
import { placeOf } from './command-catalogue.ts';
import { modalOptions } from './modal-options.ts';
import { planCommand } from './plan-command.ts';

/** The result that a slash command would have, and why. */
export interface Explanation {
  readonly command: string;
  readonly definition: 'built in' | 'configured' | 'template' | 'none';
  /** The template that defines it, as `argo-workflows/deploy@12345`. */
  readonly template?: string;
  readonly allowed: boolean;
  /** Roles that may run it; empty when anybody may. */
  readonly allowedRoles: readonly string[];
  /** The allowed roles that the user has. */
  readonly heldRoles: readonly string[];
  /** Shows the status and runs no workflow. */
  readonly isStatus: boolean;
  /** Opens a form. */
  readonly hasForm: boolean;
  /** Why anyone would be refused; absent if nobody would. */
  readonly refusal?: { readonly reason: string; readonly details: string };
  /** The workflow that would be created, with example ids and times; absent if there is none. */
  readonly manifest?: WorkflowManifest;
}

interface Question {
  readonly name: string;
  readonly options: Readonly<Record<string, string>>;
  readonly principal: Principal;
  readonly now: Date;
}

/** Placeholders for values of facteur, Discord and the ledger. */
const EXAMPLE = { interactionId: '1000000000000000000', runId: '00000000-0000-0000-0000-000000000000' };
const EXAMPLE_TRACEPARENT = '00-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-01';

/** Decides like the Discord door, without side effects. */
export function explain(question: Question, config: CommandRules & Pick<Config, 'argo'>): Explanation {
  const { principal } = question;
  const name = ruledName(question.name, config);
  const definition = findCommand(config, name);
  const { allowed, allowedRoles } = authorise(config, name, principal);
  const common = {
    command: name,
    allowed,
    allowedRoles,
    heldRoles: allowedRoles.filter((role) => principal.roles.includes(role)),
    isStatus: definition?.action === 'status',
    hasForm: definition?.modal !== undefined,
    definition: originOf(definition),
    ...(definition?.template === undefined ? {} : { template: versionOf(definition.template) }),
  };
  return common.isStatus ? common : { ...common, ...effectOf({ ...question, name }, definition, config.argo) };
}

/** `argo-workflows/deploy@12345`: a template in the version that was read. */
export function versionOf(source: TemplateSource): string {
  return `${placeOf(source)}@${source.resourceVersion}`;
}

/** Where a command's definition comes from. */
export function originOf(definition: CommandDefinition | undefined): Explanation['definition'] {
  if (definition === undefined) {
    return 'none';
  }
  if (definition.template !== undefined) {
    return 'template';
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
    return { manifest: workflowManifest(plan, { ...identity, traceparent: EXAMPLE_TRACEPARENT }) };
  } catch (error) {
    if (error instanceof Refusal) {
      return { refusal: { reason: error.message, details: error.details ?? '' } };
    }
    throw error;
  }
}
