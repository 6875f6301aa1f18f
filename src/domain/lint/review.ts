import { hash } from 'node:crypto';
import { isRecord } from '../../base/json.ts';
import type { Fields } from './json-fields.ts';
import type { TemplateObject } from './templates.ts';

const PREFIX = 'facteur.proompteng.ai/';
/** `<name>: <why>`: a person vouches for the template in its current form. */
export const REVIEWED = `${PREFIX}reviewed`;
/** The hash of the reviewed spec: any later change invalidates the review. */
export const REVIEWED_SPEC = `${PREFIX}reviewed-spec`;
/** These annotations decide who can put text into which parameter, so a review covers them, too. */
const REACH = ['roles', 'guilds', 'hide', 'type'] as const;

/**
 * The hash of a template's spec, regardless of key order and without `null`, which the API server drops. It includes the
 * annotations, if present, that decide who can put text into which parameter.
 */
export function specHash({ spec, annotations }: Pick<TemplateObject, 'spec' | 'annotations'>): string {
  const texts = REACH.map((name) => [name, annotations[`${PREFIX}${name}`]] as const);
  const reach = texts.filter(([, text]) => typeof text === 'string');
  const reviewed = reach.length === 0 ? { spec } : { spec, annotations: Object.fromEntries(reach) };
  return `sha256:${hash('sha256', canonicalJson(reviewed))}`;
}

/** `none`: not reviewed. `outdated`: the template has changed since, or the review lacks a name or a reason. */
export function reviewOf(object: TemplateObject): 'none' | 'valid' | 'outdated' {
  const { [REVIEWED]: by, [REVIEWED_SPEC]: reviewed } = object.annotations;
  if (by === undefined && reviewed === undefined) {
    return 'none';
  }
  return typeof by === 'string' && /\S\s*:\s*\S/.test(by) && reviewed === specHash(object) ? 'valid' : 'outdated';
}

/** JSON with sorted keys and without `null`. A value that is nested too deeply for that is never accepted, reviewed or not. */
function canonicalJson(value: unknown): string {
  try {
    return JSON.stringify(value, (_, one: unknown) => (isRecord(one) ? sorted(one) : one));
  } catch (error) {
    if (error instanceof RangeError) {
      return '';
    }
    throw error;
  }
}

function sorted(fields: Fields): Fields {
  const entries = Object.entries(fields).filter(([, value]) => value !== null);
  return Object.fromEntries(entries.toSorted(([a], [b]) => (a < b ? -1 : 1)));
}
