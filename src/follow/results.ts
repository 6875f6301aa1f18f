import { isRecord } from '../base/json.ts';
import { hideCredentials } from '../base/known-credentials.ts';
import { MAX_RESULTS, type RunResult } from '../domain/run-result.ts';
import { ANNOTATIONS } from '../domain/workflow-plan.ts';

type Json = Readonly<Record<string, unknown>>;

/** Outputs that are shown without being named by the template. */
const USUAL = ['result', 'summary', 'url', 'pull_request_url'];
const MAX_VALUE = 600;

/**
 * The results of a workflow: its global outputs that an annotation of the workflow names, or that have one of the usual
 * names. Argo copies there what is under `spec.workflowMetadata` of the template; facteur, the annotation of a command's
 * template.
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

/** Without credentials: a message is for the whole channel, unlike a log. */
function bounded(value: unknown): string {
  const text = typeof value === 'string' ? value.slice(0, 4 * MAX_VALUE) : '';
  return storable(hideCredentials(text).trim(), MAX_VALUE);
}

/** Without what Postgres cannot store, which a template tag can put into the name of an output, too. */
function storable(text: string, max: number): string {
  return text.slice(0, max).replaceAll(/[\0\p{Cs}]/gu, '');
}
