import { FacteurError } from '../../base/errors.ts';

/**
 * Failures of the cluster, by what a caller would do about them.
 *
 *   already_exists     create: an object with this name exists; check whether it is ours
 *   conflict           the object changed meanwhile, or has another uid
 *   not_found          the named object (or the namespace of a create) does not exist; reported by the API itself
 *   api_missing        the cluster does not know the kind: the CRDs are missing or being replaced
 *   unauthorized       the credentials were rejected, even after rereading them
 *   forbidden          refused by RBAC or an admission rule
 *   quota              a ResourceQuota has no room, or is not computed yet
 *   invalid            the cluster will never accept this request (400, 405, 406, 415, 422)
 *   too_large          the object exceeds the cluster's size limit
 *   expired            the resource version or the page is too old: list again from the start
 *   too_many_requests  wait `retryAfterMs`
 *   unavailable        5xx
 *   timeout            no answer in time, or a silent watch
 *   connection         refused, reset, name not found, TLS
 *   bad_answer         not a Kubernetes API response: a proxy's page, broken or oversized JSON
 *   credentials        the kubeconfig's credentials could not be obtained (plugin failed, file gone)
 *   aborted            the caller's signal, or the client was closed
 */
export type ArgoErrorCode =
  | 'argo.already_exists'
  | 'argo.conflict'
  | 'argo.not_found'
  | 'argo.api_missing'
  | 'argo.unauthorized'
  | 'argo.forbidden'
  | 'argo.quota'
  | 'argo.invalid'
  | 'argo.too_large'
  | 'argo.expired'
  | 'argo.too_many_requests'
  | 'argo.unavailable'
  | 'argo.timeout'
  | 'argo.connection'
  | 'argo.bad_answer'
  | 'argo.credentials'
  | 'argo.aborted';

/**
 * Whether an unchanged retry can help.
 *
 *   final      never
 *   if_ready   unless a ready API server keeps giving this answer: a starting one gives it to every request
 *   passing    yes, however long it takes
 */
type Outlook = 'final' | 'if_ready' | 'passing';

interface Meaning {
  readonly outlook: Outlook;
  /** The cluster is overloaded or rejects all requests: the next request will fail too, so send fewer. */
  readonly overload: boolean;
}

const FINAL: Meaning = { outlook: 'final', overload: false };
const PASSING: Meaning = { outlook: 'passing', overload: false };
const OVERLOAD: Meaning = { outlook: 'passing', overload: true };

/** The only place that decides which failures can be retried. */
const MEANINGS: Readonly<Record<ArgoErrorCode, Meaning>> = {
  'argo.already_exists': FINAL,
  'argo.not_found': FINAL,
  'argo.invalid': FINAL,
  'argo.too_large': FINAL,
  'argo.api_missing': { outlook: 'if_ready', overload: false },
  'argo.forbidden': { outlook: 'if_ready', overload: false },
  'argo.unauthorized': { outlook: 'if_ready', overload: true },
  'argo.quota': PASSING,
  'argo.conflict': PASSING,
  'argo.expired': PASSING,
  'argo.aborted': PASSING,
  'argo.too_many_requests': OVERLOAD,
  'argo.unavailable': OVERLOAD,
  'argo.timeout': OVERLOAD,
  'argo.connection': OVERLOAD,
  'argo.bad_answer': OVERLOAD,
  'argo.credentials': OVERLOAD,
};

interface ArgoErrorOptions {
  /** HTTP status, or 0 when there was no answer. */
  readonly status?: number;
  /** The Status object's `reason` (`AlreadyExists`, `Invalid`, …), or empty. */
  readonly reason?: string;
  /** The requested wait, in milliseconds. */
  readonly retryAfterMs?: number | undefined;
  /** True if the request may have taken effect although it failed. */
  readonly ambiguous?: boolean;
  /** Safe to show to a user. */
  readonly details?: string | undefined;
  readonly cause?: unknown;
}

/** A failed request to the cluster. `message` and `details` contain no host and no token; `cause` may. */
export class ArgoError extends FacteurError {
  declare readonly code: ArgoErrorCode;
  readonly status: number;
  readonly reason: string;
  readonly retryAfterMs: number | undefined;
  readonly ambiguous: boolean;
  readonly outlook: Outlook;
  readonly overload: boolean;

  constructor(code: ArgoErrorCode, message: string, options: ArgoErrorOptions = {}) {
    const { outlook, overload } = MEANINGS[code];
    super(code, message, {
      retryable: outlook !== 'final',
      ...(options.details === undefined ? {} : { details: options.details }),
      ...(options.cause === undefined ? {} : { cause: options.cause }),
    });
    this.status = options.status ?? 0;
    this.reason = options.reason ?? '';
    this.retryAfterMs = options.retryAfterMs;
    this.ambiguous = options.ambiguous ?? false;
    this.outlook = outlook;
    this.overload = overload;
  }
}

/** Whether `error` is an ArgoError with this code. */
export function isArgoError(error: unknown, code: ArgoErrorCode): error is ArgoError {
  return error instanceof ArgoError && error.code === code;
}
