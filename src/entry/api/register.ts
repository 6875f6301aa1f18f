import { createHash } from 'node:crypto';
import type { FastifyInstance, FastifyReply, FastifyRequest } from 'fastify';
import * as z from 'zod';
import { hideCredentials } from '../../base/known-credentials.ts';
import { validTraceparent } from '../../base/traceparent.ts';
import { headerText } from '../decode/incoming.ts';
import { isJsonType, payloadFormat } from '../decode/media-type.ts';
import { announcesMore, type Admission } from '../http/admission.ts';
import { reportFailure } from '../http/request-events.ts';
import type { Gate } from '../../base/gate.ts';
import type { FieldFault } from '../../domain/refusal.ts';
import type { Logger } from '../../base/logger.ts';
import { actorOf, SCOPES, type Caller, type callerCheck } from './caller.ts';
import { faultMessage } from './fault-message.ts';
import { ApiProblem, invalid, notFound, sendProblem, toProblem, unreadableType } from './problem.ts';
import type { RunRate } from './run-rate.ts';
import type { ApiAnswer, ApiRequest, ApiRoute } from './route.ts';
import { parseStrictJson, textFault, textFaults } from './strict-json.ts';

/** Maximum size of a body on `/v1`: the largest text in it (64 KiB), escaped, with metadata. */
const MAX_API_BYTES = 524_288;
const MAX_KEY_LENGTH = 255;
const NOTHING = Buffer.alloc(0);
/** A route without query parameters rejects all of them: a misspelled filter must not appear to be applied. */
const NO_QUERY = z.strictObject({});

/** The parts of `/v1`. */
export interface ApiDoor<Deps> {
  readonly routes: readonly ApiRoute<Deps>[];
  /** Opens when the handlers have a ledger. */
  readonly gate: Pick<Gate, 'pass'>;
  /** Dependencies of the handlers. */
  readonly deps: Deps;
  readonly whoCalls: ReturnType<typeof callerCheck>;
  readonly runRate: RunRate;
  /** Limits requests with and without a body. */
  readonly admission: Admission;
}

interface ApiSettings<Deps> extends ApiDoor<Deps> {
  readonly logger: Logger;
  /** Fires when the process ends, which ends its streams. */
  readonly closing: AbortSignal;
}

/** Registers all routes. Access is decided from the headers, before a body is read. */
export function registerApi<Deps>(app: FastifyInstance, settings: ApiSettings<Deps>): void {
  void app.register((scope, _options, done) => {
    scope.setErrorHandler((error, request, reply) => {
      const problem = toProblem(error);
      if (problem.status >= 500) {
        reportFailure(error, request, settings.logger);
      } else {
        const { status, problemCode: code } = problem;
        settings.logger.info({ route: request.routeOptions.url ?? '(none)', status, code }, 'request refused');
      }
      return sendProblem(reply, problem);
    });
    const words = methodsOfWords(settings.routes);
    for (const route of settings.routes) {
      registerRoute(scope, route, { ...settings, words });
    }
    done();
  });
}

/** The methods of each path without parameters. */
function methodsOfWords<Deps>(routes: readonly ApiRoute<Deps>[]): ReadonlyMap<string, readonly string[]> {
  const words = new Map<string, string[]>();
  for (const { path, method } of routes.filter((route) => !route.path.includes('{'))) {
    words.set(path, [...(words.get(path) ?? []), method]);
  }
  return words;
}

interface RouteSettings<Deps> extends ApiSettings<Deps> {
  readonly words: ReadonlyMap<string, readonly string[]>;
}

/** A word that is a path of its own is not a parameter of another route: `search` in `GET /v1/reflections/{reflectionId}`. */
function refuseWord({ url }: FastifyRequest, words: RouteSettings<unknown>['words']): void {
  const methods = words.get(url.split('?', 1)[0] ?? '');
  if (methods !== undefined) {
    const headers = { allow: methods.join(', ') };
    throw new ApiProblem(405, 'method_not_allowed', 'method not allowed', { headers });
  }
}

