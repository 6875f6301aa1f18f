import { isSampled, traceIdOf, validTraceparent } from '../base/traceparent.ts';
import { workflowUrl, type WorkflowAddress } from './workflow-url.ts';

/** Placeholder for the trace id in the URL of a tracing UI. */
export const TRACE_ID = '{trace_id}';

/** Pages about a run in other tools; undefined if there is none. */
export interface RunPages {
  /** In the Argo UI. */
  readonly workflow: (run: WorkflowAddress) => string | undefined;
  /** In the tracing UI, by the run's W3C `traceparent`. */
  readonly trace: (traceparent: string) => string | undefined;
}

/** The pages for these URLs: the base of the Argo UI, and the URL of a trace, which contains {@link TRACE_ID}. */
export function runPages(urls: { readonly ui: string | undefined; readonly trace: string | undefined }): RunPages {
  return {
    workflow: (run) => workflowUrl(urls.ui, run)?.href,
    trace: (traceparent) => tracePage(urls.trace, traceparent),
  };
}

/** A trace that is not sampled is not stored, so its page would be an error. */
function tracePage(url: string | undefined, traceparent: string): string | undefined {
  const kept = validTraceparent(traceparent);
  return url === undefined || !isSampled(kept) ? undefined : URL.parse(url.replaceAll(TRACE_ID, traceIdOf(kept)))?.href;
}
