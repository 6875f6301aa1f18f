import type { FastifyInstance, FastifyReply, FastifyRequest } from 'fastify';
import { Refusal } from '../../domain/refusal.ts';
import type { RunReceipt } from '../../domain/run.ts';
import type { CommandMetrics } from '../../dispatch/command-metrics.ts';
import { headerText, type Incoming, type IncomingHeaders } from '../decode/incoming.ts';
import { payloadFormat } from '../decode/media-type.ts';
import { type Answer, answerFailure, sendAnswer } from './answer.ts';
import type { HttpDeps } from './deps.ts';
import { bearerCheck } from './intake-token.ts';
import { reportFailure } from './request-log.ts';

/** How long an intake request waits for its submission before it is answered as `queued`, in milliseconds. */
export const AWAIT_SUBMISSION_MS = 2_000;

/** What came of a request that was decoded: the delivery it is, and the run it became. */
export interface Intake {
  readonly deliveryId: string;
  /** The command's name, where it is one. */
  readonly command?: string;
  readonly accept: () => Promise<RunReceipt>;
}

/** One of the routes that take work in. */
export interface IntakeRoute {
  readonly path: string;
  /** The `error` text when something unexpected went wrong. */
  readonly failure: string;
  /** @throws Refusal, or whatever else is to be answered */
  readonly decode: (incoming: Incoming) => Intake;
  /** The body of the 202. */
  readonly accepted: (receipt: RunReceipt) => object;
  /** Told of events that never become a run. */
  readonly metrics?: Pick<CommandMetrics, 'failed' | 'deadLettered'>;
  /** The bytes of a refused event that may be kept. */
  readonly keep: (incoming: Incoming) => Buffer;
}

const NOTHING = Buffer.alloc(0);
const KEPT_HEADERS = /^(ce-.*|content-type|content-encoding|traceparent)$/;

/**
 * Registers a route that takes work in: who may come in is decided from the headers, before the body is read. A
 * CloudEvent that is refused for good is parked first, since its sender (Knative's KafkaSource) drops it without a word;
 * when it cannot be parked the sender is told to come again.
 */
export function registerIntake(app: FastifyInstance, deps: HttpDeps, route: IntakeRoute): void {
  const checkBearer = bearerCheck(deps.intakeTokens);
  // A scope of its own, because the error handler is this route's.
  void app.register((scope, _options, done) => {
    scope.addHook('onRequest', (request, _reply, next) => {
      checkBearer(request.headers.authorization);
      next();
    });
    scope.setErrorHandler(async (error, request, reply) => {
      const failed = isUnread(error) ? await refuseUnread({ request, reply }, deps, route) : error;
      reportFailure(failed, request, deps.logger);
      return sendAnswer(reply, answerFailure(failed, route.failure));
    });
    scope.post(route.path, async (request, reply) => {
      const incoming = { headers: request.headers, body: (request.body as Buffer | undefined) ?? NOTHING };
      return sendAnswer(reply, await takeIn(incoming, deps, route));
    });
    done();
  });
}

async function takeIn(incoming: Incoming, deps: HttpDeps, route: IntakeRoute): Promise<Answer> {
  let deliveryId = '';
  let command = '';
  try {
    const intake = route.decode(incoming);
    deliveryId = intake.deliveryId;
    command = intake.command ?? '';
    const receipt = await intake.accept();
    if (receipt.state !== 'refused') {
      return { status: 202, body: route.accepted(receipt) };
    }
    const refusal = new Refusal('refused', receipt.reason);
    await parkEvent(refusal, { incoming, deliveryId, command }, deps, route);
    return refusedByCluster(refusal, receipt);
  } catch (error) {
    route.metrics?.failed(command, error);
    if (error instanceof Refusal) {
      await parkEvent(error, { incoming, deliveryId, command }, deps, route);
    }
    throw error;
  }
}

/** The run exists and says why it will never start, so its names are told too. */
function refusedByCluster(refusal: Refusal, receipt: RunReceipt): Answer {
  const { runId, deliveryId, workflowName, namespace, duplicate } = receipt;
  const { status, body } = answerFailure(refusal, '');
  return { status, body: { ...body, runId, deliveryId, workflowName, namespace, duplicate } };
}

/** What is known of an event by the time it is refused. */
interface Received {
  readonly incoming: Incoming;
  readonly deliveryId: string;
  readonly command: string;
}

async function parkEvent(
  refusal: Refusal,
  { incoming, deliveryId, command }: Received,
  deps: HttpDeps,
  route: IntakeRoute,
): Promise<void> {
  const { headers } = incoming;
  if (!isCloudEvent(headers)) {
    return;
  }
  const kept = Object.entries(headers).filter(
    (entry): entry is [string, string] => KEPT_HEADERS.test(entry[0]) && typeof entry[1] === 'string',
  );
  await deps.park({
    door: 'http',
    deliveryId: deliveryId === '' ? eventIdOf(headers) : deliveryId,
    reason: refusal.details === undefined ? refusal.message : `${refusal.message}: ${refusal.details}`,
    headers: { ...Object.fromEntries(kept), ':path': route.path },
    body: route.keep(incoming),
  });
  route.metrics?.deadLettered(command);
}

function isCloudEvent(headers: IncomingHeaders): boolean {
  const type = headerText(headers, 'content-type') ?? '';
  return headerText(headers, 'ce-id') !== undefined || /^application\/cloudevents[+-]/i.test(type);
}

function eventIdOf(headers: IncomingHeaders): string {
  const [source, id] = [headerText(headers, 'ce-source'), headerText(headers, 'ce-id')];
  return source === undefined || id === undefined ? '' : `${source}|${id}`;
}

/** Fastify did not read the body: it is too large, or its type is no type at all. */
function isUnread(error: unknown): boolean {
  const { code } = error as { readonly code?: unknown };
  return code === 'FST_ERR_CTP_BODY_TOO_LARGE' || code === 'FST_ERR_CTP_INVALID_MEDIA_TYPE';
}

/** Takes the request in without its body; the type is checked before the size, so it also speaks first. */
async function refuseUnread(
  { request, reply }: { readonly request: FastifyRequest; readonly reply: FastifyReply },
  deps: HttpDeps,
  route: IntakeRoute,
): Promise<unknown> {
  const decode = ({ headers }: Incoming): never => {
    payloadFormat(headers);
    throw new Refusal('body_too_large', `the limit is ${deps.maxBodyBytes} bytes`);
  };
  // Fastify would hang up at once, and the sender, still writing, would see a broken connection instead of the answer.
  // The rest of the body is dropped as it comes, for as long as a request may take.
  reply.removeHeader('connection');
  return takeIn({ headers: request.headers, body: NOTHING }, deps, { ...route, decode }).catch(
    (error: unknown) => error,
  );
}
