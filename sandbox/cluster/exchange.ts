import type { IncomingMessage, ServerResponse } from 'node:http';
import { setTimeout as sleep } from 'node:timers/promises';
import { ApiFailure, forbidden, forbiddenPath, tooManyRequests, unauthorized, type Asker } from './api-failure.ts';
import { readBody } from './body.ts';
import type { Control } from './control.ts';
import { FIXED_PATHS, NOT_READY } from './discovery.ts';
import type { FaultAction, Verb } from './faults.ts';
import { execute, namespaceOf, type ApiAnswer, type ApiRequest, type HandlerDeps } from './handlers.ts';
import { forbiddenLog, parseLogTarget, podLog, type LogTarget } from './pod-log.ts';
import { sendCanned, sendFailure } from './replies.ts';
import { preempt, withhold } from '../request-faults.ts';
import { sendText } from '../simulation-server.ts';
import { startupRefusal } from './startup.ts';
import { parseTarget, verbOf, type Target } from './target.ts';
import type { WatchHub } from './watch-hub.ts';

export interface ExchangeDeps extends HandlerDeps {
  readonly control: Control;
  readonly hub: WatchHub;
  /** Called once per request that reaches the API, for the counters. */
  readonly count: (verb: Verb) => void;
}

/** Answers one request of the Kubernetes API, including faults. */
export async function answer(request: IncomingMessage, response: ServerResponse, deps: ExchangeDeps): Promise<void> {
  const url = new URL(request.url ?? '/', 'http://cluster');
  const target = parseTarget(url.pathname);
  const log = parseLogTarget(url.pathname);
  try {
    if (target !== undefined) {
      await answerObject({ request, response, target, query: url.searchParams }, deps);
    } else if (log !== undefined) {
      answerLog({ request, response, target: log, query: url.searchParams }, deps);
    } else {
      answerFixed(url.pathname, { request, response }, deps);
    }
  } catch (error) {
    if (!(error instanceof ApiFailure)) {
      throw error;
    }
    sendFailure(response, error);
  }
}

interface Exchange<T = Target> {
  readonly request: IncomingMessage;
  readonly response: ServerResponse;
  readonly target: T;
  readonly query: URLSearchParams;
}

async function answerObject({ request, response, target, query }: Exchange, deps: ExchangeDeps): Promise<void> {
  const verb = verbOf(request, target, query);
  deps.count(verb);
  const asker = identify(request, deps);
  const facts = { verb, resource: target.resource, namespace: target.namespace ?? '', name: target.name };
  const fault = deps.control.requests.take(facts);
  if (fault.delayMs > 0) {
    await sleep(fault.delayMs, undefined, { ref: false });
  }
  await Promise.all(fault.holds);
  if (preempt(fault.action, response, sendCanned)) {
    return;
  }
  const wanted: ApiRequest = {
    ...facts,
    allNamespaces: target.namespace === undefined,
    query,
    contentType: request.headers['content-type'],
    accept: request.headers.accept,
    body: request.method === 'GET' ? '' : await readBody(request),
  };
  await admit(wanted, asker, deps);
  if (verb === 'watch') {
    deps.hub.open({ ...wanted, namespace: namespaceOf(wanted) }, response);
  } else {
    send(response, fault.action, attempt(wanted, deps));
  }
}

/** Throws 401 for an unknown token. */
function identify(request: IncomingMessage, { control }: ExchangeDeps): Asker {
  const asker = control.access.identify(request.headers.authorization);
  if (asker === undefined) {
    throw unauthorized();
  }
  return asker;
}

async function admit(wanted: ApiRequest, asker: Asker, { control }: ExchangeDeps): Promise<void> {
  const refusal = startupRefusal(control.access.stage, wanted, asker);
  if (refusal !== undefined) {
    throw refusal;
  }
  if (asker === 'anonymous' || control.access.isDenied(wanted)) {
    throw forbidden(wanted, asker);
  }
  if (wanted.verb !== 'create') {
    return;
  }
  const waitMs = control.admitCreate();
  if (waitMs === undefined) {
    throw tooManyRequests(1);
  }
  if (waitMs > 0) {
    await sleep(waitMs, undefined, { ref: false });
  }
}

function attempt(wanted: ApiRequest, deps: ExchangeDeps): ApiAnswer | ApiFailure {
  try {
    return execute(wanted, deps);
  } catch (error) {
    if (error instanceof ApiFailure) {
      return error;
    }
    throw error;
  }
}

/** Sends the answer, unless a fault suppresses it: the request is already done. */
function send(response: ServerResponse, fault: FaultAction | undefined, result: ApiAnswer | ApiFailure): void {
  if (withhold(fault, response, sendCanned)) {
    return;
  }
  if (result instanceof ApiFailure) {
    sendFailure(response, result);
  } else {
    sendText(response, result.status, 'application/json', result.body);
  }
}

function answerLog({ request, response, target, query }: Exchange<LogTarget>, deps: ExchangeDeps): void {
  const asker = identify(request, deps);
  if (deps.control.access.stage === 'forbidden' || asker === 'anonymous') {
    throw forbiddenLog(target, asker);
  }
  sendText(response, 200, 'text/plain', podLog(deps.store, target, query));
}

function answerFixed(
  path: string,
  { request, response }: Pick<Exchange, 'request' | 'response'>,
  deps: ExchangeDeps,
): void {
  identify(request, deps);
  const { stage } = deps.control.access;
  if (stage === 'forbidden') {
    throw forbiddenPath(path);
  }
  const fixed = FIXED_PATHS[path];
  if (stage !== 'ready' && path === '/readyz') {
    sendText(response, 500, 'text/plain; charset=utf-8', NOT_READY);
  } else if (fixed === undefined) {
    sendText(response, 404, 'text/plain; charset=utf-8', '404 page not found\n');
  } else if (typeof fixed === 'string') {
    sendText(response, 200, 'text/plain; charset=utf-8', fixed);
  } else {
    sendText(response, 200, 'application/json', JSON.stringify(fixed));
  }
}
