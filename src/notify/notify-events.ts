import { SpanKind, SpanStatusCode } from '@opentelemetry/api';
import { errorMessage } from '../base/errors.ts';
import type { LogFields, Logger } from '../base/logger.ts';
import { counter } from '../base/metrics.ts';
import { redactText } from '../base/redact.ts';
import { SPANS } from '../base/spans.ts';
import { contextOfTraceparent, inSpan } from '../base/telemetry.ts';
import { traceField } from '../base/traceparent.ts';
import type { ClaimedMessage, Release } from '../ledger/messages.ts';
import type { Told } from './tell.ts';

const OUTCOMES: readonly Release['outcome'][] = ['told', 'failed', 'abandoned'];

/** Log lines, metrics and spans of messages about runs. */
export class NotifyEvents {
  readonly #logger: Logger;
  readonly #messages = counter(
    'facteur_notify_messages_total',
    OUTCOMES.map((outcome) => ({ outcome })),
  );

  constructor(logger: Logger) {
    this.#logger = logger;
  }

  /** An attempt to update a message, as a span of the run's own trace. */
  async attempt(message: ClaimedMessage, work: () => Promise<Told>): Promise<Told> {
    const { runId, traceparent, state, revision } = message;
    const settings = {
      kind: SpanKind.CLIENT,
      parent: contextOfTraceparent(traceparent),
      attributes: { 'facteur.run_id': runId, 'facteur.state': state, 'facteur.revision': revision },
    };
    const told = await inSpan(SPANS.tell, settings, async (span) => {
      const ended = await work();
      const { release, error } = ended;
      this.#messages.add(1, { outcome: release.outcome });
      span.setAttribute('facteur.outcome', release.outcome);
      if (release.outcome === 'failed' || release.outcome === 'abandoned') {
        span.setStatus({ code: SpanStatusCode.ERROR, message: redactText(error?.message ?? release.reason) });
      }
      return ended;
    });
    this.#log(message, told);
    return told;
  }

  #log(message: ClaimedMessage, { release, error, pingError }: Told): void {
    const { outcome, againInMs, messageId, reason } = release;
    const why = error === undefined ? {} : { code: error.code, error: error.message };
    const facts = { ...idsOf(message), revision: message.revision, state: message.state };
    if (pingError !== undefined) {
      const { code, message: problem } = pingError;
      const againIn = release.pinged === true ? {} : { againInMs };
      this.#logger.warn({ ...facts, code, error: problem, ...againIn }, 'could not notify of the end of a run');
    }
    if (outcome === 'told') {
      this.#logger.debug({ ...facts, messageId }, 'message told');
    }
    if (outcome === 'failed') {
      this.#logger.info({ ...facts, ...why, againInMs, attempts: message.attempts + 1 }, 'message not delivered yet');
    }
    if (outcome === 'abandoned' && reason !== message.abandoned) {
      this.#logger.warn({ ...facts, ...why, reason }, 'message cannot be delivered');
    }
  }

  /** The claim expired during the attempt. */
  messageOvertaken(message: ClaimedMessage): void {
    const what = 'delivery took so long that another process took over; the message is sent again';
    this.#logger.warn(idsOf(message), what);
  }

  messageFailed(message: ClaimedMessage, error: unknown): void {
    const what = 'message could not be delivered, nor the failure recorded';
    this.#logger.error({ ...idsOf(message), error: errorMessage(error) }, what);
  }
}

/** Fields of every log line about a message. */
function idsOf({ runId, traceparent }: ClaimedMessage): LogFields {
  return { ...traceField(traceparent), runId };
}
