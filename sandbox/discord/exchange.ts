import type { IncomingMessage, ServerResponse } from 'node:http';
import { setTimeout as sleep } from 'node:timers/promises';
import { isRecord } from '../../src/base/json.ts';
import type { JsonObject } from '../cluster/objects.ts';
import { preempt, withhold } from '../request-faults.ts';
import { readUpTo, sendText } from '../simulation-server.ts';
import { bodyTooLarge, DiscordFailure, invalidForm, invalidJson, plain } from './discord-failure.ts';
import type { CannedAnswer, FaultAction, RequestFaults } from './faults.ts';
import { rateLimited, type RateLimits } from './rate-limits.ts';
import type { Call, Reply, Route } from './route.ts';
import { findRoute } from './routes.ts';
import type { World } from './world.ts';

interface ExchangeDeps {
  readonly world: World;
  readonly limits: RateLimits;
  readonly faults: RequestFaults;
  /** Called once per request with the route's name. */
  readonly count: (route: string) => void;
}

const MAX_BODY_BYTES = 1024 * 1024;

/** The answer to one request. */
interface Outcome extends Reply {
  readonly headers: Readonly<Record<string, string>>;
}

/** Answers one request of Discord's API, including faults. */
export async function answer(request: IncomingMessage, response: ServerResponse, deps: ExchangeDeps): Promise<void> {
  const url = new URL(request.url ?? '/', 'http://discord');
  const found = attempt(() => findRoute(request.method ?? '', url.pathname));
  if (found instanceof DiscordFailure) {
    refuse(response, found, { name: 'none' }, deps.world);
    return;
  }
  const { route, params } = found;
  deps.count(route.name);
  const fault = deps.faults.take(route.name);
  if (fault.delayMs > 0) {
    await sleep(fault.delayMs, undefined, { ref: false });
  }
  await Promise.all(fault.holds);
  if (preempt(fault.action, response, sendCanned)) {
    return;
  }
  const text = await readUpTo(request, MAX_BODY_BYTES);
  const outcome = attempt((): Outcome => {
    checkUserAgent(request);
    checkAuth(route, request, deps.world);
    const headers = deps.limits.take({
      route: route.name,
      major: params[route.major] ?? '',
      limit: route.limit,
      countsGlobally: route.auth === 'bot',
    });
    const call: Call = {
      world: deps.world,
      route: route.name,
      params,
      query: url.searchParams,
      ...parse(request, text),
    };
    return { ...route.handle(call), headers };
  });
  settle(response, { route, outcome, fault: fault.action }, deps.world);
}

interface Settlement {
  readonly route: Route;
  readonly outcome: Outcome | DiscordFailure;
  readonly fault: FaultAction | undefined;
}

/** Sends the answer, unless a fault suppresses it: the request is already done. */
function settle(response: ServerResponse, { route, outcome, fault }: Settlement, world: World): void {
  if (withhold(fault, response, sendCanned)) {
    return;
  }
  if (outcome instanceof DiscordFailure) {
    refuse(response, outcome, route, world);
  } else {
    send(response, outcome);
  }
}

function attempt<T>(work: () => T): T | DiscordFailure {
  try {
    return work();
  } catch (error) {
    if (error instanceof DiscordFailure) {
      return error;
    }
    throw error;
  }
}

function send(response: ServerResponse, { status, body, headers }: Outcome): void {
  for (const [name, value] of Object.entries(headers)) {
    response.setHeader(name, value);
  }
  if (body === undefined) {
    response.writeHead(status).end();
  } else {
    sendText(response, status, 'application/json', JSON.stringify(body));
  }
}

function refuse(response: ServerResponse, failure: DiscordFailure, { name }: { name: string }, world: World): void {
  const { status, code, message, body, headers } = failure;
  world.history.record('request.refused', { by: name, status, code, text: message });
  send(response, { status, body, headers });
}

function sendCanned(response: ServerResponse, canned: CannedAnswer): void {
  if (canned.body !== undefined) {
    if (canned.retryAfterMs !== undefined) {
      response.setHeader('retry-after', String(Math.ceil(canned.retryAfterMs / 1000)));
    }
    sendText(response, canned.status, canned.contentType ?? 'text/html', canned.body);
    return;
  }
  const failure =
    canned.retryAfterMs === undefined
      ? new DiscordFailure(canned.status, canned.code ?? 0, canned.message ?? `${canned.status}: simulated`)
      : rateLimited(canned.retryAfterMs, canned.scope ?? 'user');
  send(response, { status: failure.status, body: failure.body, headers: failure.headers });
}

/** Discord requires bots to identify themselves, and its proxy refuses others with this text. */
function checkUserAgent(request: IncomingMessage): void {
  if (!/^DiscordBot \(\S+, [^)]+\)/.test(request.headers['user-agent'] ?? '')) {
    throw new DiscordFailure(403, 40_333, 'internal network error');
  }
}

function checkAuth(route: Route, request: IncomingMessage, world: World): void {
  if (route.auth === 'bot' && request.headers.authorization !== `Bot ${world.botToken}`) {
    throw plain(401);
  }
}

function parse(
  request: IncomingMessage,
  text: string | undefined,
): { readonly body: JsonObject; readonly list: readonly JsonObject[] } {
  if (text === '') {
    return { body: {}, list: [] };
  }
  if (text === undefined) {
    throw bodyTooLarge();
  }
  if (request.headers['content-type']?.startsWith('application/json') !== true) {
    const message = 'Expected "Content-Type" header to be one of {\'application/json\'}.';
    throw invalidForm({ _errors: [{ code: 'CONTENT_TYPE_INVALID', message }] });
  }
  let value: unknown;
  try {
    value = JSON.parse(text);
  } catch {
    throw invalidJson();
  }
  return {
    body: isRecord(value) ? value : {},
    list: Array.isArray(value) ? value.filter((item) => isRecord(item)) : [],
  };
}
