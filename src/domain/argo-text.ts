import { UNPRINTABLE } from './unprintable.ts';
import { refusalOfField } from './refusal.ts';

/**
 * A change that Argo would make to a value, since it supports no escaping: it evaluates `{{tag}}` and `{{=expression}}` anywhere,
 * and fails with `invalid JSON` on characters that Go considers unprintable.
 */
interface ArgoFault {
  readonly kind: 'template_tag' | 'unprintable';
  /** The rest of a sentence that begins with the name of the value. Never contains the value. */
  readonly message: string;
}

/** Becomes a tag after a `{`, in a template that puts two parameters next to each other. JSON cannot begin like this. */
const HALF_TAG = /^\{(?:=|[^{}"\n]*\}\})/;
const REPLACEMENT = '\ufffd';

/** Why Argo cannot accept the value unchanged; undefined if it can. */
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

/** The value in a form that Argo accepts: tags are split by a space, unprintable characters are replaced with U+FFFD. */
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
 * Refuses a value that Argo cannot accept unchanged. The details name the field by its path.
 *
 * @throws Refusal `template_tag` or `unprintable`
 */
export function refuseForArgo(path: string, value: string): void {
  const fault = argoFault(value);
  if (fault !== undefined) {
    throw refusalOfField(fault.kind, path, fault.message);
  }
}
