import { isRecord } from '../../src/base/json.ts';
import type { JsonObject } from '../cluster/objects.ts';
import { checkUrl } from './component-rules.ts';
import { isIntegerWithin, listField, type FormErrors } from './form-errors.ts';

const MAX_EMBEDS = 10;
const MAX_TOTAL = 6000;
const MAX_FIELDS = 25;
const MAX_COLOUR = 0xff_ff_ff;

type Path = readonly (string | number)[];

/** The limits for each embed, and for all texts of a message's embeds together. */
export function checkEmbeds(errors: FormErrors, message: JsonObject): void {
  const embeds = listField(errors, message, ['embeds']);
  errors.length(['embeds'], embeds, MAX_EMBEDS);
  let total = 0;
  for (const [index, embed] of embeds.entries()) {
    if (isRecord(embed)) {
      total += checkEmbed(errors, ['embeds', index], embed);
    } else {
      errors.add(['embeds', index], 'MODEL_TYPE_CONVERT', 'Only dictionaries may be used in a ModelType');
    }
  }
  if (total > MAX_TOTAL) {
    errors.add(['embeds'], 'MAX_EMBED_SIZE_EXCEEDED', `Embed size exceeds maximum size of ${MAX_TOTAL}`);
  }
}

/** Checks one embed and returns the length of its texts in characters. */
function checkEmbed(errors: FormErrors, path: Path, embed: JsonObject): number {
  const texts = [
    errors.text(embed, [...path, 'title'], { max: 256 }),
    errors.text(embed, [...path, 'description'], { max: 4096 }),
    partText(errors, embed, [...path, 'footer', 'text'], 2048),
    partText(errors, embed, [...path, 'author', 'name'], 256),
    ...checkFields(errors, embed, [...path, 'fields']),
  ];
  const url = errors.text(embed, [...path, 'url'], { max: 2048 });
  if (url !== undefined) {
    checkUrl(errors, [...path, 'url'], url, ['http', 'https']);
  }
  const colour = embed['color'];
  if (colour !== undefined && colour !== null && !isIntegerWithin(colour, 0, MAX_COLOUR)) {
    errors.add([...path, 'color'], 'NUMBER_TYPE_MAX', `int value should be less than or equal to ${MAX_COLOUR}.`);
  }
  return texts.reduce((sum, text) => sum + [...(text ?? '')].length, 0);
}

function partText(errors: FormErrors, embed: JsonObject, path: Path, max: number): string | undefined {
  const part = embed[path.at(-2) ?? ''];
  return isRecord(part) ? errors.text(part, path, { max, required: true }) : undefined;
}

function checkFields(errors: FormErrors, embed: JsonObject, path: Path): (string | undefined)[] {
  const fields = listField(errors, embed, path);
  errors.length(path, fields, MAX_FIELDS);
  return fields.flatMap((field, index) => {
    const object = isRecord(field) ? field : {};
    return [
      errors.text(object, [...path, index, 'name'], { max: 256, min: 1, required: true }),
      errors.text(object, [...path, index, 'value'], { max: 1024, min: 1, required: true }),
    ];
  });
}
