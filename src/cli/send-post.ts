import { InvalidArgumentError, Option } from 'commander';
import { FacteurError, fetchProblem } from '../base/errors.ts';
import { urlBelow } from '../base/url-below.ts';
import type { CliIo } from './io.ts';

export interface PostAnswer {
  readonly status: number;
  readonly body: string;
}

/** The URL of the running facteur. */
export function urlOption(): Option {
  return new Option('--url <url>', 'where facteur listens')
    .env('FACTEUR_URL')
    .default(new URL('http://127.0.0.1:8080'), 'http://127.0.0.1:8080')
    .argParser(toHttpUrl);
}

/** Parses the value of an option. */
export function toHttpUrl(text: string): URL {
  const url = URL.parse(text);
  if (url === null || !/^https?:$/.test(url.protocol)) {
    throw new InvalidArgumentError('Expected a URL such as http://127.0.0.1:8080.');
  }
  return url;
}

const TIMEOUT_MS = 30_000;

interface Delivery {
  /** Relative to facteur's URL, which may have a path behind a proxy. */
  readonly path: string;
  readonly body: Buffer;
  readonly headers: Readonly<Record<string, string>>;
}

/** Sends one request to a running facteur. @throws FacteurError `cli.unreachable` */
export async function post(io: CliIo, facteur: URL, { path, body, headers }: Delivery): Promise<PostAnswer> {
  const url = urlBelow(facteur, path);
  try {
    const signal = AbortSignal.any([io.signal, AbortSignal.timeout(TIMEOUT_MS)]);
    // A redirected POST becomes a GET, which succeeds and sends nothing.
    const response = await io.fetch(url, { method: 'POST', body, headers, redirect: 'manual', signal });
    return { status: response.status, body: await response.text() };
  } catch (error) {
    throw new FacteurError('cli.unreachable', `${url.origin} does not answer: ${fetchProblem(error)}`, {
      retryable: true,
      cause: error,
    });
  }
}
