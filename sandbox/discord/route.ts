import type { JsonObject } from '../cluster/objects.ts';
import type { Limit } from './rate-limits.ts';
import type { World } from './world.ts';

/** One request as a handler sees it. */
export interface Call {
  readonly world: World;
  /** The route's name. */
  readonly route: string;
  /** The parts of the path that vary. */
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

/** What Discord offers on one path by one method. */
export interface Route {
  /** For rules and the history: `webhook.message.edit`. */
  readonly name: string;
  readonly method: 'GET' | 'POST' | 'PUT' | 'PATCH' | 'DELETE';
  /** Below `/api/v10`; `{name}` stands for one varying part. */
  readonly path: string;
  /** Whether the bot token is required; other routes have a token in the path. */
  readonly auth: 'bot' | 'path';
  readonly limit: Limit;
  /** The varying part by which its limits are counted apart. */
  readonly major: string;
  readonly handle: (call: Call) => Reply;
}
