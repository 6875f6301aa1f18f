import { isRecord } from '../base/json.ts';
import type { FieldFault } from './refusal.ts';

/** A workflow argument as declared by a template, with all values as text. */
export interface TemplateParameter {
  readonly name: string;
  /** The value that Argo uses without an argument (`value`), or should (`default`, which Argo ignores for workflow arguments). */
  readonly fallback?: string;
  readonly values: readonly string[];
  readonly description: string;
  /** Argo takes the value from elsewhere (a ConfigMap), unless one is sent. */
  readonly elsewhere: boolean;
}

/** Argo's rule for the names of parameters. */
const NAME = /^[-\w]+$/;

/**
 * The arguments of a WorkflowTemplate. The full CRDs contain only text. The minimal ones store everything as applied, so numbers
 * and booleans count as their text.
 */
export function readParameters(spec: unknown): {
  readonly parameters: readonly TemplateParameter[];
  readonly faults: readonly FieldFault[];
} {
  const declared = isRecord(spec) && isRecord(spec['arguments']) ? spec['arguments']['parameters'] : undefined;
  if (declared === undefined || declared === null) {
    return { parameters: [], faults: [] };
  }
  if (!Array.isArray(declared)) {
    return { parameters: [], faults: [{ field: 'spec.arguments.parameters', message: 'must be a list' }] };
  }
  const parameters: TemplateParameter[] = [];
  const faults: FieldFault[] = [];
  const names = new Set<string>();
  for (const [index, entry] of declared.entries()) {
    const field = `spec.arguments.parameters[${index}]`;
    const read = isRecord(entry) ? readParameter(entry, field) : { field, message: 'must be an object' };
    if ('message' in read) {
      faults.push(read);
    } else if (names.has(read.name)) {
      faults.push({ field, message: `duplicate parameter ${read.name}` });
    } else {
      names.add(read.name);
      parameters.push(read);
    }
  }
  return { parameters, faults };
}

function readParameter(entry: Readonly<Record<string, unknown>>, field: string): TemplateParameter | FieldFault {
  const { name, description, enum: values } = entry;
  if (typeof name !== 'string' || !NAME.test(name)) {
    return { field, message: 'its name may contain only letters, digits, "-" and "_"' };
  }
  const valueFrom = isRecord(entry['valueFrom']) ? entry['valueFrom'] : {};
  const stated = [entry['value'], entry['default'], valueFrom['default']].filter(isGiven).slice(0, 1);
  const [fallbacks, texts] = [stated, Array.isArray(values) ? (values as unknown[]) : []].map(asTexts);
  if (fallbacks === undefined || texts === undefined) {
    return { field, message: `the values of ${name} must be text` };
  }
  const [fallback] = fallbacks;
  return {
    name,
    ...(fallback === undefined ? {} : { fallback }),
    values: [...new Set(texts)],
    description: typeof description === 'string' ? description : '',
    elsewhere: Object.keys(valueFrom).length > 0 && valueFrom['supplied'] === undefined,
  };
}

/** Undefined if any of them is not a scalar. */
function asTexts(values: readonly unknown[]): readonly string[] | undefined {
  const texts = values.map(asText).filter((text) => text !== undefined);
  return texts.length < values.length ? undefined : texts;
}

function isGiven(value: unknown): boolean {
  return value !== undefined && value !== null;
}

function asText(value: unknown): string | undefined {
  return typeof value === 'string' || typeof value === 'number' || typeof value === 'boolean'
    ? String(value)
    : undefined;
}
