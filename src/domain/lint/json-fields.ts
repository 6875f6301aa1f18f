import { listOf } from '../../base/json.ts';

export type Fields = Readonly<Record<string, unknown>>;

export function textOf(value: unknown): string | undefined {
  return typeof value === 'string' ? value : undefined;
}

/** The text of a scalar: minimal CRDs accept numbers and booleans in place of text. */
export function scalarOf(value: unknown): string | undefined {
  return ['string', 'number', 'boolean'].includes(typeof value) ? String(value) : undefined;
}

const HARMLESS = /^(?:[\w./:@][\w./:@-]{0,200})?$/;

/** Whether all values of an enum are harmless in a script, a URL and a manifest. */
export function isHarmlessChoice(values: unknown): boolean {
  const choices = listOf(values).map(scalarOf);
  return choices.length > 0 && choices.every((one) => one !== undefined && HARMLESS.test(one));
}
