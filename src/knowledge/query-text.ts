import type { WorkflowPlan } from '../domain/workflow-plan.ts';

/** Longer texts are searched for by their beginning, in UTF-16 units. */
const MAX_LENGTH = 8192;

/** What a Codex task asks for. */
const PROMPT = 'prompt';
/** Parameters that say nothing about the work: facteur's own, encoded ones, and where it happens. */
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
