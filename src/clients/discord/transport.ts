import type { Dispatcher } from 'undici';
import type { Secret } from '../../base/secret.ts';
import { measureClient } from '../../base/telemetry-client.ts';
import { closeAgent, egressAgent } from '../egress.ts';
import { exchange, type TextResponse } from '../undici.ts';
import { discordErrorOf } from './answers.ts';
import { DiscordError } from './errors.ts';
import { Pauses } from './pauses.ts';

/** Discord's pages are small; more than this is not Discord's. */
const MAX_ANSWER_BYTES = 4 * 1024 * 1024;
const MAX_CONNECTIONS = 16;
const CONNECT_TIMEOUT_MS = 5000;
/** Discord rejects clients without a `User-Agent` in this form. */
const PROJECT_URL = 'https://github.com/proompteng/lab';

interface TransportOptions {
  readonly apiBaseUrl: string;
  readonly botToken: Secret;
  readonly version: string;
  readonly timeoutMs: number;
  /** Monotonic time in milliseconds. */
  readonly elapsedMs: () => number;
  /** The proxy to reach Discord through, if any. */
  readonly proxy?: Secret;
}

interface DiscordRequest {
  /** As in «cannot …»: `edit the message`. */
  readonly what: string;
  readonly method: 'GET' | 'POST' | 'PATCH' | 'DELETE';
  /** Path below `/v10`. May contain an interaction token, so it goes only to Discord. */
  readonly path: string;
  /** The rate limit bucket: requests that Discord counts together. */
  readonly bucket: string;
  /** Whether to send the bot's token. */
  readonly asBot?: boolean;
  readonly body?: object;
  /** Whether a success has the shape of Discord's answers; without it, any shape is accepted. */
  readonly isAnswer?: (answer: unknown) => boolean;
}

/** HTTP to Discord: one pool of kept-alive connections, one attempt, and respect for Discord's rate limits. */
export class DiscordTransport {
  readonly #options: TransportOptions;
  readonly #measured = measureClient('discord');
  readonly #agent: Dispatcher;
  readonly #pauses: Pauses;

  constructor(options: TransportOptions) {
    this.#options = options;
    this.#agent = egressAgent({
      connections: MAX_CONNECTIONS,
      connectTimeoutMs: CONNECT_TIMEOUT_MS,
      ...(options.proxy === undefined ? {} : { proxy: options.proxy }),
    });
    this.#pauses = new Pauses(options.elapsedMs);
  }

  async close(): Promise<void> {
    await closeAgent(this.#agent, this.#options.timeoutMs);
  }

  /**
   * The parsed JSON of a success; undefined if the response has no body (204).
   *
   * @throws DiscordError
   */
  async call<T>(wanted: DiscordRequest): Promise<T> {
    const { what, bucket, asBot = false } = wanted;
    this.#pauses.check(bucket, asBot);
    const response = await this.#exchange(wanted);
    this.#pauses.learn(bucket, response.headers);
    if (response.statusCode >= 300) {
      const error = discordErrorOf(what, {
        status: response.statusCode,
        headers: response.headers,
        body: response.body,
      });
      this.#pauses.obey(bucket, asBot, error);
      throw error;
    }
    return (response.statusCode === 204 ? undefined : parse(response.body, wanted, response.statusCode)) as T;
  }

  async #exchange(wanted: DiscordRequest): Promise<TextResponse> {
    const { apiBaseUrl, timeoutMs } = this.#options;
    const signal = AbortSignal.timeout(timeoutMs);
    try {
      const url = new URL(`${apiBaseUrl}/v10${wanted.path}`);
      const { method, what } = wanted;
      // Trace headers are not sent to Discord.
      const options = {
        dispatcher: this.#agent,
        method,
        headers: this.#headers(wanted),
        ...(wanted.body === undefined ? {} : { body: JSON.stringify(wanted.body) }),
        signal,
      };
      return await this.#measured({ method, purpose: what, url }, () => exchange(url, options, MAX_ANSWER_BYTES));
    } catch (error) {
      if (signal.aborted) {
        const message = `cannot ${wanted.what}: no answer from Discord after ${timeoutMs} ms`;
        throw new DiscordError('discord.timeout', message, { cause: error });
      }
      throw new DiscordError('discord.connection', `cannot ${wanted.what}: connection to Discord failed`, {
        cause: error,
      });
    }
  }

  #headers({ body, asBot }: DiscordRequest): Record<string, string> {
    const { botToken, version } = this.#options;
    return {
      accept: 'application/json',
      'user-agent': `DiscordBot (${PROJECT_URL}, ${version})`,
      ...(body === undefined ? {} : { 'content-type': 'application/json' }),
      ...(asBot === true ? { authorization: `Bot ${botToken.reveal()}` } : {}),
    };
  }
}

/** @throws DiscordError `discord.bad_answer` for a success that is not from Discord: a proxy's page, or a truncated answer */
function parse(text: string, { what, isAnswer }: DiscordRequest, status: number): unknown {
  const bad = (problem: string, cause?: unknown): DiscordError =>
    new DiscordError('discord.bad_answer', `cannot ${what}: ${problem} (HTTP ${status})`, { status, cause });
  let answer: unknown;
  try {
    answer = JSON.parse(text);
  } catch (error) {
    throw bad('the response is not JSON', error);
  }
  if (isAnswer?.(answer) === false) {
    throw bad('the response does not have the expected form');
  }
  return answer;
}
