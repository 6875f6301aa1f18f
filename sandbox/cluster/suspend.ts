import { isRecord } from '../../src/base/json.ts';
import { textField, type JsonObject } from './objects.ts';

/** A step of a workflow. */
export interface Step {
  readonly name: string;
  /** The name of its template. */
  readonly template: string;
  /** The step's own arguments. */
  readonly given: readonly JsonObject[];
  /** The template of a waiting step, which ends when its node says so; undefined for all other steps. */
  readonly suspend: JsonObject | undefined;
  /** A waiting step ends automatically after this many milliseconds; undefined if it waits forever. */
  readonly lastsMs: number | undefined;
}

/** The decided nodes of waiting steps, by the step's number. */
export type Decided = ReadonlyMap<number, JsonObject>;

/** The steps of a specification with a waiting step; undefined for others, which follow their plan. */
export function waitingSteps(spec: JsonObject): readonly Step[] | undefined {
  const templates = new Map(listOf(spec['templates']).map((template) => [textField(template, 'name'), template]));
  const groups = templates.get(textField(spec, 'entrypoint'))?.['steps'];
  const steps = (Array.isArray(groups) ? groups : []).map((group: unknown) =>
    readStep(listOf(group)[0] ?? {}, templates),
  );
  return steps.some(({ suspend }) => suspend !== undefined) ? steps : undefined;
}

function readStep(step: JsonObject, templates: ReadonlyMap<string, JsonObject>): Step {
  const template = textField(step, 'template');
  const definition = templates.get(template);
  const suspend = definition?.['suspend'];
  const waits = isRecord(suspend) && step['withSequence'] === undefined;
  return {
    name: textField(step, 'name'),
    template,
    given: parametersOf(step['arguments']),
    suspend: waits ? definition : undefined,
    lastsMs: waits ? durationMs(textField(suspend, 'duration')) : undefined,
  };
}

const UNITS = { ms: 1, s: 1000, m: 60_000, h: 3_600_000 } as const;

/** Parses a number of seconds, or a number with a unit. */
function durationMs(duration: string): number | undefined {
  const [, count, unit = 's'] = /^(\d{1,9})(ms|s|m|h)?$/.exec(duration) ?? [];
  return count === undefined ? undefined : Number(count) * UNITS[unit as keyof typeof UNITS];
}

/** The node of a step whose duration has elapsed: outputs that were not supplied have their defaults. */
export function lapsedNode(step: Step, finishedAt: string): JsonObject {
  const outputs = parametersOf(suspendFields(step)['outputs']);
  const missing = outputs.find(({ valueFrom }) => isRecord(valueFrom) && typeof valueFrom['default'] !== 'string');
  if (missing !== undefined) {
    const message = `raw output parameter '${textField(missing, 'name')}' has not been set and does not have a default value`;
    return { phase: 'Error', finishedAt, message };
  }
  const parameters = outputs.map(({ valueFrom, ...output }) => ({
    ...output,
    value: isRecord(valueFrom) ? valueFrom['default'] : '',
  }));
  return { phase: 'Succeeded', finishedAt, ...(parameters.length === 0 ? {} : { outputs: { parameters } }) };
}

/** Inputs and outputs of a step's node as the controller writes them when the step begins. */
export function suspendFields({ suspend = {}, given }: Step): JsonObject {
  const inputs = parametersOf(suspend['inputs']).map((input) => {
    const value = given.find(({ name }) => name === input['name'])?.['value'] ?? input['value'] ?? input['default'];
    return value === undefined ? input : { ...input, value };
  });
  // An output has the default of the input with the same name.
  const outputs = parametersOf(suspend['outputs']).map((output) => {
    const preset = inputs.find(({ name }) => name === output['name'])?.['default'];
    const from = isRecord(output['valueFrom']) ? output['valueFrom'] : {};
    return { ...output, valueFrom: { ...from, ...(preset === undefined ? {} : { default: preset }) } };
  });
  return {
    ...(inputs.length === 0 ? {} : { inputs: { parameters: inputs } }),
    ...(outputs.length === 0 ? {} : { outputs: { parameters: outputs } }),
  };
}

/** The inputs of a step that follows the decided ones. */
export function inputFields({ given }: Step, steps: readonly Step[], decided: Decided): JsonObject {
  const parameters = given.map((one) => ({ ...one, value: resolve(textField(one, 'value'), steps, decided) }));
  return parameters.length === 0 ? {} : { inputs: { parameters } };
}

const REFERENCE = /^\{\{steps\.([-\w]{1,63})\.outputs\.parameters\.([-\w]{1,63})\}\}$/;

function resolve(value: string, steps: readonly Step[], decided: Decided): string {
  const [, step, output] = REFERENCE.exec(value) ?? [];
  const node = decided.get(steps.findIndex(({ name }) => name === step) + 1);
  const found = parametersOf(node?.['outputs']).find(({ name }) => name === output);
  return found === undefined ? value : textField(found, 'value');
}

/** Whether the controller can continue after this node: each output has a value. */
export function isResolved(node: JsonObject): boolean {
  return parametersOf(node['outputs']).every(({ value }) => typeof value === 'string');
}

function parametersOf(container: unknown): readonly JsonObject[] {
  return listOf(isRecord(container) ? container['parameters'] : undefined);
}

function listOf(value: unknown): readonly JsonObject[] {
  return Array.isArray(value) ? value.filter(isRecord) : [];
}
