import type { FastifyInstance, FastifyReply, FastifyRequest } from 'fastify';
import type { Logger } from '../../base/logger.ts';
import { cut } from '../../base/redact.ts';
import type { Secret } from '../../base/secret.ts';
import { Refusal } from '../../domain/refusal.ts';
import type { RunReceipt } from '../../domain/run.ts';
import { MAX_KEY_LENGTH } from '../decode/bounds.ts';
import { eventIdOf } from '../decode/event-id.ts';
import { headerText, type Incoming, type IncomingHeaders } from '../decode/incoming.ts';
import { payloadFormat } from '../decode/media-type.ts';
import { type Answer, answerFailure, sendAnswer } from './answer.ts';
import { bearerToken, tokenFinder } from './bearer.ts';
import { announcesMore } from './admission.ts';
import type { HttpDeps } from './deps.ts';
import { reportFailure } from './request-events.ts';

/** How long an intake request waits for its submission before it is answered as `queued`, in milliseconds. */
export const AWAIT_SUBMISSION_MS = 2_000;

/** A decoded request: its delivery, and how to accept it. */
interface Intake {
  readonly deliveryId: string;
  /** The command's name, if it is a command. */
  readonly command?: string;
  readonly accept: () => Promise<RunReceipt>;
}

/** A route that accepts work. */
interface IntakeRoute {
  readonly path: string;
  /** The `error` text of an unexpected failure. */
  readonly failure: string;
  /** @throws Refusal, or any other error to report */
  readonly decode: (incoming: Incoming) => Intake;
  /** The body of the 202. */
  readonly accepted: (receipt: RunReceipt) => object;
  /** Called for commands that never become a run. */
  readonly events?: HttpDeps['events'];
  /** The bytes of a refused event that may be kept. */
  readonly keep: (incoming: Incoming) => Buffer;
}

const NOTHING = Buffer.alloc(0);
const KEPT_HEADERS = /^(ce-.*|content-type|content-encoding|traceparent)$/;

/**
 * Registers an intake route. Access is decided from the headers, before the body is read. A permanently refused CloudEvent is
 * stored first, since its sender (Knative's KafkaSource) silently drops it; if it cannot be stored, the sender gets 503 with
 * `Retry-After`.
 */
export function registerIntake(app: FastifyInstance, deps: HttpDeps, route: IntakeRoute): void {
  const checkBearer = bearerCheck(deps);
  const receive = async (request: FastifyRequest, reply: FastifyReply): Promise<FastifyReply> => {
    const { raw, headers } = request;
    // A CloudEvent is read up to the limit, because that part is kept.
    const answer =
      announcesMore(headers, deps.maxBodyBytes) && !isCloudEvent(headers)
        ? await takeIn({ headers, body: NOTHING, cut: true }, deps, route)
        : await deps.admission.admitBody(raw, { maxBytes: deps.maxBodyBytes }, (received) =>
            takeIn({ headers, ...received }, deps, route),
          );
    return sendAnswer(reply, answer);
  };
  // A separate scope, because the error handler belongs to this route.
  void app.register((scope, _options, done) => {
    scope.addHook('onRequest', async (request) => {
      try {
        await checkBearer(request.headers.authorization);
      } catch (error) {
        if (error instanceof Refusal) {
          reportTurnedAway(request.headers, deps.logger);
        }
        throw error;
      }
    });
    scope.setErrorHandler(async (error, request, reply) => {
      try {
        if (isUnread(error)) {
          return await receive(request, reply);
        }
        throw error;
      } catch (failure) {
        reportFailure(failure, request, deps.logger);
        return sendAnswer(reply, answerFailure(failure, route.failure));
      }
    });
    scope.post(route.path, receive);
    done();
  });
}

/** Unauthenticated senders must not fill the ledger: only this log line records their events. */
function reportTurnedAway(headers: IncomingHeaders, logger: Logger): void {
  if (isCloudEvent(headers)) {
    const [eventSource, eventId] = [headerText(headers, 'ce-source'), headerText(headers, 'ce-id')];
    logger.warn({ eventSource, eventId }, 'a CloudEvent was rejected; its sender may not send it again');
  }
}

/** The body, as far as it was read. */
interface Taken extends Incoming {
  readonly cut: boolean;
}

