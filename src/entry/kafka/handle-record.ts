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
import { keepDeadLetter } from '../../ledger/dead-letters.ts';
import { decodeCommand } from '../decode/command.ts';
import { deadLetterRecord, deadLetterRow, reasonOf, type Failure } from './dead-letter.ts';
import type { KafkaEvents } from './events.ts';
import { incomingOf, recordId, sourceOf } from './incoming.ts';
import { codeOf, verdictOn } from './verdict.ts';

export interface HandlerDeps {
  readonly dispatch: Pick<Dispatch, 'command'>;
  readonly db: Queryable;
  readonly kafka: Pick<KafkaClient, 'produce'>;
  /** Where dead letters go; absent: to the table. */
  readonly dlqTopic: string | undefined;
  readonly maxAttempts: number;
  readonly logger: Logger;
  readonly events: KafkaEvents;
  /** Between tries. */
  readonly backoff: BackoffLimits;
  /** A number in [0, 1). */
  readonly random: () => number;
}

/** What is known about the record in hand. */
interface Handling {
  readonly record: ConsumedRecord;
  readonly startedAt: number;
  readonly signal: AbortSignal;
  readonly logger: Logger;
  /** As soon as it is decoded. */
  command: Command | undefined;
}

/**
 * Brings one record to its end: a run in the ledger, or a dead letter. Tries again for as long as that takes.
 *
 * @returns false when the signal came first: the record is not dealt with, and is somebody else's now
 */
export async function handleRecord(record: ConsumedRecord, signal: AbortSignal, deps: HandlerDeps): Promise<boolean> {
  const logger = deps.logger.child({ source: sourceOf(record) });
  const handling: Handling = { record, signal, logger, startedAt: performance.now(), command: undefined };
  let counted = 1;
  const failure = await untilDone(handling, deps, async (): Promise<Failure | undefined> => {
    try {
      await accept(handling, deps);
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

async function accept(handling: Handling, deps: HandlerDeps): Promise<void> {
  const { record } = handling;
  handling.command ??= decodeCommand(incomingOf(record), { door: 'kafka', freshId: () => recordId(record) });
  const receipt = await deps.dispatch.command(handling.command, { awaitSubmissionMs: 0 });
  deps.events.processed({ ...summary(handling), duplicate: receipt.duplicate });
}

async function park(handling: Handling, failure: Failure, deps: HandlerDeps): Promise<void> {
  const to = await keep(handling, failure, deps);
  const { error, attempts } = failure;
  handling.logger.warn(
    { ...traceField(handling.command?.traceparent ?? ''), reason: reasonOf(error), code: codeOf(error), attempts, to },
    'record dead-lettered',
  );
  deps.events.deadLettered({ ...summary(handling), code: codeOf(error), to });
}

/** To the topic; to the table when there is none, or when the topic will not take it, lest everything behind it wait. */
async function keep({ record, logger }: Handling, failure: Failure, deps: HandlerDeps): Promise<'topic' | 'table'> {
  if (deps.dlqTopic !== undefined) {
    try {
      await deps.kafka.produce(deadLetterRecord(deps.dlqTopic, record, failure));
      return 'topic';
    } catch (error) {
      if (!(error instanceof KafkaError) || isPassing(error)) {
        throw error;
      }
      logger.warn({ error: errorMessage(error), topic: deps.dlqTopic }, 'the dead-letter topic refuses a record');
    }
  }
  await keepDeadLetter(deps.db, deadLetterRow(record, failure));
  return 'table';
}

/** A topic that does not exist is a mistake that may stay for days. */
function isPassing(error: KafkaError): boolean {
  return error.retryable && error.code !== 'kafka.topic';
}

const STOPPED = Symbol('stopped');

/** Runs `attempt` until it resolves, with growing pauses; the signal ends the pauses, never an attempt. */
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
      logger.warn({ error: errorMessage(error), failures, delayMs }, 'record failed; trying again');
      deps.events.retried({ command: handling.command?.name ?? '', code: codeOf(error) });
      // Aborting is looked at by the loop.
      await pause(delayMs, undefined, { signal }).catch(() => undefined);
    }
  }
  return STOPPED;
}

function summary({ command, startedAt }: Handling): { command: string; durationMs: number } {
  return { command: command?.name ?? '', durationMs: performance.now() - startedAt };
}
