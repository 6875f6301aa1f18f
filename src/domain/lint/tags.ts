import { resultVariables } from './expression.ts';

/** The source of a tag's text. */
export type Source =
  /** A parameter of the workflow; `*` is all of them as JSON. */
  | { readonly from: 'workflow' | 'input'; readonly name: string }
  /** A field of the current item of a loop; empty for the whole item. */
  | { readonly from: 'item'; readonly name: string }
  /** An output of a step or task: `name` is the step, `field` the parameter, `result`, or `*`. */
  | { readonly from: 'output'; readonly name: string; readonly field: string }
  /** A global output parameter. */
  | { readonly from: 'global'; readonly name: string }
  /** The node's name, which contains the items of the loops around it. */
  | { readonly from: 'node' }
  /** Annotations of the workflow, and the messages of failed steps. */
  | { readonly from: 'surroundings' };

/** One `{{…}}` of a text. */
export interface Tag {
  readonly text: string;
  readonly offset: number;
  readonly sources: readonly Source[];
  /** Another tag begins inside this one. */
  readonly nested: boolean;
  /** Every source arrives as a JSON string. */
  readonly quoted: boolean;
}

const SURROUNDINGS: readonly Source[] = [{ from: 'surroundings' }];

/** The tags in a text, delimited as Argo does: from `{{` to the next `}}`. */
export function tagsOf(text: string): readonly Tag[] {
  const tags: Tag[] = [];
  let at = text.indexOf('{{');
  while (at !== -1) {
    const end = text.indexOf('}}', at + 2);
    if (end === -1) {
      return tags;
    }
    tags.push(readTag(text.slice(at + 2, end), at));
    at = text.indexOf('{{', end + 2);
  }
  return tags;
}

function readTag(inside: string, offset: number): Tag {
  const [outer = '', ...inner] = inside.split('{{');
  const variables = [outer, ...inner].flatMap(variablesOf);
  return {
    text: `{{${inside}}}`,
    offset,
    sources: distinct(variables.flatMap(({ parts }) => sourcesOf(parts))),
    nested: inner.length > 0,
    quoted: variables.length > 0 && variables.every(({ quoted }) => quoted),
  };
}

function distinct(sources: readonly Source[]): readonly Source[] {
  return sources.length < 2 ? sources : [...new Map(sources.map((one) => [JSON.stringify(one), one])).values()];
}

function variablesOf(piece: string): readonly { readonly parts: readonly string[]; readonly quoted: boolean }[] {
  const text = piece.trim();
  return text.startsWith('=') ? resultVariables(text.slice(1)) : [{ parts: text.split('.'), quoted: false }];
}

function sourcesOf([scope, kind, ...rest]: readonly string[]): readonly Source[] {
  switch (scope) {
    case 'workflow':
      return workflowSources(kind, rest);
    case 'inputs':
      return inputSources(kind, rest);
    case 'node':
      return [{ from: 'node' }];
    case 'item':
      return [{ from: 'item', name: [kind, ...rest].join('.') }];
    case 'steps':
    case 'tasks':
      return outputSources(kind, rest);
    case 'lastRetry':
      return SURROUNDINGS;
    case '$env':
      return [{ from: 'workflow', name: '*' }, { from: 'input', name: '*' }, ...SURROUNDINGS];
    default:
      return [];
  }
}

function inputSources(kind: string | undefined, rest: readonly string[]): readonly Source[] {
  return kind === 'artifacts' ? [] : [{ from: 'input', name: rest.join('.') || '*' }];
}

function workflowSources(kind: string | undefined, rest: readonly string[]): readonly Source[] {
  switch (kind) {
    case undefined:
    case 'parameters': {
      const name = rest.join('.') || '*';
      return [{ from: 'workflow', name: name === 'json' ? '*' : name }];
    }
    case 'outputs':
      return rest[0] === 'artifacts' ? [] : [{ from: 'global', name: rest[1] ?? '*' }];
    case 'annotations':
    case 'failures':
      return SURROUNDINGS;
    default:
      return [];
  }
}

function outputSources(name = '*', [kind, what, ...field]: readonly string[]): readonly Source[] {
  if (
    kind !== undefined &&
    (kind !== 'outputs' || !(what === undefined || what === 'result' || what === 'parameters'))
  ) {
    return [];
  }
  const named = field.join('.') || '*';
  return [{ from: 'output', name, field: what === 'result' ? 'result' : named }];
}