function registerRoute<Deps>(app: FastifyInstance, route: ApiRoute<Deps>, settings: RouteSettings<Deps>): void {
  const callers = new WeakMap<FastifyRequest, Caller>();
  app.route({
    method: route.method,
    url: route.path.replaceAll(/\{(\w+)\}/g, ':$1'),
    onRequest: async (request) => {
      if (route.path.includes('{')) {
        refuseWord(request, settings.words);
      }
      const { headers, socket } = request;
      if (route.body === undefined) {
        // Fastify would reject an invalid type although no body is read.
        delete headers['content-type'];
      }
      // Authenticating a run's token queries the ledger.
      const caller = await settings.admission.admit(() =>
        settings.whoCalls({ headers, remoteAddress: socket.remoteAddress }),
      );
      if (caller.kind === 'run') {
        requireTurn(caller.runId, settings.runRate);
      }
      requireRight(route, caller, (request.params as Readonly<Record<string, string>>)['runId']);
      callers.set(request, caller);
    },
    handler: async (request, reply) => {
      const caller = callers.get(request) as Caller;
      const respond = async (body: Buffer): Promise<FastifyReply> => {
        const signal = endOf(reply, settings.closing);
        const asked = read(route, { request, caller, body, signal });
        settings.gate.pass();
        const answer = await route.handle(asked, settings.deps);
        noteWrite(route, caller, answer, settings.logger);
        return send(request, reply, answer);
      };
      return route.body === undefined
        ? settings.admission.admit(() => respond(NOTHING))
        : withBody(request, settings.admission, respond);
    },
  });
}

/** Logs every write, because only writes to a run appear in a history. */
function noteWrite<Deps>(
  { method, operationId }: ApiRoute<Deps>,
  caller: Caller,
  { status }: ApiAnswer,
  logger: Logger,
): void {
  if (method !== 'GET') {
    logger.info({ operationId, actor: actorOf(caller), status }, 'request to /v1 carried out');
  }
}

/** Fires when the client disconnects or the process ends. */
function endOf(reply: FastifyReply, closing: AbortSignal): AbortSignal {
  const gone = new AbortController();
  reply.raw.once('close', () => gone.abort());
  if (reply.raw.destroyed) {
    // It disconnected during authentication.
    gone.abort();
  }
  return AbortSignal.any([gone.signal, closing]);
}

/** Checks the type before the size, and both before it reads anything. */
function withBody<T>(
  { raw, headers }: FastifyRequest,
  admission: Admission,
  work: (body: Buffer) => Promise<T>,
): Promise<T> {
  const type = headers['content-type'] ?? 'application/json';
  const assumed = { ...headers, 'content-type': type };
  if (!isJsonType(type) || payloadFormat({ headers: assumed, body: NOTHING }) !== 'json') {
    throw unreadableType();
  }
  const tooLarge = (): ApiProblem =>
    new ApiProblem(413, 'body_too_large', `the body must have at most ${MAX_API_BYTES} bytes`);
  if (announcesMore(headers, MAX_API_BYTES)) {
    throw tooLarge();
  }
  return admission.admitBody(raw, { maxBytes: MAX_API_BYTES }, ({ body, cut }) => {
    if (cut) {
      throw tooLarge();
    }
    return work(body);
  });
}

function requireTurn(runId: string, rate: RunRate): void {
  const seconds = rate.take(runId);
  if (seconds !== undefined) {
    const headers = { 'retry-after': String(seconds) };
    throw new ApiProblem(429, 'too_many_requests', 'the run reports too often', { headers });
  }
}

/** For a run, other runs do not exist: 404, so nothing is revealed. */
function requireRight<Deps>({ who }: ApiRoute<Deps>, caller: Caller, runId: string | undefined): void {
  if (caller.kind === 'run') {
    if (who.self !== true) {
      throw new ApiProblem(403, 'forbidden', 'run tokens may not use this route');
    }
    if (runId !== undefined && runId.toLowerCase() !== caller.runId) {
      throw notFound('run');
    }
  } else if (SCOPES.indexOf(caller.scope) < SCOPES.indexOf(who.scope)) {
    throw new ApiProblem(403, 'forbidden', `the token requires the scope ${who.scope}`);
  }
}

/** A request as it arrived. */
interface Received {
  readonly request: FastifyRequest;
  readonly caller: Caller;
  readonly body: Buffer;
  readonly signal: AbortSignal;
}

/** Parses a request, and reports all its errors at once. */
function read<Deps>(route: ApiRoute<Deps>, { request, caller, body: bytes, signal }: Received): ApiRequest {
  const faults: FieldFault[] = [];
  const params = check(route.params, request.params, 'path', faults);
  const query = check(route.query ?? NO_QUERY, request.query, 'query', faults);
  const body = route.body === undefined ? undefined : readBody(route, bytes, faults);
  const idempotencyKey = keyOf(route, request, faults);
  if (faults.length > 0) {
    throw invalid(faults);
  }
  const traceparent = validTraceparent(headerText(request.headers, 'traceparent'));
  const lastEventId = String(request.headers['last-event-id'] ?? '');
  return { params, query, body, caller, idempotencyKey, traceparent, lastEventId, signal };
}

