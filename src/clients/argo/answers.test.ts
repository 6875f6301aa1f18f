import fc from 'fast-check';
import { describe, expect, test } from 'vitest';
import { argoErrorOf, errorFromEvent, safeDetails } from './answers.ts';

const WRITE = { name: 'create the workflow', write: true };
const READ = { name: 'get the workflow', write: false };

function status(code: number, reason: string, extra: object = {}): string {
  return JSON.stringify({ kind: 'Status', status: 'Failure', message: `said ${reason}`, reason, code, ...extra });
}

function fail(
  code: number,
  body: string,
  headers: Record<string, string | string[]> = {},
): ReturnType<typeof argoErrorOf> {
  return argoErrorOf(WRITE, { status: code, headers, body });
}

describe('the class of a refusal', () => {
  test.each([
    [400, 'BadRequest', 'argo.invalid', false, false],
    [401, 'Unauthorized', 'argo.unauthorized', true, false],
    [403, 'Forbidden', 'argo.forbidden', true, false],
    [405, 'MethodNotAllowed', 'argo.invalid', false, false],
    [409, 'AlreadyExists', 'argo.already_exists', false, false],
    [409, 'Conflict', 'argo.conflict', true, false],
    [410, 'Expired', 'argo.expired', true, false],
    [410, 'Gone', 'argo.expired', true, false],
    [413, 'RequestEntityTooLarge', 'argo.too_large', false, false],
    [415, 'UnsupportedMediaType', 'argo.invalid', false, false],
    [422, 'Invalid', 'argo.invalid', false, false],
    [429, 'TooManyRequests', 'argo.too_many_requests', true, false],
    [500, 'InternalError', 'argo.unavailable', true, true],
    [503, 'ServiceUnavailable', 'argo.unavailable', true, true],
    [504, 'Timeout', 'argo.unavailable', true, true],
    [418, 'Teapot', 'argo.bad_answer', true, false],
  ])('%d %s is %s', (code, reason, ...[expected, retryable, ambiguous]) => {
    expect(fail(code, status(code, reason))).toMatchObject({
      code: expected,
      status: code,
      reason,
      retryable,
      ambiguous,
    });
  });

  test('distinguishes a missing object from a missing API', () => {
    const named = { details: { name: 'one', kind: 'workflows' } };
    expect(fail(404, status(404, 'NotFound', named))).toMatchObject({ code: 'argo.not_found', retryable: false });
    expect(fail(404, status(404, 'NotFound'))).toMatchObject({ code: 'argo.api_missing', retryable: true });
    const details = expect.stringContaining('is Argo Workflows installed?');
    expect(fail(404, '404 page not found\n')).toMatchObject({ code: 'argo.api_missing', retryable: true, details });
  });

  test('the details of a 401 say whose credentials were rejected', () => {
    const { details } = fail(401, status(401, 'Unauthorized', { message: 'Unauthorized' }));
    expect(details).toBe("the cluster rejects facteur's credentials");
  });

  test.each(['etcdserver: request is too large', 'rpc error: trying to send message larger than max (3 vs. 2)'])(
    'a 500 with «%s» is final: the object will never fit',
    (message) => {
      expect(fail(500, status(500, '', { message }))).toMatchObject({
        code: 'argo.too_large',
        retryable: false,
        ambiguous: false,
      });
    },
  );

  test.each([
    [400, 'argo.bad_answer'],
    [404, 'argo.bad_answer'],
    [422, 'argo.bad_answer'],
    [403, 'argo.bad_answer'],
    [409, 'argo.bad_answer'],
    [302, 'argo.bad_answer'],
    [401, 'argo.unauthorized'],
    [413, 'argo.too_large'],
    [429, 'argo.too_many_requests'],
    [502, 'argo.unavailable'],
  ])('a proxy’s page with status %d is %s', (code, expected) => {
    const error = fail(code, '<html><h1>token=abc</h1></html>');
    expect(error).toMatchObject({ code: expected, status: code, details: undefined });
    expect(error.message).not.toContain('abc');
  });

  test('a failed read is not ambiguous', () => {
    expect(argoErrorOf(READ, { status: 500, headers: {}, body: '' }).ambiguous).toBe(false);
  });
});

