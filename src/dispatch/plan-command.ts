import type { ArgoConfig } from '../config/config.ts';
import type { Command, CommandDefinition, Door, OptionDefinition } from '../domain/command.ts';
import { Refusal, refusalOfField } from '../domain/refusal.ts';
import { argoFault, refuseForArgo } from '../domain/argo-text.ts';
import { dnsLabel, labelValue } from '../domain/workflow-name.ts';
import { ANNOTATIONS, LABELS, type WorkflowPlan } from '../domain/workflow-plan.ts';
import { optionsOf } from './modal-options.ts';
import { knowledgeOf } from './plan-knowledge.ts';
import { closedValues, isOutdated, meantValue, optionFaults } from './validate-options.ts';

/**
 * The workflow of a command: static parameters, overridden by the options, overridden by `action`.
 *
 * Options are checked against the definition where it binds: always at Discord's door, on `/v1` and from a terminal, elsewhere
 * only if the operator's configuration or a template defines the command. No value may contain what Argo would evaluate or cannot
 * read.
 *
 * @param definition the command's definition, if there is one
 * @throws Refusal `unknown_command`, `invalid_option`, `command_changed`, `template_tag` or `unprintable`
 */
export function planCommand(
  command: Command,
  definition: CommandDefinition | undefined,
  argo: ArgoConfig,
): WorkflowPlan {
  refuseUnsafeText(command);
  refuseUndefined(command, definition);
  const { name } = command;
  const defined = new Map((definition === undefined ? [] : optionsOf(definition)).map((one) => [one.name, one]));
  const given = Object.entries(command.options).filter(([, value]) => value !== '');
  const meant = given.map(([option, value]) => {
    const one = defined.get(option);
    return [one?.parameter ?? option, meantValue(one, value)] as const;
  });
  const parameters = {
    ...argo.parameters,
    ...definition?.parameters,
    ...Object.fromEntries(meant),
    ...safeOnly(command.added ?? {}),
    action: name,
  };
  return {
    ...targetOf(definition, argo),
    namePrefix: dnsLabel(name),
    parameters,
    ...(definition?.template === undefined ? {} : enumsOf(given.flatMap(([option]) => defined.get(option) ?? []))),
    labels: { [LABELS.command]: labelValue(name) },
    annotations: annotationsOf(definition),
    ...(definition?.report === false ? { report: false } : {}),
    ...(definition?.reflections === true ? knowledgeFor(command, parameters) : {}),
  };
}

/** Lets Argo check again what facteur has checked: Argo ignores the template's enums for values that are sent. */
function enumsOf(given: readonly OptionDefinition[]): Pick<WorkflowPlan, 'enums'> {
  const enums = given.flatMap((option) => {
    const values = closedValues(option);
    return values === undefined ? [] : [[option.parameter ?? option.name, values] as const];
  });
  return enums.length === 0 ? {} : { enums: Object.fromEntries(enums) };
}

/** The repository of a command is its option or static parameter `repository`, or else `project`. */
function knowledgeFor(
  { actor, principal: { userId } }: Command,
  parameters: Readonly<Record<string, string>>,
): Pick<WorkflowPlan, 'knowledge'> {
  const repository = (parameters['repository'] ?? parameters['project'] ?? '').trim();
  return knowledgeOf(repository, { actor, named: userId === '' ? '' : `discord:${userId}` });
}

/** Where a command runs: values not set by its definition are the same for every command. */
export function targetOf(
  definition: CommandDefinition | undefined,
  argo: Pick<ArgoConfig, 'namespace' | 'workflowTemplate' | 'serviceAccount'>,
): Pick<WorkflowPlan, 'namespace' | 'workflowTemplate' | 'serviceAccount'> {
  return {
    namespace: definition?.namespace ?? argo.namespace,
    workflowTemplate: definition?.workflowTemplate ?? argo.workflowTemplate,
    serviceAccount: definition?.serviceAccount ?? argo.serviceAccount,
  };
}

/**
 * The version of the template that made the command: the template may change before the workflow runs, and afterwards. The names
 * of its results are included, because Argo does not copy the annotations of a template.
 */
function annotationsOf(definition: CommandDefinition | undefined): Readonly<Record<string, string>> {
  const { template, results = [] } = definition ?? {};
  return template === undefined
    ? {}
    : {
        [ANNOTATIONS.templateUid]: template.uid,
        [ANNOTATIONS.templateVersion]: template.resourceVersion,
        ...(results.length === 0 ? {} : { [ANNOTATIONS.result]: results.join(',') }),
      };
}

function refuseUndefined({ name, door, options }: Command, definition: CommandDefinition | undefined): void {
  if (definition === undefined) {
    if (binds(door)) {
      const message = `${name} is not defined`;
      throw new Refusal('unknown_command', message, { faults: [{ field: 'command', message }] });
    }
    return;
  }
  if (definition.configured || definition.template !== undefined || binds(door)) {
    const faults = optionFaults(optionsOf(definition), options);
    if (faults.length > 0) {
      const details = faults.map(({ field, message }) => (field === '' ? message : `${field}: ${message}`)).join('; ');
      const placed = faults.map(({ field, message }) => ({ field: placeOf(field), message }));
      const changed = door === 'discord' && definition.template !== undefined && isOutdated(definition, faults);
      throw new Refusal(changed ? 'command_changed' : 'invalid_option', details, { faults: placed });
    }
  }
}

/** Whether a door runs only defined commands, including the built-in ones. */
function binds(door: Door): boolean {
  return door === 'discord' || door === 'api' || door === 'cli';
}

function placeOf(option: string): string {
  return option === '' ? 'options' : `options.${option}`;
}

/** Facts from elsewhere must not block the command: values that Argo cannot accept are omitted. */
function safeOnly(added: Readonly<Record<string, string>>): Record<string, string> {
  return Object.fromEntries(
    Object.entries(added).filter(([, value]) => value !== '' && argoFault(value) === undefined),
  );
}

/** Argo's names of parameters, and the dots of nested options. */
const PARAMETER_NAME = /^[-\w.]+$/;

function refuseUnsafeText({ name, options }: Command): void {
  refuseForArgo('command', name);
  for (const [option, value] of Object.entries(options)) {
    if (!PARAMETER_NAME.test(option)) {
      throw refusalOfField('invalid_option', 'options', 'names may contain only letters, digits, "-", "_" and "."');
    }
    refuseForArgo(`options.${option}`, value);
  }
}
