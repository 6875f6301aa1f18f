import { FacteurError } from '../base/errors.ts';
import { isFinished } from '../domain/run-state.ts';
import type { NewRun } from '../domain/run.ts';
import type { RecordedRun } from '../ledger/find-for-retry.ts';
import type { Moment } from './new-run.ts';

/** Who has a run tried again from the chat: a person, and the interaction that shall tell how it goes. */
export interface Asker {
  readonly userId: string;
  readonly message: NonNullable<NewRun['message']>;
}

/**
 * The run that tries a finished one again: the same plan, its own delivery id, linked to the first. The id is derived
 * from the run that is retried, so that asking twice (two people, two clicks) gives one new run; to try a third time,
 * retry the second.
 *
 * @throws FacteurError `run.not_retryable` when the run is still live or has succeeded
 */
export function retryOf(run: RecordedRun, moment: Moment, asker?: Asker): NewRun {
  if (!isFinished(run.state)) {
    throw new FacteurError('run.not_retryable', `the run is ${run.state}: cancel it first`, { retryable: false });
  }
  if (run.state === 'succeeded') {
    throw new FacteurError('run.not_retryable', 'the run has succeeded: there is nothing to retry', {
      retryable: false,
    });
  }
  const { runId, message: first, ...recorded } = run;
  const message = asker?.message ?? first;
  const deliveryId = `retry:${runId}`;
  return {
    ...recorded,
    ...moment,
    userId: asker?.userId ?? recorded.userId,
    deliveryId,
    retryOf: runId,
    runMetadata: { ...(recorded.runMetadata as object), deliveryId, retryOf: runId },
    ...(message === undefined ? {} : { message }),
  };
}
