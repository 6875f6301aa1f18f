import { UNPRINTABLE } from './unprintable.ts';
import { refusalOfField } from './refusal.ts';

/**
 * What Argo would do to a value, since it supports no escaping: it evaluates `{{tag}}` and `{{=expression}}`
 * anywhere, and fails with `invalid JSON` on characters that Go considers unprintable.
 */
interface ArgoFault {
  readonly kind: 'template_tag' | 'unprintable';
  /** The rest of a sentence that begins with the name of the value. Never repeats the value. */
  readonly message: string;
}

/** Makes a tag with a `{` before it, in a template that puts two parameters side by side. JSON begins otherwise. */
const HALF_TAG = /^\{(?:=|[^{}"\n]*\}\})/;
const REPLACEMENT = '\ufffd';

/** Why Argo cannot take the value as it is; undefined when it can. */
export function argoFault(value: string): ArgoFault | undefined {
  const rule = tagRule(value);
  if (rule !== undefined) {
    return { kind: 'template_tag', message: rule };
  }
  const at = value.search(UNPRINTABLE);
  return at === -1
    ? undefined
    : { kind: 'unprintable', message: `must not contain ${codePoint(value, at)}, a character that Argo cannot read` };
}

/** The value as Argo can take it: tags are broken up by a space, unprintable characters replaced by U+FFFD. */
export function argoText(value: string): string {
  const whole = value.replaceAll(/\{(?=\{|$)/g, '{ ').replaceAll(UNPRINTABLE, REPLACEMENT);
  return HALF_TAG.test(whole) ? ` ${whole}` : whole;
}

function tagRule(value: string): string | undefined {
  if (value.includes('{{')) {
    return 'must not contain "{{"';
  }
  if (value.endsWith('{')) {
    return 'must not end in "{"';
  }
  return HALF_TAG.test(value) ? 'must not begin with half a template tag, such as "{="' : undefined;
}

/** `U+0007`, `U+1FAE9` */
function codePoint(text: string, at: number): string {
  return `U+${(text.codePointAt(at) ?? 0).toString(16).toUpperCase().padStart(4, '0')}`;
}

/**
 * Refuses a value that Argo cannot take unchanged. The details name the field by its path.
 *
 * @throws Refusal `template_tag` or `unprintable`
 */
export function refuseForArgo(path: string, value: string): void {
  const fault = argoFault(value);
  if (fault !== undefined) {
    throw refusalOfField(fault.kind, path, fault.message);
  }
}
