import { isRecord } from '../../src/base/json.ts';
import { textField, type JsonObject } from './objects.ts';

/** The effective specification: the workflow's own overrides its template's, parameter by parameter. */
export function mergedSpec(template: JsonObject, own: JsonObject): JsonObject {
  const merged = { ...template, ...own };
  if (template['arguments'] === undefined) {
    return merged;
  }
  const given = parametersOf(own);
  const names = new Set(given.map((one) => textField(one, 'name')));
  const rest = parametersOf(template).filter((one) => !names.has(textField(one, 'name')));
  return { ...merged, arguments: { ...argumentsOf(template), ...argumentsOf(own), parameters: [...given, ...rest] } };
}

/**
 * The controller's errors in the arguments; undefined without any. A `default` is not a value, and the `enum` of a
 * template's parameter is lost when the workflow sets its own value.
 */
export function argumentFault(spec: JsonObject): string | undefined {
  const parameters = parametersOf(spec);
  const fieldOf = (one: JsonObject): string => `spec.arguments.${textField(one, 'name')}`;
  const missing = parameters.find((one) => one['value'] === undefined && one['valueFrom'] === undefined);
  if (missing !== undefined) {
    return `invalid spec: ${fieldOf(missing)}.value or ${fieldOf(missing)}.valueFrom is required`;
  }
  const wrong = parameters.find(({ enum: values, value }) => Array.isArray(values) && !values.includes(value));
  return wrong === undefined
    ? undefined
    : `invalid spec: ${fieldOf(wrong)}.value should be present in ${fieldOf(wrong)}.enum list`;
}

function argumentsOf(spec: JsonObject): JsonObject {
  return isRecord(spec['arguments']) ? spec['arguments'] : {};
}

function parametersOf(spec: JsonObject): readonly JsonObject[] {
  const { parameters } = argumentsOf(spec);
  return Array.isArray(parameters) ? parameters.filter(isRecord) : [];
}
