import type { IncomingHttpHeaders } from 'node:http';
import { firstHeader } from '../first-header.ts';
import { ArgoError } from './errors.ts';
import type { ArgoErrorCode } from './errors.ts';

/** The request, for messages and for classifying ambiguous failures. */
export interface Operation {
  /** As in «cannot …»: `create the workflow`. */
  readonly name: string;
  /** True if the request changes the cluster. */
  readonly write: boolean;
}

/** The parts of `metav1.Status` that matter here; anything may be absent. */
interface Status {
  readonly kind?: unknown;
  readonly reason?: unknown;
  readonly message?: unknown;
  readonly code?: unknown;
  readonly details?: { readonly name?: unknown; readonly retryAfterSeconds?: unknown };
}

interface ClusterAnswer {
  readonly status: number;
  readonly headers: IncomingHttpHeaders;
  readonly body: string;
}

const MAX_DETAILS = 500;
const MAX_RETRY_AFTER_MS = 3_600_000;

const BY_REASON: Readonly<Record<string, ArgoErrorCode>> = {
  AlreadyExists: 'argo.already_exists',
  Conflict: 'argo.conflict',
  Expired: 'argo.expired',
  Gone: 'argo.expired',
  TooManyRequests: 'argo.too_many_requests',
  RequestEntityTooLarge: 'argo.too_large',
};

const BY_STATUS: Readonly<Record<number, ArgoErrorCode>> = {
  400: 'argo.invalid',
  401: 'argo.unauthorized',
  403: 'argo.forbidden',
  405: 'argo.invalid',
  406: 'argo.invalid',
  409: 'argo.conflict',
  410: 'argo.expired',
  413: 'argo.too_large',
  415: 'argo.invalid',
  422: 'argo.invalid',
  429: 'argo.too_many_requests',
};

/** A proxy may send these statuses itself, with the same meaning. Others count only from the API. */
const TRUSTED_FROM_ANYBODY = new Set([401, 413, 429]);

/**
 * The two refusals of an object that fits the request limit but not the store: etcd's own, and its client's above 2 MiB. Both are
 * a 500 without a reason, so only the text identifies them.
 */
const TOO_LARGE_FOR_STORE = /etcdserver: request is too large|trying to send message larger than max/;

/**
 * A refusal because of a quota is an ordinary 403, and Kubernetes has no field for the difference. The text is that
 * of its admission plugin; Argo's controller relies on it too.
 */
const QUOTA = /(?:exceeded quota|status unknown for quota): .*/s;

/** The API server's whole answer for a kind that it does not have, in plain text. */
const NO_SUCH_PATH = /^404 page not found\s*$/;

/** The typed error for an answer that is not a success. */
export function argoErrorOf(operation: Operation, answer: ClusterAnswer): ArgoError {
  const status = parseStatus(answer.body);
  if (status !== undefined) {
    return errorFromStatus(operation, answer.status, status, answer.headers);
  }
  const { status: code } = answer;
  if (code >= 500) {
    return failure(operation, 'argo.unavailable', { status: code, headers: answer.headers });
  }
  if (code === 404 && NO_SUCH_PATH.test(answer.body)) {
    const details = 'the cluster does not know this kind of object; is Argo Workflows installed?';
    return failure(operation, 'argo.api_missing', { status: code, headers: answer.headers, details });
  }
  const known = TRUSTED_FROM_ANYBODY.has(code) ? BY_STATUS[code] : undefined;
  return failure(operation, known ?? 'argo.bad_answer', { status: code, headers: answer.headers });
}

/** The typed error for the object of a watch's ERROR event. */
export function errorFromEvent(operation: Operation, object: unknown): ArgoError {
  const status: Status = typeof object === 'object' && object !== null ? object : {};
  return errorFromStatus(operation, typeof status.code === 'number' ? status.code : 500, status, {});
}

function errorFromStatus(operation: Operation, code: number, status: Status, headers: IncomingHttpHeaders): ArgoError {
  const reason = text(status.reason);
  const message = text(status.message);
  // The text of a 5xx describes internals of the cluster (etcd, webhooks, addresses), which users must not see.
  const internal = code >= 500;
  const quota = code === 403 ? QUOTA.exec(message)?.[0] : undefined;
  return failure(operation, quota === undefined ? codeOf(code, reason, status) : 'argo.quota', {
    status: code,
    reason,
    headers,
    retryAfterSeconds: status.details?.retryAfterSeconds,
    details: code === 401 ? REJECTED : detailsOf(internal, quota ?? message),
    cause: internal ? new Error(message) : undefined,
  });
}

