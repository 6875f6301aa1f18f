import { FacteurError } from '../base/errors.ts';

/**
 * Why a request is refused for good, with the text that the contract answers in `error`. Sending the same thing again
 * cannot help, so a refusal is never retried. Each door maps the kind to its own language: an HTTP status, a friendly
 * reply, a dead letter.
 */
export const REFUSAL_TEXTS = {
  unauthorized: 'unauthorized',
  empty_payload: 'empty payload',
  invalid_payload: 'invalid payload',
  missing_command: 'missing command',
  /** Discord has it registered, and no definition says what it is. */
  unknown_command: 'unknown command',
  unsupported_stage: 'unsupported codex stage',
  missing_delivery_id: 'missing delivery_id',
  unsupported_media_type: 'unsupported media type',
  /** The bytes that came in pass `server.max_body_bytes`. */
  body_too_large: 'payload too large',
  forbidden: 'forbidden',
  /** A value breaks the definition of the command. */
  invalid_option: 'invalid option',
  /** A value holds `{{`, which Argo would evaluate. */
  template_tag: 'template tag not allowed',
  /** The workflow would pass the 1 MiB that Argo takes. */
  too_large: 'workflow too large',
  /** The cluster will never take it. */
  refused: 'workflow refused',
} as const;

export type RefusalKind = keyof typeof REFUSAL_TEXTS;

/**
 * A permanent "no". `details` says what to change, in words for the sender: it names fields and rules, and never repeats
 * the value, since values may be secret.
 */
export class Refusal extends FacteurError {
  readonly kind: RefusalKind;

  constructor(kind: RefusalKind, details?: string, cause?: unknown) {
    super(`refusal.${kind}`, REFUSAL_TEXTS[kind], {
      retryable: false,
      ...(details === undefined ? {} : { details }),
      ...(cause === undefined ? {} : { cause }),
    });
    this.kind = kind;
  }
}
