import { FacteurError } from '../../base/errors.ts';

/**
 * Failures of an embeddings endpoint.
 *
 *   rate_limited   429, or held back here because of an earlier one: wait `retryAfterMs`
 *   unavailable    5xx
 *   timeout        no answer in time
 *   connection     refused, reset, name not found, TLS
 *   refused        the endpoint will never accept this request: a wrong key or model, or a text that is too long (other 4xx)
 *   bad_answer     an answer in another form, or one that does not fit the request
 */
type EmbeddingsErrorCode =
  | 'embeddings.rate_limited'
  | 'embeddings.unavailable'
  | 'embeddings.timeout'
  | 'embeddings.connection'
  | 'embeddings.refused'
  | 'embeddings.bad_answer';

const RETRYABLE: ReadonlySet<EmbeddingsErrorCode> = new Set([
  'embeddings.rate_limited',
  'embeddings.unavailable',
  'embeddings.timeout',
  'embeddings.connection',
]);

/** A failed request to the endpoint. Its message contains neither texts nor the endpoint's own message. */
export class EmbeddingsError extends FacteurError {
  declare readonly code: EmbeddingsErrorCode;
  readonly retryAfterMs: number | undefined;

  constructor(
    code: EmbeddingsErrorCode,
    message: string,
    { retryAfterMs, cause }: { readonly retryAfterMs?: number | undefined; readonly cause?: unknown } = {},
  ) {
    super(code, message, { retryable: RETRYABLE.has(code), ...(cause === undefined ? {} : { cause }) });
    this.retryAfterMs = retryAfterMs;
  }
}
