import { commandCharacters, MAX_COMMAND_CHARACTERS } from '../domain/command-size.ts';
import { subcommandOf } from '../domain/subcommand.ts';
import type { CommandEntry, ModalEntry, OptionEntry } from './command-shape.ts';
import { type RuleFault, subcommandFaults } from './subcommand-rules.ts';

/** Conflicts between parts of one command that are valid by themselves. */
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
    ...titleFaults(command),
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

/** Faults in the order of one subcommand's options, or of a command without subcommands. */
function misordered(options: readonly (readonly [number, OptionEntry])[]): RuleFault[] {
  const firstOptional = options.findIndex(([, option]) => !option.required);
  return options.flatMap(([index, option], place) =>
    option.required && firstOptional !== -1 && place > firstOptional
      ? [{ path: ['options', index], message: 'is required, so it must come before the optional ones' }]
      : [],
  );
}

function wholeFaults({ modal, options }: CommandEntry): RuleFault[] {
  return modal !== undefined && options.length > 0
    ? [{ path: ['modal'], message: 'cannot be combined with options: a command has one or the other' }]
    : [];
}

function titleFaults({ title_option: title, options, modal }: CommandEntry): RuleFault[] {
  const names = [...options, ...(modal?.fields ?? [])].map(({ name }) => name);
  return title === undefined || names.includes(title)
    ? []
    : [{ path: ['title_option'], message: 'must be the name of an option or a field of the command' }];
}

/** Errors in the total size of a command, including its name. */
export function sizeFaults(name: string, { description, options }: CommandEntry): readonly RuleFault[] {
  const sized = options.map((option) => ({ ...option, choices: (option.choices ?? []).map(namedChoice) }));
  return commandCharacters(name, { description, options: sized }) > MAX_COMMAND_CHARACTERS
    ? [{ path: [], message: `must not exceed ${MAX_COMMAND_CHARACTERS} characters in total` }]
    : [];
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
    message: `does not apply to options of type ${option.type}`,
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
    if (Math.abs(bound ?? 0) > Number.MAX_SAFE_INTEGER) {
      faults.push({ path: [key], message: 'must not be beyond 2^53, as no number in Discord is' });
    }
  }
  return faults;
}

function ranged(bounds: Pick<OptionEntry, 'min_length' | 'max_length'>): RuleFault[] {
  const wrong = (bounds.min_length ?? 0) > (bounds.max_length ?? Number.POSITIVE_INFINITY);
  return wrong ? [{ path: ['min_length'], message: 'must not be greater than max_length' }] : [];
}

function choiceFaults(option: OptionEntry): RuleFault[] {
  const choices = (option.choices ?? []).map(namedChoice);
  const faults = repeated(choices, 'choices');
  if (choices.length > 0 && option.autocomplete !== undefined) {
    faults.push({ path: ['autocomplete'], message: 'cannot be combined with choices' });
  }
  return [
    ...faults,
    ...misfits(
      option.type,
      'choices',
      choices.map(({ value }) => value),
    ),
    ...misfits(option.type, 'autocomplete', option.autocomplete ?? []),
  ];
}

function misfits(type: OptionEntry['type'], key: 'choices' | 'autocomplete', values: readonly string[]): RuleFault[] {
  return values.flatMap((value, index) =>
    fits(type, value) ? [] : [{ path: [key, index], message: `must be a value of type ${type}` }],
  );
}

/** Discord sends these as JSON numbers, up to 2^53. */
const NUMBERS = { integer: /^-?\d+$/, number: /^-?\d+(\.\d+)?$/ } as const;

function fits(type: OptionEntry['type'], value: string): boolean {
  return (
    (type !== 'integer' && type !== 'number') ||
    (NUMBERS[type].test(value) && Math.abs(Number(value)) <= Number.MAX_SAFE_INTEGER)
  );
}

function repeated(entries: readonly { readonly name: string }[], key: string): RuleFault[] {
  const names = entries.map((entry) => entry.name);
  return names.flatMap((name, index) =>
    names.indexOf(name) < index ? [{ path: [key, index], message: 'has a duplicate name' }] : [],
  );
}

function namedChoice(choice: NonNullable<OptionEntry['choices']>[number]): {
  readonly name: string;
  readonly value: string;
} {
  return typeof choice === 'string' ? { name: choice, value: choice } : choice;
}
