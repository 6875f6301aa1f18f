import { expect, test } from 'vitest';
import { Refusal } from '../../domain/refusal.ts';
import { kafkaRecord } from '../../../test/support/kafka-record.ts';
import { deadLetterRecord, deadLetterRow, parkingReason } from './dead-letter.ts';

const forbidden = { error: new Refusal('forbidden', 'none of your roles'), attempts: 2, deliveryId: '77' };
const place = { topic: 'commands', partition: 1, offset: 5n, timestampMs: 99 };

test('the topic gets key, value and headers unchanged, and the reason', () => {
  const value = Buffer.from([0x0a, 1, 0xff]);
  const record = kafkaRecord({
    ...place,
    key: Buffer.from('k'),
    value,
    headers: [
      ['authorization', 'x'],
      ['a', '1'],
    ],
  });
  const letter = deadLetterRecord('dlq', record, forbidden);
  expect(letter).toMatchObject({ topic: 'dlq', key: Buffer.from('k') });
  expect(letter.value).toEqual(value);
  expect(letter.headers.map(([name, bytes]) => [name, bytes?.toString()])).toEqual([
    ['authorization', 'x'],
    ['a', '1'],
    ['facteur-error', 'forbidden: none of your roles'],
    ['facteur-attempts', '2'],
    ['facteur-source', 'commands/1/5'],
  ]);
});

test('replaces facteur headers of an earlier dead letter', () => {
  const record = kafkaRecord({
    ...place,
    headers: [
      ['Facteur-Error', 'old'],
      ['facteur-source', 'old/0/0'],
    ],
  });
  const names = deadLetterRecord('dlq', record, forbidden).headers.map(([name]) => name);
  expect(names).toEqual(['facteur-error', 'facteur-attempts', 'facteur-source']);
});

test('a tombstone stays one', () => {
  expect(deadLetterRecord('dlq', kafkaRecord({ value: null }), forbidden).value).toBeNull();
});

test('neither the topic nor the table gets the interaction token', () => {
  const value = Buffer.from(JSON.stringify({ command: 'plan', token: 'aW50ZXJhY3Rpb246MTIz' }));
  const record = kafkaRecord({ ...place, value });
  for (const kept of [deadLetterRecord('dlq', record, forbidden).value, deadLetterRow(record, forbidden).body]) {
    expect(JSON.parse(String(kept))).toEqual({ command: 'plan' });
  }
});

test('the table gets only the headers that a replay needs', () => {
  const record = kafkaRecord({
    ...place,
    headers: [
      ['ce_id', '1'],
      ['ce_source', 's'],
      ['Authorization', 'Bearer x'],
      ['traceparent', 't'],
      ['cookie', 'c'],
    ],
  });
  expect(deadLetterRow(record, forbidden)).toEqual({
    door: 'kafka',
    deliveryId: '77',
    reason: 'forbidden: none of your roles',
    attempts: 2,
    headers: {
      'ce-id': '1',
      'ce-source': 's',
      traceparent: 't',
      'facteur-source': 'commands/1/5',
    },
    body: Buffer.from('{}'),
    source: 'kafka:commands/1/5@99',
  });
});

test('an unreadable record is identified by its topic, partition, offset and timestamp', () => {
  expect(deadLetterRow(kafkaRecord(place), { ...forbidden, deliveryId: '' }).deliveryId).toBe('kafka:commands/1/5@99');
});

test('the reason is the refusal’s text, or the error message', () => {
  expect(parkingReason(new Refusal('empty_payload'))).toBe('empty payload');
  expect(parkingReason(new TypeError('x is undefined'))).toBe('x is undefined');
});
