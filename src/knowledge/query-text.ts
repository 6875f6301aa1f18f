import type { WorkflowPlan } from '../domain/workflow-plan.ts';

/** Longer texts are cut to this many UTF-16 units. */
const MAX_LENGTH = 8192;

/** The request of a Codex task. */
const PROMPT = 'prompt';
/** Parameters that say nothing about the work: facteur's own, encoded ones, and its location. */
const UNTELLING = new Set([
  'action',
  'payload',
  'rawEvent',
  'eventBody',
  'repository',
  'project',
  'base',
  'head',
  'branch',
]);

/** The text for which similar reflections are searched: the prompt, or the texts of a command's parameters. */
export function queryTextOf({ parameters }: Pick<WorkflowPlan, 'parameters'>): string {
  const texts =
    PROMPT in parameters
      ? [parameters[PROMPT]]
      : Object.keys(parameters)
          .filter((name) => !UNTELLING.has(name))
          .toSorted()
          .map((name) => parameters[name]);
  return texts.join('\n').trim().slice(0, MAX_LENGTH).toWellFormed();
}
