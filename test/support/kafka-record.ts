import type { ConsumedRecord } from '../../src/clients/kafka/records.ts';

/** A record as returned by the client, with headers given as text. */
export function kafkaRecord({
  headers = [],
  ...rest
}: Partial<Omit<ConsumedRecord, 'headers'>> & { headers?: readonly (readonly [string, string])[] }): ConsumedRecord {
  return {
    topic: 'commands',
    partition: 0,
    offset: 0n,
    timestampMs: 0,
    key: null,
    value: Buffer.from('{}'),
    ...rest,
    headers: headers.map(([name, text]) => [name, Buffer.from(text)]),
  };
}
