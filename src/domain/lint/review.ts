import { hash } from 'node:crypto';
import { isRecord } from '../../base/json.ts';
import type { Fields } from './json-fields.ts';
import type { TemplateObject } from './templates.ts';

const PREFIX = 'facteur.proompteng.ai/';
/** `<name>: <why>`: a person vouches for the template as it is. */
export const REVIEWED = `${PREFIX}reviewed`;
/** The hash of what was reviewed: any later change ends the review. */
export const REVIEWED_SPEC = `${PREFIX}reviewed-spec`;
/** These decide who can put text into which parameter, so a review is for them, too. */
const REACH = ['roles', 'guilds', 'hide', 'type'] as const;

/**
 * The hash of a template's spec, whatever the order of its keys. The API server drops `null`, so it does not count. The
 * annotations that decide who can put text into which parameter count where they are.
 */
export function specHash({ spec, annotations }: Pick<TemplateObject, 'spec' | 'annotations'>): string {
  const texts = REACH.map((name) => [name, annotations[`${PREFIX}${name}`]] as const);
  const reach = texts.filter(([, text]) => typeof text === 'string');
  const reviewed = reach.length === 0 ? { spec } : { spec, annotations: Object.fromEntries(reach) };
  return `sha256:${hash('sha256', canonicalJson(reviewed))}`;
}

/** `none`: nobody reviewed it. `outdated`: it changed since, or the reviewer gives no name and reason. */
export function reviewOf(object: TemplateObject): 'none' | 'valid' | 'outdated' {
  const { [REVIEWED]: by, [REVIEWED_SPEC]: reviewed } = object.annotations;
  if (by === undefined && reviewed === undefined) {
    return 'none';
  }
  return typeof by === 'string' && /\S\s*:\s*\S/.test(by) && reviewed === specHash(object) ? 'valid' : 'outdated';
}

/** JSON with sorted keys and without `null`. What is nested too deeply for that is never accepted, reviewed or not. */
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
