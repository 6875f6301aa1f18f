import type { ArgoConfig } from '../config/config.ts';
import type { Command, CommandDefinition } from '../domain/command.ts';
import { Refusal } from '../domain/refusal.ts';
import { dnsLabel, labelValue } from '../domain/workflow-name.ts';
import { LABELS, type WorkflowPlan } from '../domain/workflow-plan.ts';
import { optionsOf } from './modal-options.ts';
import { optionFaults } from './validate-options.ts';

/**
 * The workflow of a command: static parameters, with the options laid over them, with `action` on top.
 *
 * Options are checked against the definition where it binds: always at Discord's door, elsewhere only when the
 * operator's configuration defines the command. No value may hold `{{` anywhere, because Argo would evaluate it.
 *
 * @param definition the command's definition, if there is one
 * @throws Refusal `unknown_command`, `invalid_option` or `template_tag`
 */
export function planCommand(
  command: Command,
  definition: CommandDefinition | undefined,
  argo: ArgoConfig,
): WorkflowPlan {
  refuseUnsafeText(command);
  refuseUndefined(command, definition);
  const name = definition === undefined ? command.name : command.name.toLowerCase();
  const given = Object.entries(command.options).filter(([, value]) => value !== '');
  return {
    ...target(definition, argo),
    namePrefix: dnsLabel(name),
    parameters: {
      ...argo.parameters,
      ...definition?.parameters,
      ...Object.fromEntries(given),
      ...safeOnly(command.added ?? {}),
      action: name,
    },
    labels: { [LABELS.command]: labelValue(name) },
    annotations: {},
  };
}

/** What the definition leaves open is the same for every command. */
function target(definition: CommandDefinition | undefined, argo: ArgoConfig) {
  return {
    namespace: definition?.namespace ?? argo.namespace,
    workflowTemplate: definition?.workflowTemplate ?? argo.workflowTemplate,
    serviceAccount: definition?.serviceAccount ?? argo.serviceAccount,
  };
}

function refuseUndefined({ name, door, options }: Command, definition: CommandDefinition | undefined): void {
  if (definition === undefined) {
    if (door === 'discord') {
      throw new Refusal('unknown_command', `there is no command ${name}`);
    }
    return;
  }
  if (definition.configured || door === 'discord') {
    const faults = optionFaults(optionsOf(definition), options);
    if (faults.length > 0) {
      throw new Refusal('invalid_option', faults.join('; '));
    }
  }
}

/** Facts from elsewhere must not keep the command from running: one that Argo would evaluate is left out. */
function safeOnly(added: Readonly<Record<string, string>>): Record<string, string> {
  return Object.fromEntries(Object.entries(added).filter(([, value]) => value !== '' && !value.includes('{{')));
}

/** What Argo takes as a parameter's name, and the dots of nested options. */
const PARAMETER_NAME = /^[-\w.]+$/;

function refuseUnsafeText({ name, options }: Command): void {
  if (name.includes('{{')) {
    throw new Refusal('template_tag', 'command: must not contain "{{"');
  }
  for (const [option, value] of Object.entries(options)) {
    if (!PARAMETER_NAME.test(option)) {
      throw new Refusal('invalid_option', 'options: names may hold letters, digits, "-", "_" and "." only');
    }
    if (value.includes('{{')) {
      throw new Refusal('template_tag', `options.${option}: must not contain "{{"`);
    }
  }
}
