import type { JsonObject } from '../cluster/objects.ts';
import type { Limit } from './rate-limits.ts';
import type { World } from './world.ts';

/** One request as a handler sees it. */
export interface Call {
  readonly world: World;
  /** The route's name. */
  readonly route: string;
  /** The variable parts of the path. */
  readonly params: Readonly<Record<string, string>>;
  readonly query: URLSearchParams;
  /** The parsed body; an empty object without one. */
  readonly body: JsonObject;
  /** The parsed body if it is a list. */
  readonly list: readonly JsonObject[];
}

export interface Reply {
  readonly status: number;
  readonly body?: unknown;
}

/** One path and method of Discord's API. */
export interface Route {
  /** Name for rules and the history: `webhook.message.edit`. */
  readonly name: string;
  readonly method: 'GET' | 'POST' | 'PUT' | 'PATCH' | 'DELETE';
  /** Path below `/api/v10`; `{name}` is a variable part. */
  readonly path: string;
  /** Whether the bot token is required; other routes have a token in the path. */
  readonly auth: 'bot' | 'path';
  readonly limit: Limit;
  /** The variable part that has rate limits of its own. */
  readonly major: string;
  readonly handle: (call: Call) => Reply;
}
