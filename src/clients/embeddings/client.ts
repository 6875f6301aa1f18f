import type { Clock } from '../../base/clock.ts';
import { measureClient } from '../../base/telemetry-client.ts';
import { errorMessage } from '../../base/errors.ts';
import type { EmbeddingsConfig } from '../../config/config.ts';
import { proxyFor, type EgressProxies } from '../../config/egress-proxy.ts';
import { closeAgent, egressAgent } from '../egress.ts';
import { firstHeader } from '../first-header.ts';
import { exchange, type TextResponse } from '../undici.ts';
import { embeddingsErrorOf, readVectors } from './answers.ts';
import { EmbeddingsError } from './errors.ts';

/** Room for 64 vectors of 1,536 numbers in long decimal form. */
const MAX_ANSWER_BYTES = 8 * 1024 * 1024;
const MAX_CONNECTIONS = 4;
const CONNECT_TIMEOUT_MS = 5000;

interface EmbeddingsClientOptions extends EmbeddingsConfig {
  readonly proxies: EgressProxies;
  readonly clock: Clock;
  /** Monotonic time in milliseconds. */
  readonly elapsedMs: () => number;
}

/** One vector per text, in order; undefined where the endpoint gave nothing usable. */
type Vectors = readonly (readonly number[] | undefined)[];

/** An OpenAI-compatible embeddings endpoint. */
export interface EmbeddingsClient {
  /**
   * One request, one attempt. Fails at once while the endpoint has asked to wait.
   *
   * @throws EmbeddingsError; or the signal's reason if it fired
   */
  embed(texts: readonly string[], signal: AbortSignal): Promise<Vectors>;
  close(): Promise<void>;
}

export function createEmbeddingsClient(options: EmbeddingsClientOptions): EmbeddingsClient {
  const { clock, elapsedMs, dimensions } = options;
  const url = endpointOf(options.url);
  const proxy = proxyFor(url, options.proxies);
  const agent = egressAgent({
    connections: MAX_CONNECTIONS,
    connectTimeoutMs: CONNECT_TIMEOUT_MS,
    ...(proxy === undefined ? {} : { proxy }),
  });
  const measured = measureClient('embeddings');
  let resumesAt = 0;
  const post = (body: string, signal: AbortSignal): Promise<TextResponse> => {
    const content = { dispatcher: agent, method: 'POST', headers: headersOf(options), body, signal } as const;
    return measured({ method: 'POST', purpose: 'embed texts', url }, () => exchange(url, content, MAX_ANSWER_BYTES));
  };
  return {
    async embed(texts, signal) {
      const leftMs = resumesAt - elapsedMs();
      if (leftMs > 0) {
        const message = 'the embeddings endpoint has asked to wait';
        throw new EmbeddingsError('embeddings.rate_limited', message, { retryAfterMs: leftMs });
      }
      const response = await inTime(options.timeoutMs, signal, (limited) => post(requestBody(options, texts), limited));
      if (response.statusCode !== 200) {
        const error = embeddingsErrorOf(response.statusCode, firstHeader(response.headers, 'retry-after'), clock.now());
        resumesAt = Math.max(resumesAt, elapsedMs() + (error.retryAfterMs ?? 0));
        throw error;
      }
      return readVectors(response.body, texts.length, dimensions);
    },
    close: () => closeAgent(agent, options.timeoutMs),
  };
}

/** The configured URL may be that of the API, as most programs expect, or of the endpoint itself. */
function endpointOf(text: string): URL {
  const url = new URL(text);
  const path = url.pathname.replace(/(?<!\/)\/+$/, '');
  url.pathname = path.endsWith('/embeddings') ? path : `${path}/embeddings`;
  return url;
}

/** Always `float`: without it some endpoints answer with base64. `dimensions` only if configured: many refuse it. */
function requestBody({ model, dimensions }: EmbeddingsConfig, texts: readonly string[]): string {
  return JSON.stringify({
    model,
    input: texts,
    encoding_format: 'float',
    ...(dimensions === undefined ? {} : { dimensions }),
  });
}

function headersOf({ apiKey }: EmbeddingsConfig): Record<string, string> {
  return {
    accept: 'application/json',
    'content-type': 'application/json',
    ...(apiKey === undefined ? {} : { authorization: `Bearer ${apiKey.reveal()}` }),
  };
}

async function inTime<T>(
  timeoutMs: number,
  signal: AbortSignal,
  work: (signal: AbortSignal) => Promise<T>,
): Promise<T> {
  const limit = AbortSignal.timeout(timeoutMs);
  try {
    return await work(AbortSignal.any([signal, limit]));
  } catch (error) {
    signal.throwIfAborted();
    if (limit.aborted) {
      const message = `no answer from the embeddings endpoint after ${timeoutMs} ms`;
      throw new EmbeddingsError('embeddings.timeout', message, { cause: error });
    }
    const message = `connection to the embeddings endpoint failed: ${errorMessage(error)}`;
    throw new EmbeddingsError('embeddings.connection', message, { cause: error });
  }
}
