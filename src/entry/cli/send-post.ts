import { errorMessage, FacteurError } from '../../base/errors.ts';
import type { CliIo } from './io.ts';

export interface PostAnswer {
  readonly status: number;
  readonly body: string;
}

const TIMEOUT_MS = 30_000;

/** One request to a running facteur. @throws FacteurError `cli.unreachable` */
export async function post(
  io: CliIo,
  url: URL,
  { body, headers }: { readonly body: Buffer; readonly headers: Readonly<Record<string, string>> },
): Promise<PostAnswer> {
  try {
    const signal = AbortSignal.timeout(TIMEOUT_MS);
    const response = await io.fetch(url, { method: 'POST', body, headers, signal });
    return { status: response.status, body: await response.text() };
  } catch (error) {
    const cause = error instanceof Error && error.cause instanceof Error ? error.cause : error;
    throw new FacteurError('cli.unreachable', `${url.origin} does not answer: ${errorMessage(cause)}`, {
      retryable: true,
      cause: error,
    });
  }
}
