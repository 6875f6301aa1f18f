import { FacteurError } from '../../base/errors.ts';

/**
 * What can go wrong with the cluster, by what a caller would do about it.
 *
 *   already_exists     create: an object of that name is there; look whether it is ours
 *   conflict           the object changed meanwhile, or its uid is another one
 *   not_found          that named object (or the namespace of a create) does not exist; said by the API itself
 *   api_missing        the cluster knows no such kind: the CRDs are absent or being replaced
 *   unauthorized       the credentials were refused, also after reading them afresh
 *   forbidden          RBAC, a quota or an admission rule says no: may heal without a change to the request
 *   invalid            the cluster will never take this request (400, 405, 406, 415, 422)
 *   too_large          the object passes the cluster's size limit
 *   expired            the resource version or the page is too old: list again from the start
 *   too_many_requests  wait `retryAfterMs`
 *   unavailable        5xx
 *   timeout            no answer in time, or a watch that fell silent
 *   connection         refused, reset, name not found, TLS
 *   bad_answer         not what the Kubernetes API says: a proxy's page, broken or oversized JSON
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

/** Trying these again, unchanged, cannot succeed. `forbidden` is not among them: permissions get granted, quotas free up. */
const FINAL: ReadonlySet<ArgoErrorCode> = new Set([
  'argo.already_exists',
  'argo.not_found',
  'argo.invalid',
  'argo.too_large',
]);

export interface ArgoErrorOptions {
  /** HTTP status, or 0 when there was no answer. */
  readonly status?: number;
  /** The Status object's `reason` (`AlreadyExists`, `Invalid`, …), or empty. */
  readonly reason?: string;
  /** What the cluster asks to wait, in milliseconds. */
  readonly retryAfterMs?: number | undefined;
  /** True when the request may have been carried out although it failed. */
  readonly ambiguous?: boolean;
  /** Safe to show to a user. */
  readonly details?: string | undefined;
  readonly cause?: unknown;
}

/** An exchange with the cluster that failed. `message` and `details` name no host and hold no token; `cause` may. */
export class ArgoError extends FacteurError {
  declare readonly code: ArgoErrorCode;
  readonly status: number;
  readonly reason: string;
  readonly retryAfterMs: number | undefined;
  readonly ambiguous: boolean;

  constructor(code: ArgoErrorCode, message: string, options: ArgoErrorOptions = {}) {
    super(code, message, {
      retryable: !FINAL.has(code),
      ...(options.details === undefined ? {} : { details: options.details }),
      ...(options.cause === undefined ? {} : { cause: options.cause }),
    });
    this.status = options.status ?? 0;
    this.reason = options.reason ?? '';
    this.retryAfterMs = options.retryAfterMs;
    this.ambiguous = options.ambiguous ?? false;
  }
}

/** Whether `error` is an ArgoError with this code. */
export function isArgoError(error: unknown, code: ArgoErrorCode): error is ArgoError {
  return error instanceof ArgoError && error.code === code;
}