function readBody<Deps>({ body, verbatim }: ApiRoute<Deps>, bytes: Buffer, faults: FieldFault[]): unknown {
  const parsed = parseStrictJson(bytes);
  if (!parsed.ok) {
    faults.push(...parsed.faults);
    return undefined;
  }
  return check(body, verbatim === true ? parsed.value : withoutSecrets(parsed.value), 'body', faults);
}

/** A copy without anything in texts and keys that looks like a credential. */
function withoutSecrets(value: unknown): unknown {
  if (typeof value === 'string') {
    return hideCredentials(value);
  }
  if (typeof value !== 'object' || value === null) {
    return value;
  }
  return Array.isArray(value)
    ? value.map(withoutSecrets)
    : Object.fromEntries(Object.entries(value).map(([key, item]) => [hideCredentials(key), withoutSecrets(item)]));
}

function check(schema: z.ZodType | undefined, value: unknown, place: string, faults: FieldFault[]): unknown {
  if (schema === undefined) {
    return undefined;
  }
  const unprintable = textFaults(value, place);
  if (unprintable.length > 0) {
    faults.push(...unprintable);
    return undefined;
  }
  const result = schema.safeParse(value);
  if (result.success) {
    return result.data;
  }
  const found = result.error.issues.flatMap((issue) => faultsOf(issue, place));
  faults.push(...new Map(found.map((fault) => [`${fault.field} ${fault.message}`, fault])).values());
  return undefined;
}

/**
 * One error per unknown key: zod reports all unknown keys of an object together. Several items of a list may have the same error.
 */
function faultsOf(issue: z.core.$ZodIssue, place: string): FieldFault[] {
  // The items of a list in a query have no names of their own.
  const path = place === 'query' ? issue.path.slice(0, 1) : issue.path;
  const field = [place, ...path.map(String)].join('.');
  return issue.code === 'unrecognized_keys'
    ? issue.keys.map((key) => ({ field: `${field}.${key.slice(0, 100)}`, message: 'is unknown' }))
    : [{ field, message: faultMessage(issue) }];
}

function keyOf<Deps>(route: ApiRoute<Deps>, request: FastifyRequest, faults: FieldFault[]): string {
  const key = request.headers['idempotency-key'];
  if (route.idempotencyKey === undefined || key === undefined) {
    if (route.idempotencyKey === 'required') {
      faults.push({ field: 'header.idempotency-key', message: 'is required' });
    }
    return '';
  }
  const text = String(key);
  const message = keyFault(text);
  if (message !== undefined) {
    faults.push({ field: 'header.idempotency-key', message });
  }
  return text;
}

/** The key is stored, so it must not look like a credential, and it cannot be redacted. */
function keyFault(key: string): string | undefined {
  if (key === '') {
    return 'must not be empty';
  }
  if (key.length > MAX_KEY_LENGTH) {
    return `must have at most ${MAX_KEY_LENGTH} characters`;
  }
  return hideCredentials(key) === key ? textFault(key) : 'must not look like a credential';
}

function send(request: FastifyRequest, reply: FastifyReply, answer: ApiAnswer): FastifyReply {
  const { status, body, headers, stream } = answer;
  void reply.code(status).headers({ 'cache-control': 'no-store', ...headers });
  if (stream !== undefined) {
    return reply.send(stream);
  }
  if (body === undefined) {
    return reply.send();
  }
  const bytes = Buffer.from(JSON.stringify(body), 'utf8');
  if (['GET', 'HEAD'].includes(request.method) && status === 200) {
    const etag = `"${createHash('sha256').update(bytes).digest('base64url').slice(0, 22)}"`;
    void reply.headers({ etag, 'cache-control': 'private, no-cache' });
    if (matches(request.headers['if-none-match'], etag)) {
      return reply.code(304).send();
    }
  }
  return reply.header('content-type', 'application/json').send(bytes);
}

function matches(wanted: string | undefined, etag: string): boolean {
  return (wanted ?? '').split(',').some((one) => one.trim().replace(/^W\//, '') === etag || one.trim() === '*');
}