/** Fastify has its own rules for media types, and checks them before the route does. */
function isUnread(error: unknown): boolean {
  return (error as { readonly code?: unknown }).code === 'FST_ERR_CTP_INVALID_MEDIA_TYPE';
}

async function takeIn(incoming: Taken, deps: HttpDeps, route: IntakeRoute): Promise<Answer> {
  let deliveryId = '';
  let command = '';
  try {
    const intake = route.decode(whole(incoming, deps.maxBodyBytes));
    deliveryId = intake.deliveryId;
    command = intake.command ?? '';
    deps.gate.pass();
    const receipt = await intake.accept();
    if (receipt.state !== 'refused') {
      return { status: 202, body: route.accepted(receipt) };
    }
    const refusal = new Refusal('refused', receipt.reason);
    await parkEvent(refusal, { incoming, deliveryId, command }, deps, route);
    return refusedByCluster(refusal, receipt);
  } catch (error) {
    route.events?.commandFailed(command, error);
    if (error instanceof Refusal) {
      await parkEvent(error, { incoming, deliveryId, command }, deps, route);
    }
    throw error;
  }
}

/** The type is checked before the size, so its error takes precedence. */
function whole(incoming: Taken, maxBytes: number): Incoming {
  if (incoming.cut) {
    payloadFormat(incoming);
    throw new Refusal('body_too_large', `the limit is ${maxBytes} bytes`);
  }
  return incoming;
}

/** The run exists and records why it will never start, so the answer includes its names. */
function refusedByCluster(refusal: Refusal, receipt: RunReceipt): Answer {
  const { runId, deliveryId, workflowName, namespace, duplicate } = receipt;
  const { status, body } = answerFailure(refusal, '');
  return { status, body: { ...body, runId, deliveryId, workflowName, namespace, duplicate } };
}

/** The known facts about a refused event. */
interface Refused {
  readonly incoming: Taken;
  readonly deliveryId: string;
  readonly command: string;
}

async function parkEvent(
  refusal: Refusal,
  { incoming, deliveryId, command }: Refused,
  deps: HttpDeps,
  route: IntakeRoute,
): Promise<void> {
  const { headers, cut: isCut } = incoming;
  if (!isCloudEvent(headers)) {
    return;
  }
  deps.gate.pass();
  const body = route.keep(incoming);
  const note = isCut ? `; only the first ${body.length} bytes were kept` : '';
  const kept = Object.entries(headers).filter(
    (entry): entry is [string, string] => KEPT_HEADERS.test(entry[0]) && typeof entry[1] === 'string',
  );
  await deps.park({
    door: 'http',
    deliveryId: deliveryId === '' ? cut(eventIdOf(headers, 'http'), MAX_KEY_LENGTH) : deliveryId,
    reason: (refusal.details === undefined ? refusal.message : `${refusal.message}: ${refusal.details}`) + note,
    headers: { ...Object.fromEntries(kept), ':path': route.path, ...(isCut ? { ':cut': String(body.length) } : {}) },
    body,
  });
  route.events?.commandDeadLettered(command);
}

function isCloudEvent(headers: IncomingHeaders): boolean {
  const type = headerText(headers, 'content-type') ?? '';
  return headerText(headers, 'ce-id') !== undefined || /^application\/cloudevents[+-]/i.test(type);
}

/** Who may send: holders of a token, and senders accepted by another check. Without either, everyone may. */
interface IntakeAccess {
  readonly intakeTokens: readonly Secret[];
  /** Whether a token that is not configured here is accepted; rejects if that is currently unknown. */
  readonly acceptsAccount?: (token: string) => Promise<boolean>;
}

/**
 * Creates the check of an `Authorization` header.
 *
 * @returns a function that rejects with Refusal `unauthorized`
 */
function bearerCheck(access: IntakeAccess): (authorization: string | undefined) => Promise<void> {
  const { acceptsAccount, intakeTokens } = access;
  const find = tokenFinder(intakeTokens.map((token) => ({ token })));
  return async (authorization) => {
    if (intakeTokens.length === 0 && acceptsAccount === undefined) {
      return;
    }
    const token = bearerToken(authorization) ?? '';
    if (find(token) === undefined && (await acceptsAccount?.(token)) !== true) {
      throw new Refusal('unauthorized');
    }
  };
}
