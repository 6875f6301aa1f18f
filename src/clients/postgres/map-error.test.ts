import fc from 'fast-check';
import { describe, expect, test } from 'vitest';
import { DatabaseError } from './database.ts';
import { connectionError, losesConnection, statementError } from './map-error.ts';

/** An error of the server as `pg` throws it. */
function server(code: string, more: Record<string, string> = {}): Error {
  return Object.assign(new Error('the server’s words'), { severity: 'ERROR', code, ...more });
}

describe('a statement that the server refused', () => {
  test.each([
    ['23505', 'postgres.conflict', false],
    ['40001', 'postgres.conflict', true],
    ['40P01', 'postgres.conflict', true],
    ['22P02', 'postgres.invalid', false],
    ['22P05', 'postgres.invalid', false],
    ['22021', 'postgres.invalid', false],
    ['54000', 'postgres.invalid', false],
    ['08006', 'postgres.unavailable', true],
    ['53300', 'postgres.unavailable', true],
    ['53100', 'postgres.unavailable', true],
    ['57P01', 'postgres.unavailable', true],
    ['57P02', 'postgres.unavailable', true],
    ['57P03', 'postgres.unavailable', true],
    ['57014', 'postgres.unavailable', true],
    ['25006', 'postgres.unavailable', true],
    ['25P03', 'postgres.unavailable', true],
    ['25P04', 'postgres.unavailable', true],
    ['55P03', 'postgres.unavailable', true],
    ['42P01', 'postgres.broken', true],
    ['42501', 'postgres.broken', true],
    ['42P05', 'postgres.broken', true],
    ['42703', 'postgres.broken', true],
    ['3F000', 'postgres.broken', true],
    ['55000', 'postgres.broken', true],
    ['58030', 'postgres.broken', true],
    ['58P01', 'postgres.broken', true],
    ['XX000', 'postgres.broken', true],
    ['XX001', 'postgres.broken', true],
    ['23502', 'postgres.failed', false],
    ['P0001', 'postgres.failed', false],
  ])('%s is %s', (state, code, retryable) => {
    expect(statementError(server(state), 'runs.accept')).toMatchObject({ code, retryable, sqlState: state });
  });

  test('gives an error with the statement and the constraint', () => {
    const error = statementError(server('23505', { constraint: 'runs_delivery_unique' }), 'runs.accept');
    expect(error.constraint).toBe('runs_delivery_unique');
    expect(error.message).toBe('postgres: the server’s words in runs.accept (23505)');
  });

  test('never passes on text that quotes rows', () => {
    const told = server('23505', {
      detail: 'Key (token)=(hunter2) already exists.',
      where: 'unnamed parameter $1 = hunter2',
    });
    const error = statementError(told, undefined);
    expect(JSON.stringify(error, Object.getOwnPropertyNames(error))).not.toContain('hunter2');
    expect(error.cause).toBeUndefined();
  });

  test('gives an error without the server’s message if that quotes the value', () => {
    expect(statementError(server('22P02'), 'x').message).toBe('postgres cannot store a value in x (22P02)');
  });

  test.each(['GetNewTransactionId', 'GetNewMultiXactId'])(
    'a server that needs VACUUM does not mean an invalid value: %s',
    (routine) => {
      const error = statementError(server('54000', { routine }), 'runs.accept');
      expect(error).toMatchObject({ code: 'postgres.unavailable', retryable: true });
      expect(error.message).toBe('postgres: the server’s words in runs.accept (54000)');
    },
  );

  test('a plan that a migration made stale is retryable, on another connection', () => {
    const stale = server('0A000', { routine: 'RevalidateCachedQuery' });
    expect(statementError(stale, undefined)).toMatchObject({ code: 'postgres.unavailable', retryable: true });
    expect(losesConnection(stale)).toBe(true);
  });
});

test.each([
  ['a plain refusal', server('23505'), false],
  ['a server that stops', server('57P01', { severity: 'FATAL' }), true],
  ['a server that became a standby', server('25006'), true],
  ['a pooler that shares prepared statements', server('42P05'), true],
  ['a socket error', Object.assign(new Error('read ECONNRESET'), { code: 'ECONNRESET' }), true],
])('%s: is the connection lost?', (_case, error, lost) => {
  expect(losesConnection(error)).toBe(lost);
});

test('any connection failure is unavailable, with its reason', () => {
  const refused = new AggregateError([
    new Error('connect ECONNREFUSED ::1:5'),
    new Error('connect ECONNREFUSED 127.0.0.1:5'),
  ]);
  expect(connectionError(refused)).toMatchObject({
    code: 'postgres.unavailable',
    retryable: true,
    message: 'postgres is not available: connect ECONNREFUSED ::1:5; connect ECONNREFUSED 127.0.0.1:5',
  });
  expect(connectionError(server('28P01'))).toMatchObject({ code: 'postgres.unavailable', sqlState: '28P01' });
});

test('classifying never throws', () => {
  fc.assert(
    fc.property(fc.anything(), fc.option(fc.string(), { nil: undefined }), (thrown, name) => {
      expect(statementError(thrown, name)).toBeInstanceOf(DatabaseError);
      expect(connectionError(thrown)).toBeInstanceOf(DatabaseError);
      losesConnection(thrown);
    }),
  );
});
