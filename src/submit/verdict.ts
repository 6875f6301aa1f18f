import { errorMessage } from '../base/errors.ts';
import { ArgoError, type ArgoErrorCode } from '../clients/argo/errors.ts';

/** What a failed create means for the run. Reasons are for the user. */
export type Verdict =
  /** `overloaded`: the cluster had too much, so that everything should go slower. */
  | { readonly kind: 'retry'; readonly reason: string; readonly overloaded: boolean; readonly afterMs?: number }
  | { readonly kind: 'exists' }
  | { readonly kind: 'refuse'; readonly reason: string };

/** What the API itself says for good. Everything else (5xx, no answer, expired credentials, too many) may work the next time. */
const FINAL: ReadonlySet<ArgoErrorCode> = new Set([
  'argo.invalid',
  'argo.too_large',
  'argo.forbidden',
  'argo.not_found',
  'argo.api_missing',
]);

/** What a cluster says, or fails to say, when it has too much to do. */
const OVERLOAD: ReadonlySet<ArgoErrorCode> = new Set(['argo.too_many_requests', 'argo.unavailable', 'argo.timeout']);

/** Decides by the error's code alone, never by the words of its message. */
export function judgeCreateFailure(error: unknown): Verdict {
  if (!(error instanceof ArgoError)) {
    return { kind: 'retry', reason: errorMessage(error), overloaded: false };
  }
  if (error.code === 'argo.already_exists') {
    return { kind: 'exists' };
  }
  const reason = error.details ?? error.message;
  if (FINAL.has(error.code)) {
    return { kind: 'refuse', reason };
  }
  const overloaded = OVERLOAD.has(error.code);
  return error.retryAfterMs === undefined
    ? { kind: 'retry', reason, overloaded }
    : { kind: 'retry', reason, overloaded, afterMs: error.retryAfterMs };
}
