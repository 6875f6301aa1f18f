import { setTimeout as pause } from 'node:timers/promises';
import { backoffMs, type BackoffLimits } from '../../base/backoff.ts';
import { errorMessage } from '../../base/errors.ts';
import type { Logger } from '../../base/logger.ts';
import { traceField } from '../../base/traceparent.ts';
import type { KafkaClient } from '../../clients/kafka/client.ts';
import { KafkaError } from '../../clients/kafka/errors.ts';
import type { ConsumedRecord } from '../../clients/kafka/records.ts';
import type { Queryable } from '../../clients/postgres/database.ts';
import type { Dispatch } from '../../dispatch/dispatch.ts';
import type { Command } from '../../domain/command.ts';
import { isHeldBack, type ConvoyPlace } from '../../ledger/convoy.ts';
import { keepDeadLetter } from '../../ledger/unprocessed.ts';
import { decodeCommand } from '../decode/command.ts';
import { deadLetterRecord, deadLetterRow, parkingReason, type Failure } from './dead-letter.ts';
import type { KafkaEvents } from './kafka-events.ts';
import { readableOf, recordId, sourceOf } from './incoming.ts';
import { codeOf, verdictOn } from './verdict.ts';

export interface HandlerDeps {
  readonly dispatch: Pick<Dispatch, 'command'>;
  readonly db: Queryable;
  readonly kafka: Pick<KafkaClient, 'produce'>;
  /** The topic for dead letters; if absent, they go to the table. */
  readonly dlqTopic: string | undefined;
  readonly maxAttempts: number;
  readonly logger: Logger;
  readonly events: KafkaEvents;
  /** Delays between attempts. */
  readonly backoff: BackoffLimits;
  /** A number in [0, 1). */
  readonly random: () => number;
}

/** State of handling the current record. */
interface Handling {
  readonly record: ConsumedRecord;
  readonly startedAt: number;
  readonly signal: AbortSignal;
  readonly logger: Logger;
  /** Set once the record is decoded. */
  command: Command | undefined;
}

/** A first attempt together with other records of the partition. */
export interface Together {
  readonly place: ConvoyPlace;
  /** Resolves to whether the previous record was handled. */
  readonly turn: Promise<boolean>;
}

/**
 * Handles one record until it is a run in the ledger or a dead letter. Retries as long as necessary.
 *
 * @param together the first attempt; all others, and a dead letter, wait for the previous record
 * @returns false if the signal came first: the record is not handled, and another member will read it
 */
export async function handleRecord(
  record: ConsumedRecord,
  signal: AbortSignal,
  deps: HandlerDeps,
  together?: Together,
): Promise<boolean> {
  const logger = deps.logger.child({ source: sourceOf(record) });
  const handling: Handling = { record, signal, logger, startedAt: performance.now(), command: undefined };
  const early = together && (await tryTogether(handling, deps, together.place));
  if (early === 'recorded') {
    return true;
  }
  if (together !== undefined && !(await together.turn)) {
    return false;
  }
  let earlier = early?.error;
  let counted = 1;
  const failure = await untilDone(handling, deps, async (): Promise<Failure | undefined> => {
    try {
      const error = earlier;
      earlier = undefined;
      await (error === undefined ? accept(handling, deps) : Promise.reject(error));
      return undefined;
    } catch (error) {
      const verdict = verdictOn(error, counted, deps.maxAttempts);
      if (verdict === 'park') {
        return { error, attempts: counted, deliveryId: handling.command?.deliveryId ?? '' };
      }
      counted += verdict === 'retry' ? 1 : 0;
      throw error;
    }
  });
  if (failure === STOPPED) {
    return false;
  }
  return failure === undefined || (await untilDone(handling, deps, () => park(handling, failure, deps))) !== STOPPED;
}

/** The error of this attempt, if it says anything about the record. */
async function tryTogether(
  handling: Handling,
  deps: HandlerDeps,
  place: ConvoyPlace,
): Promise<'recorded' | { readonly error?: Error }> {
  try {
    await accept(handling, deps, place);
    return 'recorded';
  } catch (error) {
    return isHeldBack(error) ? {} : { error: error instanceof Error ? error : new Error(errorMessage(error)) };
  } finally {
    place.leave();
  }
}

async function accept(handling: Handling, deps: HandlerDeps, recorder?: ConvoyPlace): Promise<void> {
  const { record } = handling;
  handling.command ??= decodeCommand(readableOf(record), { door: 'kafka', freshId: () => recordId(record) });
  const receipt = await deps.dispatch.command(handling.command, {
    awaitSubmissionMs: 0,
    ...(recorder && { recorder }),
  });
  deps.events.processed({ ...summary(handling), duplicate: receipt.duplicate });
}

async function park(handling: Handling, failure: Failure, deps: HandlerDeps): Promise<void> {
  const to = await keep(handling, failure, deps);
  const { error, attempts } = failure;
  handling.logger.warn(
    {
      ...traceField(handling.command?.traceparent ?? ''),
      reason: parkingReason(error),
      code: codeOf(error),
      attempts,
      to,
    },
    'record dead-lettered',
  );
  deps.events.deadLettered({ ...summary(handling), code: codeOf(error), to });
}

/**
 * Keeps a dead letter in the topic, or in the table if there is no topic or the topic rejects it, so the records after it do not
 * wait.
 */
async function keep({ record, logger }: Handling, failure: Failure, deps: HandlerDeps): Promise<'topic' | 'table'> {
  if (deps.dlqTopic !== undefined) {
    try {
      await deps.kafka.produce(deadLetterRecord(deps.dlqTopic, record, failure));
      return 'topic';
    } catch (error) {
      if (!(error instanceof KafkaError) || isPassing(error)) {
        throw error;
      }
      logger.warn({ error: errorMessage(error), topic: deps.dlqTopic }, 'the dead-letter topic rejected a record');
    }
  }
  await keepDeadLetter(deps.db, deadLetterRow(record, failure));
  return 'table';
}

/** A missing topic is a configuration error that may last for days. */
function isPassing(error: KafkaError): boolean {
  return error.retryable && error.code !== 'kafka.topic';
}

const STOPPED = Symbol('stopped');

/** Runs `attempt` until it resolves, with increasing pauses; the signal ends the pauses, never an attempt. */
async function untilDone<T>(
  handling: Handling,
  deps: HandlerDeps,
  attempt: () => Promise<T>,
): Promise<T | typeof STOPPED> {
  const { signal, logger } = handling;
  for (let failures = 1; !signal.aborted; failures += 1) {
    try {
      return await attempt();
    } catch (error) {
      const delayMs = backoffMs(failures, deps.backoff, deps.random());
      logger.warn({ error: errorMessage(error), failures, delayMs }, 'record failed; retrying');
      deps.events.retried({ command: handling.command?.name ?? '', code: codeOf(error) });
      // The loop checks for an abort.
      await pause(delayMs, undefined, { signal }).catch(() => undefined);
    }
  }
  return STOPPED;
}

function summary({ command, startedAt }: Handling): { command: string; durationMs: number } {
  return { command: command?.name ?? '', durationMs: performance.now() - startedAt };
}
