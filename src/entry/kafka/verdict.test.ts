import { expect, test } from 'vitest';
import { FacteurError } from '../../base/errors.ts';
import { KafkaError } from '../../clients/kafka/errors.ts';
import { DatabaseError } from '../../clients/postgres/database.ts';
import { Refusal } from '../../domain/refusal.ts';
import { verdictOn } from './verdict.ts';

const contended = new FacteurError('ledger.contended', 'x', { retryable: true });

test.each([
  ['permanently refused, on the first attempt', new Refusal('forbidden'), 1, 'park'],
  ['a value that Postgres cannot hold', new DatabaseError('postgres.invalid', 'x', { retryable: false }), 1, 'park'],
  ['an unreadable batch', new KafkaError('kafka.unreadable', 'x'), 1, 'park'],
  ['Postgres down', new DatabaseError('postgres.unavailable', 'x', { retryable: true }), 1, 'wait'],
  ['Postgres down for very long', new DatabaseError('postgres.unavailable', 'x', { retryable: true }), 999, 'wait'],
  ['a table missing for very long', new DatabaseError('postgres.broken', 'x', { retryable: true }), 999, 'wait'],
  ['facteur starting or stopping', new FacteurError('app.unready', 'x', { retryable: true }), 999, 'wait'],
  ['templates not read yet', new FacteurError('commands.unread', 'x', { retryable: true }), 999, 'wait'],
  ['a lost race', contended, 4, 'retry'],
  ['a lost race, five times', contended, 5, 'park'],
  ['a statement that fails', new DatabaseError('postgres.failed', 'x', { retryable: false }), 4, 'retry'],
  ['a bug', new TypeError('x is undefined'), 4, 'retry'],
  ['a bug, five times', new TypeError('x is undefined'), 5, 'park'],
])('%s', (_, error, attempts, verdict) => {
  expect(verdictOn(error, attempts, 5)).toBe(verdict);
});
