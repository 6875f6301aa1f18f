import { builtinCommands } from '../domain/builtin-commands.ts';
import type { CommandDefinition, ModalDefinition, OptionDefinition } from '../domain/command.ts';
import type { CommandEntry, ModalEntry, OptionEntry } from './command-shape.ts';
import { dictionary, present } from './dictionary.ts';

/** The built-in commands, overridden by the configured ones. @param knowledge whether runs receive reflections at all */
export function resolveCommands(
  entries: Readonly<Record<string, CommandEntry>>,
  knowledge: boolean,
): Readonly<Record<string, CommandDefinition>> {
  const configured = Object.entries(entries).map(
    ([name, entry]) => [name, toDefinition(name, entry, knowledge)] as const,
  );
  return dictionary([...Object.entries(builtinCommands()), ...configured]);
}

function toDefinition(name: string, entry: CommandEntry, knowledge: boolean): CommandDefinition {
  const isStatus = answersStatus(name, entry);
  return {
    description: entry.description,
    options: entry.options.map(toOption),
    ...present({
      modal: entry.modal === undefined ? undefined : toModal(entry.modal),
      namespace: entry.namespace,
      workflowTemplate: entry.workflow_template,
      serviceAccount: entry.service_account,
      report: entry.report ? undefined : false,
      titleOption: entry.title_option,
      notify: entry.notify === 'none' ? undefined : entry.notify,
      quiet: entry.quiet || undefined,
      confirm: entry.confirm || undefined,
      reflections: entry.reflections && knowledge ? true : undefined,
    }),
    parameters: dictionary(Object.entries(entry.parameters)),
    // `status` shows the user's own requests, even with another description.
    ephemeral: entry.ephemeral ?? isStatus,
    action: isStatus ? 'status' : 'dispatch',
    configured: true,
  };
}

/** A configured `status` with nothing to run only changes the description of the built-in one. */
function answersStatus(name: string, entry: CommandEntry): boolean {
  const { options, modal, namespace, workflow_template: template, service_account: account, parameters } = entry;
  const targets = [modal, namespace, template, account];
  const runs = options.length > 0 || targets.some((part) => part !== undefined) || Object.keys(parameters).length > 0;
  return name === 'status' && !runs;
}

function toOption(entry: OptionEntry): OptionDefinition {
  const { name, description, type, required, format, min, max, autocomplete } = entry;
  return {
    name,
    description,
    type,
    required,
    ...present({
      format,
      choices: entry.choices?.map((choice) => (typeof choice === 'string' ? { name: choice, value: choice } : choice)),
      min,
      max,
      minLength: entry.min_length,
      maxLength: entry.max_length,
      autocomplete,
    }),
  };
}

function toModal(entry: ModalEntry): ModalDefinition {
  return {
    title: entry.title,
    fields: entry.fields.map(
      ({ name, label, style, required, min_length: minLength, max_length: maxLength, placeholder }) => ({
        name,
        label,
        style,
        required,
        ...present({ minLength, maxLength, placeholder }),
      }),
    ),
  };
}
