import type { ServerResponse } from 'node:http';
import { ApiFailure } from './api-failure.ts';
import type { CannedAnswer } from './faults.ts';
import { sendText } from '../simulation-server.ts';

/** Sends the answer of a fault rule. */
export function sendCanned(response: ServerResponse, canned: CannedAnswer): void {
  if (canned.retryAfterSeconds !== undefined) {
    response.setHeader('retry-after', String(canned.retryAfterSeconds));
  }
  if (canned.body !== undefined) {
    sendText(response, canned.status, canned.contentType ?? 'text/html', canned.body);
    return;
  }
  const details = canned.retryAfterSeconds === undefined ? undefined : { retryAfterSeconds: canned.retryAfterSeconds };
  const { reason = '', message = 'simulated failure' } = canned;
  sendFailure(response, new ApiFailure(canned.status, reason, message, details));
}

/** A Status object, with `Retry-After` when it has one. */
export function sendFailure(response: ServerResponse, failure: ApiFailure): void {
  if (failure.retryAfterSeconds !== undefined) {
    response.setHeader('retry-after', String(failure.retryAfterSeconds));
  }
  sendText(response, failure.code, 'application/json', JSON.stringify(failure.status));
}
