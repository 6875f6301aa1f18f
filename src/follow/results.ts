import { isRecord } from '../base/json.ts';
import { hideCredentials } from '../base/known-credentials.ts';
import { MAX_RESULTS, type RunResult } from '../domain/run-result.ts';
import { ANNOTATIONS } from '../domain/workflow-plan.ts';

type Json = Readonly<Record<string, unknown>>;

/** Outputs that are shown if the template does not name any. */
const USUAL = ['result', 'summary', 'url', 'pull_request_url'];
const MAX_VALUE = 600;

/**
 * The results of a workflow: the global outputs that an annotation of the workflow names or, without one, those with the usual
 * names. Argo copies the annotation from the template's `spec.workflowMetadata`; facteur copies it from the template of a
 * command.
 */
export function resultsOf(metadata: Json, status: Json): readonly RunResult[] {
  const outputs = isRecord(status['outputs']) ? status['outputs']['parameters'] : undefined;
  const annotations = isRecord(metadata['annotations']) ? metadata['annotations'] : {};
  const named = annotations[ANNOTATIONS.result];
  const wanted = typeof named === 'string' ? named.split(',').map((name) => name.trim()) : USUAL;
  const values = new Map(
    (Array.isArray(outputs) ? (outputs as readonly unknown[]) : [])
      .filter(isRecord)
      .map(({ name, value }) => [name, value]),
  );
  return wanted
    .slice(0, MAX_RESULTS)
    .map((name) => ({ name: storable(name, MAX_NAME), value: bounded(values.get(name)) }))
    .filter(({ value }) => value !== '');
}

const MAX_NAME = 63;

/** Hides credentials: the whole channel can read a message, unlike a log. */
function bounded(value: unknown): string {
  const text = typeof value === 'string' ? value.slice(0, 4 * MAX_VALUE) : '';
  return storable(hideCredentials(text).trim(), MAX_VALUE);
}

/** Removes characters that Postgres cannot store. A template tag can put them into the name of an output, too. */
function storable(text: string, max: number): string {
  return text.slice(0, max).replaceAll(/[\0\p{Cs}]/gu, '');
}