/** The API server says only `Unauthorized`, which users would take to mean that they lack permissions. */
const REJECTED = "the cluster rejects facteur's credentials";

function detailsOf(internal: boolean, message: string): string | undefined {
  if (internal) {
    return webhookFault(message);
  }
  return message === '' ? undefined : safeDetails(message);
}

/** A failing webhook is named, since only its owner can fix it. */
function webhookFault(message: string): string | undefined {
  const name = /failed calling webhook "([a-z0-9.-]{1,253})"/.exec(message)?.[1];
  return name === undefined ? undefined : `the admission webhook "${name}" failed`;
}

function codeOf(status: number, reason: string, body: Status): ArgoErrorCode {
  if (status === 404) {
    // Without a name, the kind is missing and not the object.
    return text(body.details?.name) === '' ? 'argo.api_missing' : 'argo.not_found';
  }
  const byReason = BY_REASON[reason];
  if (byReason !== undefined) {
    return byReason;
  }
  if (status >= 500) {
    return TOO_LARGE_FOR_STORE.test(text(body.message)) ? 'argo.too_large' : 'argo.unavailable';
  }
  return BY_STATUS[status] ?? 'argo.bad_answer';
}

interface FailureFacts {
  readonly status: number;
  readonly reason?: string;
  readonly headers: IncomingHttpHeaders;
  readonly retryAfterSeconds?: unknown;
  readonly details?: string | undefined;
  readonly cause?: unknown;
}

function failure(operation: Operation, code: ArgoErrorCode, facts: FailureFacts): ArgoError {
  const reason = facts.reason ?? '';
  const said = reason === '' ? `HTTP ${facts.status}` : `${reason} (${facts.status})`;
  const tail = facts.details === undefined ? '' : `: ${facts.details}`;
  return new ArgoError(code, `cannot ${operation.name}: ${said}${tail}`, {
    status: facts.status,
    reason,
    retryAfterMs: retryAfterMs(firstHeader(facts.headers, 'retry-after'), facts.retryAfterSeconds),
    ambiguous: operation.write && code === 'argo.unavailable',
    details: facts.details,
    cause: facts.cause,
  });
}

/** The requested wait: the header in seconds, else the Status object's number; Kubernetes does not use dates. */
function retryAfterMs(header: string | undefined, fromStatus: unknown): number | undefined {
  const seconds = header !== undefined && /^\d+$/.test(header) ? Number(header) : fromStatus;
  if (typeof seconds !== 'number' || !(seconds > 0)) {
    return undefined;
  }
  return Math.min(seconds * 1000, MAX_RETRY_AFTER_MS);
}

function parseStatus(body: string): Status | undefined {
  try {
    const value: unknown = JSON.parse(body);
    const isStatus = typeof value === 'object' && value !== null && (value as Status).kind === 'Status';
    return isStatus ? value : undefined;
  } catch {
    // A proxy's page or a truncated answer: only the HTTP status is known.
    return undefined;
  }
}

function text(value: unknown): string {
  return typeof value === 'string' ? value : '';
}

/** One bounded line without addresses, in-cluster host names or anything that looks like a token. */
export function safeDetails(message: string): string {
  const line = message
    .slice(0, MAX_DETAILS * 2)
    .replaceAll(/[\s\p{Cc}]+/gu, ' ')
    .replaceAll(/\b[a-z][a-z0-9+.-]{1,15}:\/\/[^\s"'`]+/gi, '[address]')
    .replaceAll(/\[[0-9a-f:.]{3,45}\](?::\d{1,5})?/gi, '[address]')
    .replaceAll(/\b\d{1,3}(?:\.\d{1,3}){3}(?::\d{1,5})?\b/g, '[address]')
    .replaceAll(/\b[a-z0-9-]{1,63}(?:\.[a-z0-9-]{1,63}){1,8}:\d{2,5}\b/gi, '[address]')
    .replaceAll(/\b[a-z0-9-]{1,63}(?:\.[a-z0-9-]{1,63}){0,8}\.(?:svc|local|internal)\b(?:\.[a-z0-9-]+)*/gi, '[address]')
    .replaceAll(/\bBearer\s+\S+/gi, 'Bearer ***')
    .replaceAll(/\beyJ[\w-]{10,}(?:\.[\w-]*)*/g, '***')
    .trim();
  return line.length <= MAX_DETAILS ? line : `${line.slice(0, MAX_DETAILS - 1)}…`;
}
