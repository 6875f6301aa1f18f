import { isRecord } from '../../src/base/json.ts';
import type { JsonObject } from '../cluster/objects.ts';
import { isIntegerWithin, listField, type FormErrors } from './form-errors.ts';

const ACTION_ROW = 1;
const BUTTON = 2;
const SELECTS: ReadonlySet<unknown> = new Set([3, 5, 6, 7, 8]);
const LINK = 5;
const PREMIUM = 6;
const MAX_ROWS = 5;
const MAX_BUTTONS = 5;
const MAX_CUSTOM_ID = 100;
const MAX_LABEL = 80;
const MAX_URL = 512;

type Path = readonly (string | number)[];

/** The rules for a message's components: rows of buttons or of one menu, and no duplicate `custom_id`. */
export function checkComponents(errors: FormErrors, message: JsonObject): void {
  const rows = listField(errors, message, ['components']);
  errors.length(['components'], rows, MAX_ROWS);
  const seen = new Set<string>();
  for (const [index, row] of rows.entries()) {
    checkRow(errors, ['components', index], row, seen);
  }
}

function checkRow(errors: FormErrors, path: Path, row: unknown, seen: Set<string>): void {
  if (!isRecord(row) || row['type'] !== ACTION_ROW) {
    errors.add([...path, 'type'], 'UNION_TYPE_CHOICES', 'Value of field "type" must be one of (1,).');
    return;
  }
  const childrenPath = [...path, 'components'];
  const children = listField(errors, row, childrenPath);
  errors.length(childrenPath, children, MAX_BUTTONS, 1);
  const menus = children.filter((child) => isRecord(child) && SELECTS.has(child['type'])).length;
  if (menus > 0 && children.length > 1) {
    errors.add(childrenPath, 'COMPONENT_LAYOUT_WIDTH_EXCEEDED', 'The specified component exceeds the maximum width');
  }
  for (const [index, child] of children.entries()) {
    checkChild(errors, [...childrenPath, index], child, seen);
  }
}

function checkChild(errors: FormErrors, path: Path, child: unknown, seen: Set<string>): void {
  if (!isRecord(child) || (child['type'] !== BUTTON && !SELECTS.has(child['type']))) {
    errors.add([...path, 'type'], 'UNION_TYPE_CHOICES', 'Value of field "type" must be one of (2, 3, 5, 6, 7, 8).');
    return;
  }
  if (child['type'] === BUTTON) {
    checkButton(errors, path, child);
  } else {
    errors.text(child, [...path, 'custom_id'], { max: MAX_CUSTOM_ID, min: 1, required: true });
  }
  const customId = child['custom_id'];
  if (typeof customId === 'string') {
    if (seen.has(customId)) {
      const message = 'Component custom id cannot be duplicated';
      errors.add([...path, 'custom_id'], 'COMPONENT_CUSTOM_ID_DUPLICATED', message);
    }
    seen.add(customId);
  }
}

function checkButton(errors: FormErrors, path: Path, button: JsonObject): void {
  const style = button['style'];
  if (!isIntegerWithin(style, 1, PREMIUM)) {
    errors.add([...path, 'style'], 'BASE_TYPE_CHOICES', 'Value must be one of (1, 2, 3, 4, 5, 6).');
    return;
  }
  const label = errors.text(button, [...path, 'label'], { max: MAX_LABEL });
  if (style !== PREMIUM && (label ?? '') === '' && !isRecord(button['emoji'])) {
    const message = 'A button must have a label or emoji';
    errors.add(path, 'BUTTON_COMPONENT_LABEL_OR_EMOJI_REQUIRED', message);
  }
  if (style === LINK) {
    checkLink(errors, path, button);
  } else {
    errors.text(button, [...path, 'custom_id'], { max: MAX_CUSTOM_ID, min: 1, required: style !== PREMIUM });
    if (button['url'] !== undefined) {
      errors.add(path, 'BUTTON_COMPONENT_INVALID_URL', 'A url cannot be specified for this style');
    }
  }
}

function checkLink(errors: FormErrors, path: Path, button: JsonObject): void {
  if (button['custom_id'] !== undefined) {
    const message = 'A custom id and url cannot both be specified';
    errors.add(path, 'BUTTON_COMPONENT_CUSTOM_ID_URL_MUTUALLY_EXCLUSIVE', message);
  }
  const url = errors.text(button, [...path, 'url'], { max: MAX_URL, required: true });
  if (url !== undefined) {
    checkUrl(errors, [...path, 'url'], url, ['http', 'https', 'discord']);
  }
}

/** Checks that a link is public: Discord accepts no other schemes and no hosts without a dot. */
export function checkUrl(errors: FormErrors, path: Path, url: string, schemes: readonly string[]): void {
  const parsed = URL.parse(url);
  if (parsed === null) {
    errors.add(path, 'URL_TYPE_INVALID_URL', 'Not a well formed URL.');
  } else if (!schemes.includes(parsed.protocol.slice(0, -1))) {
    const list = schemes.map((scheme) => `'${scheme}'`).join(', ');
    errors.add(
      path,
      'URL_TYPE_INVALID_SCHEME',
      `Scheme "${parsed.protocol.slice(0, -1)}" is not supported. Scheme must be one of (${list}).`,
    );
  } else if (parsed.protocol !== 'discord:' && !parsed.hostname.includes('.')) {
    errors.add(path, 'URL_TYPE_INVALID_URL', 'Not a well formed URL.');
  }
}