describe('the time to wait', () => {
  test.each([
    ['comes from the header', { 'retry-after': '7' }, {}, 7000],
    ['comes from the first header', { 'retry-after': ['7', '9'] }, {}, 7000],
    ['comes from the Status object', {}, { details: { retryAfterSeconds: 3 } }, 3000],
    [
      'comes from the header before the Status object',
      { 'retry-after': '7' },
      { details: { retryAfterSeconds: 3 } },
      7000,
    ],
    ['is at most an hour', { 'retry-after': '999999' }, {}, 3_600_000],
    ['is undefined for a date', { 'retry-after': 'Fri, 31 Dec 1999 23:59:59 GMT' }, {}, undefined],
    ['is undefined for zero', { 'retry-after': '0' }, {}, undefined],
  ])('%s', (_what, headers, extra, expected) => {
    expect(fail(429, status(429, 'TooManyRequests', extra), headers).retryAfterMs).toBe(expected);
  });
});

describe('the details to show', () => {
  test('include the message of a refusal, but not of a failure inside the cluster', () => {
    expect(fail(422, status(422, 'Invalid', { message: 'metadata.name: Invalid value' })).details).toBe(
      'metadata.name: Invalid value',
    );
    const inside = fail(500, status(500, 'InternalError', { message: 'dial tcp 10.0.0.1:2379' }));
    expect(inside.details).toBeUndefined();
    expect(inside.message).not.toContain('10.0.0.1');
    expect(inside.cause).toEqual(new Error('dial tcp 10.0.0.1:2379'));
  });

  test('name the webhook that failed, but not the reason', () => {
    const message = `Internal error occurred: failed calling webhook "validate.kyverno.svc-fail": failed to call webhook: Post "https://kyverno-svc.kyverno.svc:443/validate/fail?timeout=10s": dial tcp 10.96.7.7:443: connect: connection refused`;
    const failed = fail(500, status(500, 'InternalError', { message }));
    expect(failed.details).toBe('the admission webhook "validate.kyverno.svc-fail" failed');
    expect(failed).toMatchObject({ code: 'argo.unavailable', retryable: true, cause: new Error(message) });
    const forged = message.replace('validate.kyverno.svc-fail', 'see 10.0.0.1 <b>');
    expect(fail(500, status(500, 'InternalError', { message: forged })).details).toBeUndefined();
  });

  test.each([
    ['Post "https://kyverno-svc.kyverno.svc:443/validate?timeout=10s": denied', 'Post "[address]": denied'],
    ['dial tcp 10.96.0.1:443: refused', 'dial tcp [address]: refused'],
    ['dial tcp [fd00::1]:6443: refused', 'dial tcp [address]: refused'],
    ['lookup api.cluster.internal failed', 'lookup [address] failed'],
    ['at db.example.com:5432 it broke', 'at [address] it broke'],
    ['used Bearer abc.def-ghi', 'used Bearer ***'],
    ['token eyJhbGciOiJSUzI1NiJ9.eyJzdWIiOiJ4In0.c2ln end', 'token *** end'],
    ['two\nlines\tand\u0000more', 'two lines and more'],
    ['workflows.argoproj.io "one" already exists', 'workflows.argoproj.io "one" already exists'],
  ])('%j becomes %j', (message, expected) => {
    expect(safeDetails(message)).toBe(expected);
  });

  test('are one bounded line for any input', () => {
    fc.assert(
      fc.property(fc.string({ maxLength: 1500, unit: 'binary' }), (message) => {
        const details = safeDetails(message);
        expect(details.length).toBeLessThanOrEqual(500);
        expect(details).not.toMatch(/[\n\r\u0000]/);
      }),
    );
  });
});

test('classifies an ERROR event like an answer', () => {
  expect(errorFromEvent(READ, { kind: 'Status', code: 410, reason: 'Expired', message: 'too old' })).toMatchObject({
    code: 'argo.expired',
    status: 410,
  });
  expect(errorFromEvent(READ, { kind: 'Status', code: 410 })).toMatchObject({ code: 'argo.expired' });
  expect(errorFromEvent(READ, null)).toMatchObject({ code: 'argo.unavailable', status: 500 });
});
