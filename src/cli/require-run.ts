import { FacteurError } from '../base/errors.ts';
import type { RunView } from '../ledger/find-runs.ts';
import type { RunStore } from './run-store.ts';
import { requestText, shortId } from './run-text.ts';
import { fitted } from './screen.ts';
import { printable } from './table.ts';

/** How every command refers to a run, for the help. */
export const REFERENCE = 'run id or its first four or more characters, delivery id or workflow name';

/** The run that a reference means. @throws FacteurError `run.unknown`, `run.ambiguous` */
export async function requireRun(store: RunStore, reference: string): Promise<RunView> {
  const [run, ...others] = await store.findRuns(reference);
  if (run === undefined) {
    throw new FacteurError('run.unknown', `unknown run ${printable(reference)}`, { retryable: false });
  }
  if (others.length > 0) {
    const candidates = [run, ...others].map((one) => `${one.runId} (${one.state}, ${requestText(one)})`).join(', ');
    throw new FacteurError('run.ambiguous', `${printable(reference)} may mean any of ${printable(candidates)}`, {
      retryable: false,
    });
  }
  return run;
}

/** The runs that the references mean, without duplicates. @throws as {@link requireRun} does, before anything is done */
export async function requireRuns(store: RunStore, references: readonly string[]): Promise<readonly RunView[]> {
  const found = new Map<string, RunView>();
  for (const reference of references) {
    const run = await requireRun(store, reference);
    found.set(run.runId, run);
  }
  return [...found.values()];
}

const MAX_REQUEST = 60;

/** A run in a sentence: `0b5e7d3c (/plan Ship the sandbox)`. */
export function namedRun(run: RunView): string {
  return `${shortId(run.runId)} (${fitted(requestText(run), MAX_REQUEST)})`;
}
