import { FacteurError } from '../base/errors.ts';
import { cut } from '../base/redact.ts';

/**
 * Why a request is permanently refused, with the text that the contract requires in `error`. Sending the same request
 * again cannot help, so a refusal is never retried. Each door maps the kind to its own form: an HTTP status, a
 * friendly reply, a dead letter.
 */
export const REFUSAL_TEXTS = {
  unauthorized: 'unauthorized',
  empty_payload: 'empty payload',
  invalid_payload: 'invalid payload',
  missing_command: 'missing command',
  /** Registered with Discord, but not defined. */
  unknown_command: 'unknown command',
  unsupported_stage: 'unsupported codex stage',
  missing_delivery_id: 'missing delivery_id',
  unsupported_media_type: 'unsupported media type',
  /** The body is larger than `server.max_body_bytes`. */
  body_too_large: 'payload too large',
  forbidden: 'forbidden',
  /** A value violates the definition of the command. */
  invalid_option: 'invalid option',
  /** Discord still shows an earlier version of the template that defines the command. */
  command_changed: 'command has changed',
  /** A value contains a template tag or half of one, which Argo would evaluate. */
  template_tag: 'template tag not allowed',
  /** A value contains a character that Argo's Go cannot print, and so cannot read back. */
  unprintable: 'character not allowed',
  /** The manifest is larger than Argo can store. */
  too_large: 'workflow too large',
  /** The cluster will never accept it. */
  refused: 'workflow refused',
} as const;

export type RefusalKind = keyof typeof REFUSAL_TEXTS;

/** A fault in a request: the path of its field, and a sentence about it. */
export interface FieldFault {
  readonly field: string;
  readonly message: string;
}

interface RefusalFacts {
  readonly cause?: unknown;
  readonly faults?: readonly FieldFault[];
  readonly roles?: readonly string[];
}

/** Maximum length of the details: they may contain names that the sender made up. */
const MAX_DETAILS = 2000;

/**
 * A permanent refusal. `details` tells the sender what to change: it names fields and rules, but never contains a value, since
 * values may be secret.
 */
export class Refusal extends FacteurError {
  readonly kind: RefusalKind;
  /** The details by field, if the refusal is about fields. */
  readonly faults: readonly FieldFault[];
  /** Roles that would be sufficient, if one is missing. */
  readonly roles: readonly string[];

  constructor(kind: RefusalKind, details?: string, { cause, faults = [], roles = [] }: RefusalFacts = {}) {
    super(`refusal.${kind}`, REFUSAL_TEXTS[kind], {
      retryable: false,
      ...(details === undefined ? {} : { details: cut(details, MAX_DETAILS) }),
      ...(cause === undefined ? {} : { cause }),
    });
    this.kind = kind;
    this.faults = faults;
    this.roles = roles;
  }
}

/** A refusal for one field. */
export function refusalOfField(kind: RefusalKind, field: string, message: string): Refusal {
  return new Refusal(kind, `${field}: ${message}`, { faults: [{ field, message }] });
}
