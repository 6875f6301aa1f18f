import { expect, test } from 'vitest';
import { Secret } from '../../base/secret.ts';
import { connectionSettings, fetchTimeoutMs } from './connection-options.ts';

test('plain brokers need no other settings', () => {
  expect(connectionSettings({ brokers: ['a:9092', 'b:9092'] })).toEqual({
    clientId: 'facteur',
    bootstrapBrokers: ['a:9092', 'b:9092'],
  });
});

test('TLS verifies certificates unless disabled, and sends server names but not addresses', () => {
  expect(connectionSettings({ brokers: ['kafka:9093'], tls: { insecureSkipVerify: false } })).toMatchObject({
    tls: { rejectUnauthorized: true },
    tlsServerName: true,
  });
  for (const broker of ['10.0.0.1:9093', '[::1]:9093']) {
    expect(connectionSettings({ brokers: [broker], tls: { insecureSkipVerify: true } })).toMatchObject({
      tls: { rejectUnauthorized: false },
      tlsServerName: false,
    });
  }
});

test.each([
  ['plain', 'PLAIN'],
  ['scram-sha-256', 'SCRAM-SHA-256'],
  ['scram-sha-512', 'SCRAM-SHA-512'],
] as const)('SASL %s', (mechanism, name) => {
  const sasl = { mechanism, username: 'u', password: new Secret('p') };
  expect(connectionSettings({ brokers: ['a:1'], sasl }).sasl).toEqual({
    mechanism: name,
    username: 'u',
    password: 'p',
  });
});

test('a fetch may take longer than its wait, but never longer than a timer allows', () => {
  expect(fetchTimeoutMs(1000)).toBe(11_000);
  // The longest `consumer.max_wait`.
  expect(fetchTimeoutMs(2 ** 31 - 1)).toBe(2 ** 31 - 1);
});
