import { AuthenticationError, MultipleErrors, NetworkError, ProtocolError, UserError } from '@platformatic/kafka';
import { expect, test } from 'vitest';
import { KafkaError, toKafkaError } from './errors.ts';

const coded = (code: string, message: string): Error => Object.assign(new Error(message), { code });
const wrapped = (cause: Error): Error =>
  new MultipleErrors('Cannot connect to any broker.', [new NetworkError('Connection to h:1 failed.', { cause })]);

test.each([
  ['refused', wrapped(coded('ECONNREFUSED', 'connect ECONNREFUSED h:1')), 'kafka.unavailable', true],
  ['credentials', wrapped(new AuthenticationError('SASL authentication failed.')), 'kafka.authentication', false],
  ['mechanism', new ProtocolError('UNSUPPORTED_SASL_MECHANISM'), 'kafka.authentication', false],
  ['certificate', wrapped(coded('DEPTH_ZERO_SELF_SIGNED_CERT', 'self-signed certificate')), 'kafka.tls', false],
  ['name', wrapped(coded('ERR_TLS_CERT_ALTNAME_INVALID', 'altnames')), 'kafka.tls', false],
  ['plain text', wrapped(coded('ERR_SSL_WRONG_VERSION_NUMBER', 'wrong version')), 'kafka.tls', false],
  ['topic', new UserError('Unknown topic t.'), 'kafka.topic', true],
  ['other protocol', new ProtocolError('INCONSISTENT_GROUP_PROTOCOL'), 'kafka.group', true],
  ['no right', new ProtocolError('GROUP_AUTHORIZATION_FAILED'), 'kafka.denied', false],
  ['too large', new MultipleErrors('x', [new ProtocolError('MESSAGE_TOO_LARGE')]), 'kafka.rejected', false],
  ['election', new ProtocolError('NOT_LEADER_OR_FOLLOWER'), 'kafka.unavailable', true],
  ['anything', new TypeError('x is undefined'), 'kafka.unavailable', true],
  ['no error', 'gone', 'kafka.unavailable', true],
])('%s', (_, thrown, code, retryable) => {
  expect(toKafkaError(thrown)).toMatchObject({ code, retryable });
});

test('the innermost words are said, once each', () => {
  const refused = coded('ECONNREFUSED', 'connect ECONNREFUSED h:1');
  const error = toKafkaError(new MultipleErrors('failed 2 times', [wrapped(refused), wrapped(refused)]));
  expect(error.message).toBe('kafka is not available: connect ECONNREFUSED h:1');
});

test('an error that is known already stays what it is', () => {
  const known = new KafkaError('kafka.topic', 'x');
  expect(toKafkaError(known)).toBe(known);
});
