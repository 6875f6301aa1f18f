import { expect, test } from 'vitest';
import { kafkaRecord } from '../../../test/support/kafka-record.ts';
import { incomingOf, readableOf, recordId, sourceOf } from './incoming.ts';

test('lowercases headers, renames CloudEvent attributes, and takes the last of two values', () => {
  const { headers } = incomingOf(
    kafkaRecord({
      headers: [
        ['Content-Type', 'application/x-protobuf'],
        ['ce_id', 'old'],
        ['ce_id', '7'],
        ['CE_Source', '/s'],
        ['traceparent', 'x'],
        ['__proto__', 'y'],
      ],
    }),
  );
  expect(Object.entries(headers)).toEqual([
    ['content-type', 'application/x-protobuf'],
    ['ce-id', '7'],
    ['ce-source', '/s'],
    ['traceparent', 'x'],
    ['__proto__', 'y'],
  ]);
});

test('refuses a CloudEvent attribute that is not UTF-8: two of them could become the same', () => {
  const record = { ...kafkaRecord({}), headers: [['CE_ID', Buffer.from([0, 0, 0, 200])] as const] };
  expect(() => readableOf(record)).toThrow(
    expect.objectContaining({ kind: 'invalid_payload', details: 'header ce-id: must be UTF-8' }),
  );
  const other = { ...kafkaRecord({}), headers: [['signature', Buffer.from([200])] as const] };
  expect(readableOf(other).headers).toEqual({ signature: '\ufffd' });
});

test('a tombstone is an empty body', () => {
  expect(incomingOf(kafkaRecord({ value: null })).body).toHaveLength(0);
});

test('the identity of a record is its position and its timestamp', () => {
  const record = kafkaRecord({ topic: 'a.b', partition: 2, offset: 12n, timestampMs: 1_700_000_000_000 });
  expect(sourceOf(record)).toBe('a.b/2/12');
  expect(recordId(record)).toBe('kafka:a.b/2/12@1700000000000');
});
