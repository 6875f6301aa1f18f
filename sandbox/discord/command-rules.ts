import { isRecord } from '../../src/base/json.ts';
import type { JsonObject } from '../cluster/objects.ts';
import { FormErrors, isIntegerWithin, listField } from './form-errors.ts';

const CHAT_INPUT = 1;
const SUB_COMMAND = 1;
const SUB_COMMAND_GROUP = 2;
/** String, integer and number: the types that support choices and suggestions. */
const WITH_CHOICES: ReadonlySet<unknown> = new Set([3, 4, 10]);
const OPTION_TYPES = 11;
const MAX_OPTIONS = 25;
const MAX_TOTAL = 8000;
const NAME = /^[-_'\p{L}\p{N}\p{sc=Deva}\p{sc=Thai}]{1,32}$/u;

type Path = readonly (string | number)[];

/** The rules of one application command. @throws DiscordFailure 50035 */
export function checkCommand(command: JsonObject): void {
  const errors = new FormErrors();
  const type = command['type'] ?? CHAT_INPUT;
  if (type === CHAT_INPUT) {
    checkName(errors, ['name'], command);
    errors.text(command, ['description'], { max: 100, min: 1, required: true });
  } else {
    errors.text(command, ['name'], { max: 32, min: 1, required: true });
  }
  checkOptions(errors, ['options'], command);
  if (textLength(command) > MAX_TOTAL) {
    errors.add([], 'APPLICATION_COMMAND_TOO_LARGE', `Command exceeds maximum size (${MAX_TOTAL})`);
  }
  errors.throwIfAny();
}

function checkName(errors: FormErrors, path: Path, object: JsonObject): void {
  const name = errors.text(object, path, { max: 32, min: 1, required: true });
  if (name !== undefined && (!NAME.test(name) || name !== name.toLowerCase())) {
    const message = 'Command name is invalid';
    errors.add(path, 'APPLICATION_COMMAND_INVALID_NAME', message);
  }
}

function checkOptions(errors: FormErrors, path: Path, parent: JsonObject): void {
  const options = listField(errors, parent, path);
  errors.length(path, options, MAX_OPTIONS);
  const names = new Set<unknown>();
  let optionalSeen = false;
  for (const [index, option] of options.entries()) {
    const object = isRecord(option) ? option : {};
    checkOption(errors, [...path, index], object);
    if (names.has(object['name'])) {
      errors.add([...path, index], 'APPLICATION_COMMAND_OPTIONS_NAME_NOT_UNIQUE', 'Option names must be unique');
    }
    names.add(object['name']);
    if (object['required'] === true && optionalSeen) {
      const message = 'Required options must be placed before non-required options';
      errors.add([...path, index], 'APPLICATION_COMMAND_OPTIONS_REQUIRED_INVALID', message);
    }
    optionalSeen ||= object['required'] !== true;
  }
}

function checkOption(errors: FormErrors, path: Path, option: JsonObject): void {
  const type = option['type'];
  if (!isIntegerWithin(type, 1, OPTION_TYPES)) {
    errors.add([...path, 'type'], 'BASE_TYPE_CHOICES', 'Value must be one of (1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 11).');
    return;
  }
  checkName(errors, [...path, 'name'], option);
  errors.text(option, [...path, 'description'], { max: 100, min: 1, required: true });
  if (type === SUB_COMMAND || type === SUB_COMMAND_GROUP) {
    checkOptions(errors, [...path, 'options'], option);
  }
  const choices = listField(errors, option, [...path, 'choices']);
  errors.length([...path, 'choices'], choices, MAX_OPTIONS);
  if (choices.length > 0 && !WITH_CHOICES.has(type)) {
    errors.add([...path, 'choices'], 'APPLICATION_COMMAND_OPTIONS_CHOICES_NOT_ALLOWED', 'Choices are not allowed here');
  }
  if (choices.length > 0 && option['autocomplete'] === true) {
    const message = 'Choices and autocomplete cannot both be given';
    errors.add([...path, 'autocomplete'], 'APPLICATION_COMMAND_AUTOCOMPLETE_NOT_ALLOWED', message);
  }
  for (const [index, choice] of choices.entries()) {
    checkChoice(errors, [...path, 'choices', index], isRecord(choice) ? choice : {}, type);
  }
}

/** Also for the suggestions in an autocomplete answer. */
export function checkChoice(errors: FormErrors, path: Path, choice: JsonObject, optionType: number): void {
  errors.text(choice, [...path, 'name'], { max: 100, min: 1, required: true });
  if (optionType === 3) {
    errors.text(choice, [...path, 'value'], { max: 100, required: true });
  } else if (typeof choice['value'] !== 'number') {
    errors.add([...path, 'value'], 'NUMBER_TYPE_COERCE', 'Value is not a number.');
  }
}

/** Total length of names, descriptions and values, including options and choices. */
function textLength(value: JsonObject): number {
  let length = 0;
  for (const key of ['name', 'description', 'value']) {
    const text = value[key];
    length += typeof text === 'string' ? [...text].length : 0;
  }
  for (const key of ['options', 'choices']) {
    const list = value[key];
    for (const item of Array.isArray(list) ? (list as unknown[]) : []) {
      length += isRecord(item) ? textLength(item) : 0;
    }
  }
  return length;
}
