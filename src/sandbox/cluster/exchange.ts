import type { IncomingMessage, ServerResponse } from 'node:http';
import { setTimeout as sleep } from 'node:timers/promises';
import { ApiFailure, forbidden, tooManyRequests, unauthorized } from './api-failure.ts';
import { readBody } from './body.ts';
import type { Control } from './control.ts';
import { FIXED_PATHS } from './discovery.ts';
import type { FaultAction, Verb } from './faults.ts';
import { execute, namespaceOf, type ApiAnswer, type ApiRequest, type HandlerDeps } from './handlers.ts';
import { parseLogTarget, podLog, type LogTarget } from './pod-log.ts';
import { resetConnection, sendCanned, sendFailure, sendText } from './replies.ts';
import { parseTarget, verbOf, type Target } from './target.ts';
import type { WatchHub } from './watch-hub.ts';

export interface ExchangeDeps extends HandlerDeps {
  readonly control: Control;
  readonly hub: WatchHub;
  /** Called once per request that reaches the API, for the counters. */
  readonly count: (verb: Verb) => void;
}

/** Answers one request of the Kubernetes API, faults included. */
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
      answerFixed(url.pathname, response);
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
  if (!deps.control.isAuthenticated(request.headers.authorization)) {
    throw unauthorized();
  }
  const facts = { verb, resource: target.resource, namespace: target.namespace ?? '', name: target.name };
  const fault = deps.control.requests.take(facts);
  if (fault.delayMs > 0) {
    await sleep(fault.delayMs, undefined, { ref: false });
  }
  if (fault.action !== undefined && preempt(fault.action, response)) {
    return;
  }
  const wanted: ApiRequest = {
    ...facts,
    allNamespaces: target.namespace === undefined,
    query,
    contentType: request.headers['content-type'],
    body: request.method === 'GET' ? '' : await readBody(request),
  };
  await admit(wanted, deps);
  if (verb === 'watch') {
    deps.hub.open({ ...wanted, namespace: namespaceOf(wanted) }, response);
  } else {
    send(response, fault.action, attempt(wanted, deps));
  }
}

async function admit(wanted: ApiRequest, { control }: ExchangeDeps): Promise<void> {
  if (control.isDenied(wanted)) {
    throw forbidden(wanted.verb, wanted.resource, wanted.namespace, wanted.name);
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

/** Faults before anything is done; true when the request ends here. */
function preempt(action: FaultAction, response: ServerResponse): boolean {
  switch (action.kind) {
    case 'answer':
      sendCanned(response, action.answer);
      return true;
    case 'reset':
      resetConnection(response);
      return true;
    case 'hang':
      return true;
    default:
      return false;
  }
}

/** The answer, unless a fault takes it away: by now it is done. */
function send(response: ServerResponse, fault: FaultAction | undefined, result: ApiAnswer | ApiFailure): void {
  switch (fault?.kind) {
    case 'commit-then-reset':
      resetConnection(response);
      break;
    case 'commit-then-hang':
      break;
    case 'commit-then-answer':
      sendCanned(response, fault.answer);
      break;
    default:
      if (result instanceof ApiFailure) {
        sendFailure(response, result);
      } else {
        sendText(response, result.status, 'application/json', result.body);
      }
  }
}

function answerLog({ request, response, target, query }: Exchange<LogTarget>, deps: ExchangeDeps): void {
  if (!deps.control.isAuthenticated(request.headers.authorization)) {
    throw unauthorized();
  }
  sendText(response, 200, 'text/plain', podLog(deps.store, target, query));
}

function answerFixed(path: string, response: ServerResponse): void {
  const fixed = FIXED_PATHS[path];
  if (fixed === undefined) {
    sendText(response, 404, 'text/plain; charset=utf-8', '404 page not found\n');
  } else if (typeof fixed === 'string') {
    sendText(response, 200, 'text/plain; charset=utf-8', fixed);
  } else {
    sendText(response, 200, 'application/json', JSON.stringify(fixed));
  }
}
