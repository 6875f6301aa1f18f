import { isRecord } from '../../src/base/json.ts';
import type { JsonObject } from '../cluster/objects.ts';
import { checkChoice } from './command-rules.ts';
import { FormErrors, listField } from './form-errors.ts';
import { INTERACTION, type Interaction } from './interactions.ts';
import { EPHEMERAL } from './message-rules.ts';
import type { World } from './world.ts';

/** Discord's kinds of first answers. */
const ANSWER = {
  pong: 1,
  message: 4,
  deferredMessage: 5,
  deferredUpdate: 6,
  update: 7,
  suggestions: 8,
  modal: 9,
} as const;

const ALLOWED: Readonly<Record<number, readonly number[]>> = {
  [INTERACTION.ping]: [ANSWER.pong],
  [INTERACTION.command]: [ANSWER.message, ANSWER.deferredMessage, ANSWER.modal],
  [INTERACTION.component]: [ANSWER.message, ANSWER.deferredMessage, ANSWER.deferredUpdate, ANSWER.update, ANSWER.modal],
  [INTERACTION.autocomplete]: [ANSWER.suggestions],
  [INTERACTION.modal]: [ANSWER.message, ANSWER.deferredMessage, ANSWER.deferredUpdate, ANSWER.update],
};

/**
 * Applies the first answer to an interaction, from the HTTP response or the callback route.
 *
 * @throws DiscordFailure 50035 and the like for an answer that Discord rejects
 */
export function respond(world: World, interaction: Interaction, body: JsonObject): Interaction {
  const type = body['type'];
  const data = isRecord(body['data']) ? body['data'] : {};
  checkType(interaction, type);
  if (type === ANSWER.suggestions) {
    checkSuggestions(data);
  } else if (type === ANSWER.modal) {
    checkModal(data);
  }
  const originalId = answerMessage(world, interaction, type as number, data);
  const answered = world.interactions.acknowledge(interaction, originalId);
  world.history.record('interaction.acknowledged', {
    interactionId: interaction.id,
    channelId: interaction.channelId,
    messageId: originalId,
    by: 'interaction',
    text: `type ${String(type)}`,
  });
  return answered;
}

function checkType(interaction: Interaction, type: unknown): void {
  const allowed = ALLOWED[interaction.type] ?? [];
  if (typeof type !== 'number' || !allowed.includes(type)) {
    const errors = new FormErrors();
    errors.add(['type'], 'BASE_TYPE_CHOICES', `Value must be one of (${allowed.join(', ')}).`);
    errors.throwIfAny();
  }
}

/** The id of the message that now answers the interaction. */
function answerMessage({ messages }: World, interaction: Interaction, type: number, data: JsonObject): string {
  const { channelId, id: interactionId, originalId } = interaction;
  const flags = typeof data['flags'] === 'number' ? data['flags'] : 0;
  const wanted = { channelId, interactionId, ephemeral: (flags & EPHEMERAL) !== 0, by: 'interaction' };
  switch (type) {
    case ANSWER.message:
      return messages.create({ ...wanted, body: data }).id;
    case ANSWER.deferredMessage:
      return messages.create(wanted).id;
    case ANSWER.update:
      return messages.edit(messages.get(channelId, originalId), data, 'interaction').id;
    default:
      return originalId;
  }
}

function checkSuggestions(data: JsonObject): void {
  const errors = new FormErrors();
  const path = ['data', 'choices'];
  const choices = listField(errors, data, path);
  errors.length(path, choices, 25);
  for (const [index, choice] of choices.entries()) {
    const object = isRecord(choice) ? choice : {};
    checkChoice(errors, [...path, index], object, typeof object['value'] === 'number' ? 4 : 3);
  }
  errors.throwIfAny();
}

const LABEL = 18;
const TEXT_INPUT = 4;
const STRING_SELECT = 3;
const MAX_INPUT = 4000;

function checkModal(data: JsonObject): void {
  const errors = new FormErrors();
  errors.text(data, ['data', 'custom_id'], { max: 100, min: 1, required: true });
  errors.text(data, ['data', 'title'], { max: 45, min: 1, required: true });
  const path = ['data', 'components'];
  const rows = listField(errors, data, path);
  errors.length(path, rows, 5, 1);
  for (const [index, row] of rows.entries()) {
    checkModalRow(errors, [...path, index], isRecord(row) ? row : {});
  }
  errors.throwIfAny();
}

/** A label with one component, or (older) a row with one text input. */
function checkModalRow(errors: FormErrors, path: readonly (string | number)[], row: JsonObject): void {
  const labelled = row['type'] === LABEL;
  if (labelled) {
    errors.text(row, [...path, 'label'], { max: 45, min: 1, required: true });
    errors.text(row, [...path, 'description'], { max: 100 });
  }
  const first: unknown = labelled ? row['component'] : listField(errors, row, [...path, 'components'])[0];
  const inputPath = [...path, ...(labelled ? ['component'] : ['components', 0])];
  if (labelled && isRecord(first) && first['type'] === STRING_SELECT) {
    checkSelect(errors, inputPath, first);
    return;
  }
  if (!isRecord(first) || first['type'] !== TEXT_INPUT) {
    errors.add([...inputPath, 'type'], 'UNION_TYPE_CHOICES', 'Value of field "type" must be one of (3, 4).');
    return;
  }
  errors.text(first, [...inputPath, 'custom_id'], { max: 100, min: 1, required: true });
  errors.text(first, [...inputPath, 'placeholder'], { max: 100 });
  errors.text(first, [...inputPath, 'value'], { max: MAX_INPUT });
  if (!labelled) {
    errors.text(first, [...inputPath, 'label'], { max: 45, min: 1, required: true });
  }
}

function checkSelect(errors: FormErrors, path: readonly (string | number)[], select: JsonObject): void {
  errors.text(select, [...path, 'custom_id'], { max: 100, min: 1, required: true });
  const options = listField(errors, select, [...path, 'options']);
  errors.length([...path, 'options'], options, 25, 1);
  const seen = new Set<unknown>();
  for (const [index, option] of options.entries()) {
    const object = isRecord(option) ? option : {};
    const optionPath = [...path, 'options', index];
    errors.text(object, [...optionPath, 'label'], { max: 100, min: 1, required: true });
    const value = errors.text(object, [...optionPath, 'value'], { max: 100, min: 1, required: true });
    if (seen.has(value)) {
      errors.add(
        [...optionPath, 'value'],
        'SELECT_COMPONENT_OPTION_VALUE_DUPLICATED',
        'The specified option value is already used',
      );
    }
    seen.add(value);
  }
}
