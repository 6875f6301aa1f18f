import { badRequest } from './api-failure.ts';

/** One condition of a label selector. */
export interface Requirement {
  readonly key: string;
  readonly operator: 'in' | 'notin' | 'exists' | 'absent';
  readonly values: ReadonlySet<string>;
}

type Labels = Readonly<Record<string, string>>;

const KEY = /^(?:[a-z0-9](?:[-a-z0-9.]*[a-z0-9])?\/)?[A-Za-z0-9](?:[-A-Za-z0-9_.]*[A-Za-z0-9])?$/;
const VALUE = /^(?:[A-Za-z0-9](?:[-A-Za-z0-9_.]*[A-Za-z0-9])?)?$/;
const SET = /^(\S+)\s+(in|notin)\s*\(([^()]*)\)$/;
const EQUALITY = /^([^=!\s]+)\s*(==|=|!=)\s*(\S*)$/;

/** `a=b, c==d, e!=f, g in (x,y), h notin (z), i, !j`; an empty selector matches everything. Anything else is a 400. */
export function parseSelector(text: string): readonly Requirement[] {
  return splitOutsideParentheses(text)
    .map((term) => term.trim())
    .filter((term) => term !== '')
    .map((term) => checked(parseTerm(term), text));
}

export function matches(requirements: readonly Requirement[], labels: Labels): boolean {
  return requirements.every(({ key, operator, values }) => {
    const value = Object.hasOwn(labels, key) ? labels[key] : undefined;
    switch (operator) {
      case 'in':
        return value !== undefined && values.has(value);
      case 'notin':
        // An object without the key matches: that is Kubernetes' rule for `!=` and `notin`.
        return value === undefined || !values.has(value);
      case 'exists':
        return value !== undefined;
      case 'absent':
        return value === undefined;
    }
  });
}

/** One condition of a field selector. Only the fields that every resource indexes are supported. */
export interface FieldRequirement {
  readonly field: 'name' | 'namespace';
  readonly equal: boolean;
  readonly value: string;
}

/** `metadata.name=a,metadata.namespace!=b`; anything else is a 400. */
export function parseFieldSelector(text: string): readonly FieldRequirement[] {
  return text
    .split(',')
    .filter((term) => term !== '')
    .map((term) => {
      const [, path = term, operator, value = ''] = /^([^=!]+)(==|=|!=)(.*)$/.exec(term) ?? [];
      if (operator === undefined) {
        throw badRequest(`invalid selector: '${term}'; can't understand '${term}'`);
      }
      if (path !== 'metadata.name' && path !== 'metadata.namespace') {
        throw badRequest(`field label not supported: ${path}`);
      }
      return { field: path === 'metadata.name' ? 'name' : 'namespace', equal: operator !== '!=', value };
    });
}

export function matchesFields(
  requirements: readonly FieldRequirement[],
  metadata: Readonly<Record<FieldRequirement['field'], string>>,
): boolean {
  return requirements.every(({ field, equal, value }) => (metadata[field] === value) === equal);
}

function parseTerm(term: string): Requirement {
  const set = SET.exec(term);
  if (set !== null) {
    const [, key = '', operator, list = ''] = set;
    const values = new Set(list.split(',').map((value) => value.trim()));
    return { key, operator: operator === 'in' ? 'in' : 'notin', values };
  }
  const equality = EQUALITY.exec(term);
  if (equality !== null) {
    const [, key = '', operator, value = ''] = equality;
    return { key, operator: operator === '!=' ? 'notin' : 'in', values: new Set([value]) };
  }
  return term.startsWith('!')
    ? { key: term.slice(1).trim(), operator: 'absent', values: new Set() }
    : { key: term, operator: 'exists', values: new Set() };
}

function checked(requirement: Requirement, text: string): Requirement {
  const namePart = requirement.key.slice(requirement.key.indexOf('/') + 1);
  const good =
    KEY.test(requirement.key) &&
    namePart.length <= 63 &&
    [...requirement.values].every((value) => value.length <= 63 && VALUE.test(value));
  if (!good) {
    throw badRequest(`unable to parse requirement: invalid label selector ${JSON.stringify(text)}`);
  }
  return requirement;
}

function splitOutsideParentheses(text: string): string[] {
  const terms: string[] = [];
  let depth = 0;
  let start = 0;
  for (let at = 0; at < text.length; at += 1) {
    const character = text[at];
    if (character === '(') {
      depth += 1;
    } else if (character === ')') {
      depth -= 1;
    } else if (character === ',' && depth === 0) {
      terms.push(text.slice(start, at));
      start = at + 1;
    }
  }
  terms.push(text.slice(start));
  return terms;
}
