import { subcommandOf } from '../domain/subcommand.ts';
import type { CommandEntry, ModalEntry, OptionEntry } from './command-shape.ts';
import type { RuleFault } from './rule-fault.ts';
import { subcommandFaults } from './subcommand-rules.ts';

/** What Discord allows for name, description and values of a command with all its options and choices. */
const MAX_COMMAND_CHARACTERS = 8000;

/** What is wrong between the parts of one command, each of which is right by itself. */
export function commandFaults(command: CommandEntry): readonly RuleFault[] {
  return [
    ...repeated(command.options, 'options'),
    ...command.options.flatMap((option, index) => below(['options', index], optionFaults(option))),
    ...subcommandFaults(command.options),
    ...Object.values(Object.groupBy(command.options.entries(), ([, { name }]) => subcommandOf(name))).flatMap(
      (options) => misordered(options ?? []),
    ),
    ...(command.modal === undefined ? [] : below(['modal'], modalFaults(command.modal))),
    ...wholeFaults(command),
  ];
}

function below(path: readonly (string | number)[], faults: readonly RuleFault[]): RuleFault[] {
  return faults.map((fault) => ({ ...fault, path: [...path, ...fault.path] }));
}

function optionFaults(option: OptionEntry): RuleFault[] {
  return [...misplacedKeys(option), ...rangeFaults(option), ...choiceFaults(option)];
}

function modalFaults(modal: ModalEntry): RuleFault[] {
  return [
    ...repeated(modal.fields, 'fields'),
    ...modal.fields.flatMap((field, index) => below(['fields', index], ranged(field))),
  ];
}

/** Of the options of one subcommand, or of a command without. */
function misordered(options: readonly (readonly [number, OptionEntry])[]): RuleFault[] {
  const firstOptional = options.findIndex(([, option]) => !option.required);
  return options.flatMap(([index, option], place) =>
    option.required && firstOptional !== -1 && place > firstOptional
      ? [{ path: ['options', index], message: 'is required, so it must stand before the optional ones' }]
      : [],
  );
}

function wholeFaults(command: CommandEntry): RuleFault[] {
  const faults: RuleFault[] = [];
  if (command.modal !== undefined && command.options.length > 0) {
    faults.push({ path: ['modal'], message: 'cannot be combined with options: a command has one or the other' });
  }
  if (characters(command) > MAX_COMMAND_CHARACTERS) {
    faults.push({ path: [], message: `must not use more than ${MAX_COMMAND_CHARACTERS} characters in all` });
  }
  return faults;
}

const KEYS_OF_TYPE = {
  string: ['format', 'choices', 'min_length', 'max_length', 'autocomplete'],
  integer: ['choices', 'min', 'max', 'autocomplete'],
  number: ['choices', 'min', 'max', 'autocomplete'],
  boolean: [],
} as const satisfies Record<OptionEntry['type'], readonly (keyof OptionEntry)[]>;

const TYPED_KEYS = ['format', 'choices', 'min', 'max', 'min_length', 'max_length', 'autocomplete'] as const;

function misplacedKeys(option: OptionEntry): RuleFault[] {
  const allowed: readonly string[] = KEYS_OF_TYPE[option.type];
  return TYPED_KEYS.filter((key) => option[key] !== undefined && !allowed.includes(key)).map((key) => ({
    path: [key],
    message: `means nothing for an option of type ${option.type}`,
  }));
}

function rangeFaults(option: OptionEntry): RuleFault[] {
  const faults = ranged(option);
  if (option.min !== undefined && option.max !== undefined && option.min > option.max) {
    faults.push({ path: ['min'], message: 'must not be greater than max' });
  }
  for (const key of ['min', 'max'] as const) {
    const bound = option[key];
    if (option.type === 'integer' && bound !== undefined && !Number.isInteger(bound)) {
      faults.push({ path: [key], message: 'must be a whole number for an option of type integer' });
    }
  }
  return faults;
}

function ranged(bounds: Pick<OptionEntry, 'min_length' | 'max_length'>): RuleFault[] {
  const wrong = (bounds.min_length ?? 0) > (bounds.max_length ?? Number.POSITIVE_INFINITY);
  return wrong ? [{ path: ['min_length'], message: 'must not be greater than max_length' }] : [];
}

function choiceFaults(option: OptionEntry): RuleFault[] {
  const choices = (option.choices ?? []).map((choice) =>
    typeof choice === 'string' ? { name: choice, value: choice } : choice,
  );
  const faults = repeated(choices, 'choices');
  if (choices.length > 0 && option.autocomplete !== undefined) {
    faults.push({ path: ['autocomplete'], message: 'cannot be combined with choices' });
  }
  for (const [index, { value }] of choices.entries()) {
    if (!fits(option.type, value)) {
      faults.push({ path: ['choices', index], message: `must be a value of type ${option.type}` });
    }
  }
  return faults;
}

function fits(type: OptionEntry['type'], value: string): boolean {
  if (type === 'integer') {
    return /^-?\d+$/.test(value);
  }
  return type !== 'number' || /^-?\d+(\.\d+)?$/.test(value);
}

function repeated(entries: readonly { readonly name: string }[], key: string): RuleFault[] {
  const names = entries.map((entry) => entry.name);
  return names.flatMap((name, index) =>
    names.indexOf(name) < index ? [{ path: [key, index], message: 'has a name that is already taken' }] : [],
  );
}

function characters(command: CommandEntry): number {
  const texts = command.options.flatMap((option) => [
    option.name,
    option.description,
    ...(option.choices ?? []).flatMap((choice) =>
      typeof choice === 'string' ? [choice, choice] : [choice.name, choice.value],
    ),
  ]);
  return [command.description, ...texts].reduce((sum, text) => sum + text.length, 0);
}
