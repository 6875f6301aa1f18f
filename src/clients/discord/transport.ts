import { Agent, request } from 'undici';
import type { Dispatcher } from 'undici';
import type { Secret } from '../../base/secret.ts';
import { measureClient } from '../../base/telemetry-client.ts';
import { errorFromAnswer } from './answers.ts';
import { DiscordError } from './errors.ts';
import { Pauses } from './pauses.ts';

/** Discord's pages are small; more than this is not Discord's. */
const MAX_ANSWER_BYTES = 4 * 1024 * 1024;
const MAX_CONNECTIONS = 16;
/** Discord turns away clients that do not say in this form who they are. */
const PROJECT_URL = 'https://github.com/proompteng/lab';

export interface TransportOptions {
  readonly apiBaseUrl: string;
  readonly botToken: Secret;
  readonly version: string;
  readonly timeoutMs: number;
}

export interface DiscordRequest {
  /** As in «cannot …»: `edit the message`. */
  readonly what: string;
  readonly method: 'GET' | 'POST' | 'PATCH' | 'DELETE';
  /** Below `/v10`. May hold an interaction token: it goes nowhere but to Discord. */
  readonly path: string;
  /** Requests that Discord counts together. */
  readonly bucket: string;
  /** Whether the bot's token goes with it. */
  readonly asBot?: boolean;
  readonly body?: object;
}

/** HTTP to Discord: one pool of kept-alive connections, one try, and respect for what Discord says about waiting. */
export class DiscordTransport {
  readonly #options: TransportOptions;
  readonly #measured = measureClient('discord');
  readonly #agent = new Agent({ connections: MAX_CONNECTIONS, connect: { timeout: 5000 } });
  readonly #pauses = new Pauses(() => performance.now());

  constructor(options: TransportOptions) {
    this.#options = options;
  }

  pausedForMs(): number {
    return this.#pauses.pausedForMs();
  }

  async close(): Promise<void> {
    await this.#agent.close();
  }

  /**
   * The parsed JSON of a success; undefined where Discord answers nothing (204).
   *
   * @throws DiscordError
   */
  async call<T>(wanted: DiscordRequest): Promise<T> {
    const { what, bucket, asBot = false } = wanted;
    this.#pauses.check(bucket, asBot);
    const { response, text } = await this.#exchange(wanted);
    this.#pauses.learn(bucket, response.headers);
    if (response.statusCode >= 300) {
      const error = errorFromAnswer(what, { status: response.statusCode, headers: response.headers, body: text });
      this.#pauses.obey(bucket, asBot, error);
      throw error;
    }
    return (response.statusCode === 204 ? undefined : parse(text, what, response.statusCode)) as T;
  }

  async #exchange(wanted: DiscordRequest): Promise<{ response: Dispatcher.ResponseData; text: string }> {
    const { apiBaseUrl, timeoutMs } = this.#options;
    const signal = AbortSignal.timeout(timeoutMs);
    try {
      const url = new URL(`${apiBaseUrl}/v10${wanted.path}`);
      const { method, what } = wanted;
      // Traces are nobody else's business: Discord is not told of them.
      const response = await this.#measured({ method, purpose: what, host: url.hostname }, () =>
        request(url, {
          dispatcher: this.#agent,
          method,
          headers: this.#headers(wanted),
          ...(wanted.body === undefined ? {} : { body: JSON.stringify(wanted.body) }),
          signal,
        }),
      );
      return { response, text: await readBounded(response) };
    } catch (error) {
      if (signal.aborted) {
        const message = `cannot ${wanted.what}: Discord did not answer in ${timeoutMs} ms`;
        throw new DiscordError('discord.timeout', message, { cause: error });
      }
      throw new DiscordError('discord.connection', `cannot ${wanted.what}: no connection to Discord`, { cause: error });
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

async function readBounded({ body }: Dispatcher.ResponseData): Promise<string> {
  const chunks: Buffer[] = [];
  let size = 0;
  for await (const chunk of body as AsyncIterable<Buffer>) {
    size += chunk.length;
    if (size > MAX_ANSWER_BYTES) {
      throw new Error('the answer is too large');
    }
    chunks.push(chunk);
  }
  return Buffer.concat(chunks).toString('utf8');
}

function parse(text: string, what: string, status: number): unknown {
  try {
    return JSON.parse(text);
  } catch (error) {
    const message = `cannot ${what}: the answer is not JSON (HTTP ${status})`;
    throw new DiscordError('discord.bad_answer', message, { status, cause: error });
  }
}
