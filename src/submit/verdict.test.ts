import { describe, expect, test } from 'vitest';
import { ArgoError, type ArgoErrorCode } from '../clients/argo/errors.ts';
import { judgeCreateFailure } from './verdict.ts';

describe('judgeCreateFailure', () => {
  test.each<[ArgoErrorCode, string]>([
    ['argo.already_exists', 'exists'],
    ['argo.invalid', 'refuse'],
    ['argo.too_large', 'refuse'],
    ['argo.forbidden', 'refuse'],
    ['argo.not_found', 'refuse'],
    ['argo.api_missing', 'refuse'],
    ['argo.unauthorized', 'retry'],
    ['argo.too_many_requests', 'retry'],
    ['argo.unavailable', 'retry'],
    ['argo.timeout', 'retry'],
    ['argo.connection', 'retry'],
    ['argo.bad_answer', 'retry'],
    ['argo.credentials', 'retry'],
    ['argo.conflict', 'retry'],
    ['argo.aborted', 'retry'],
  ])('%s -> %s', (code, kind) => {
    expect(judgeCreateFailure(new ArgoError(code, 'words that decide nothing')).kind).toBe(kind);
  });

  test('the cluster’s own words become the reason, and its wait is kept', () => {
    const error = new ArgoError('argo.too_many_requests', 'HTTP 429', { details: 'slow down', retryAfterMs: 3000 });
    expect(judgeCreateFailure(error)).toEqual({
      kind: 'retry',
      reason: 'slow down',
      overloaded: true,
      afterMs: 3000,
    });
  });

  test('anything unforeseen is tried again', () => {
    expect(judgeCreateFailure(new TypeError('boom')).kind).toBe('retry');
  });
});
