import { AuthenticationError, MultipleErrors, NetworkError, ProtocolError, UserError } from '@platformatic/kafka';
import { expect, test } from 'vitest';
import { KafkaError, toKafkaError } from './errors.ts';

const coded = (code: string, message: string): Error => Object.assign(new Error(message), { code });
const wrapped = (cause: Error): Error =>
  new MultipleErrors('Cannot connect to any broker.', [new NetworkError('Connection to h:1 failed.', { cause })]);

test.each([
  ['a refused connection', wrapped(coded('ECONNREFUSED', 'connect ECONNREFUSED h:1')), 'kafka.unavailable', true],
  ['wrong credentials', wrapped(new AuthenticationError('SASL authentication failed.')), 'kafka.authentication', false],
  ['an unsupported mechanism', new ProtocolError('UNSUPPORTED_SASL_MECHANISM'), 'kafka.authentication', false],
  [
    'an untrusted certificate',
    wrapped(coded('DEPTH_ZERO_SELF_SIGNED_CERT', 'self-signed certificate')),
    'kafka.tls',
    false,
  ],
  ['a certificate for another name', wrapped(coded('ERR_TLS_CERT_ALTNAME_INVALID', 'altnames')), 'kafka.tls', false],
  ['a broker without TLS', wrapped(coded('ERR_SSL_WRONG_VERSION_NUMBER', 'wrong version')), 'kafka.tls', false],
  ['an unknown topic', new UserError('Unknown topic t.'), 'kafka.topic', true],
  ['another group protocol', new ProtocolError('INCONSISTENT_GROUP_PROTOCOL'), 'kafka.group', true],
  ['a missing permission', new ProtocolError('GROUP_AUTHORIZATION_FAILED'), 'kafka.denied', false],
  [
    'a message that is too large',
    new MultipleErrors('x', [new ProtocolError('MESSAGE_TOO_LARGE')]),
    'kafka.rejected',
    false,
  ],
  ['an election', new ProtocolError('NOT_LEADER_OR_FOLLOWER'), 'kafka.unavailable', true],
  ['any other error', new TypeError('x is undefined'), 'kafka.unavailable', true],
  ['a value that is not an error', 'gone', 'kafka.unavailable', true],
])('%s', (_, thrown, code, retryable) => {
  expect(toKafkaError(thrown)).toMatchObject({ code, retryable });
});

test('the message has the innermost causes, once each', () => {
  const refused = coded('ECONNREFUSED', 'connect ECONNREFUSED h:1');
  const error = toKafkaError(new MultipleErrors('failed 2 times', [wrapped(refused), wrapped(refused)]));
  expect(error.message).toBe('kafka is not available: connect ECONNREFUSED h:1');
});

test('keeps an error that is already classified', () => {
  const known = new KafkaError('kafka.topic', 'x');
  expect(toKafkaError(known)).toBe(known);
});
