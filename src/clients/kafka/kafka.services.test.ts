import { join } from 'node:path';
import { Consumer } from '@platformatic/kafka';
import { afterAll, beforeAll, expect, test, vi } from 'vitest';
import type { KafkaConfig } from '../../config/config.ts';
import { Secret } from '../../base/secret.ts';
import { plainBroker, saslUser, serviceVariable, TestKafka } from '../../../test/support/kafka.ts';
import { Member, quiet, text } from '../../../test/support/kafka-member.ts';
import { startTcpProxy } from '../../../test/support/tcp-proxy.ts';
import { openKafka } from './open-kafka.ts';

let kafka: TestKafka;
beforeAll(() => {
  kafka = new TestKafka();
});
afterAll(() => kafka.close());

test('records arrive whole and in order, and are not read again after a commit', async () => {
  const topic = await kafka.createTopic(2);
  await kafka.produce(topic, [
    {
      partition: 1,
      key: Buffer.from('k'),
      value: Buffer.from([0, 255]),
      headers: [
        ['a', '1'],
        ['a', '2'],
      ],
    },
    { partition: 1, key: Buffer.from('k') },
    text('three', 1),
  ]);
  const first = await Member.join({ topic, groupId: topic });
  await vi.waitFor(() => expect(first.seen).toHaveLength(3));
  expect(first.seen[0]).toMatchObject({
    topic,
    partition: 1,
    offset: 0n,
    key: Buffer.from('k'),
    value: Buffer.from([0, 255]),
  });
  expect(first.seen[0]!.headers.map(([name, value]) => [name, value?.toString()])).toEqual([
    ['a', '1'],
    ['a', '2'],
  ]);
  expect(first.seen[0]!.timestampMs).toBeGreaterThan(Date.now() - 60_000);
  expect(first.seen.map(({ offset, value }) => [offset, value === null])).toEqual([
    [0n, false],
    [1n, true],
    [2n, false],
  ]);
  await first.stop();
  expect(await kafka.committed(topic, topic, 2)).toEqual([-1n, 3n]);

  await kafka.produce(topic, [text('four', 1), text('five', 0)]);
  const second = await Member.join({ topic, groupId: topic });
  await vi.waitFor(() => expect(second.values().toSorted()).toEqual(['five', 'four']));
  expect(second.client.lag().get(1)).toBe(0n);
  await second.stop();
});

/** A member that handles nothing of the first partitions until released, and the partition of each record it received. */
async function holdUp(topic: string, partitions: number) {
  const { promise, resolve: release } = Promise.withResolvers<void>();
  const seen: number[] = [];
  const member = await Member.join({
    topic,
    groupId: topic,
    onPartition: async (reader) => {
      for (let records = await reader.next(); records !== undefined; records = await reader.next()) {
        seen.push(...records.map(({ partition }) => partition));
        if (reader.partition < partitions) {
          await promise;
        }
        reader.handled(records.at(-1)!.offset + 1n);
      }
    },
  });
  return { member, seen, release };
}

test('a reader that does not ask for more holds up its own partition and no other', async () => {
  const topic = await kafka.createTopic(2);
  const batch = Array.from({ length: 3000 }, (_, index) => text(`${index}`.padEnd(500), 0));
  await kafka.produce(topic, batch);
  await kafka.produce(topic, [text('first', 1)]);
  const { member, seen, release } = await holdUp(topic, 1);
  await vi.waitFor(() => expect(new Set(seen)).toEqual(new Set([0, 1])));
  const held = seen.filter((partition) => partition === 0).length;
  await kafka.produce(topic, [text('second', 1)]);
  await vi.waitFor(() => expect(seen.filter((partition) => partition === 1)).toHaveLength(2));
  expect(seen.filter((partition) => partition === 0)).toHaveLength(held);
  expect(member.client.lag().get(0)).toBe(3000n);
  release();
  await vi.waitFor(() => expect(seen.filter((partition) => partition === 0)).toHaveLength(3000));
  await member.stop();
});

test('a large record does not wait for partitions that are held up', async () => {
  const topic = await kafka.createTopic(4);
  for (const partition of [0, 1, 2]) {
    await kafka.produce(
      topic,
      Array.from({ length: 3000 }, (_, index) => text(`${index}`.padEnd(500), partition)),
    );
  }
  const { member, seen, release } = await holdUp(topic, 3);
  await vi.waitFor(() => expect(new Set(seen)).toEqual(new Set([0, 1, 2])));
  await kafka.produce(topic, [text('x'.repeat(900_000), 3), text('small', 3)]);
  await vi.waitFor(() => expect(seen).toContain(3));
  await vi.waitFor(() => expect(member.client.lag().get(3)).toBe(0n));
  release();
  await member.stop();
});

test('a partition that moves to another member continues there, without loss or duplicates', async () => {
  const topic = await kafka.createTopic(4);
  const first = await Member.join({ topic, groupId: topic });
  await vi.waitFor(() => expect(first.assigned.at(-1)).toEqual([0, 1, 2, 3]));
  let produced = 0;
  const produceSome = async (): Promise<void> => {
    const records = Array.from({ length: 40 }, (_, index) => text(`${produced + index}`, index % 4));
    produced += records.length;
    await kafka.produce(topic, records);
  };
  await produceSome();
  const second = await Member.join({ topic, groupId: topic });
  await vi.waitFor(async () => {
    await produceSome();
    expect(first.assigned.at(-1)).toHaveLength(2);
    expect(second.assigned.at(-1)).toHaveLength(2);
  });
  await produceSome();
  const all = () => [...first.values(), ...second.values()];
  await vi.waitFor(() => expect(new Set(all()).size).toBe(produced));
  expect(all(), 'read twice').toHaveLength(produced);
  await first.stop();
  await produceSome();
  await vi.waitFor(() => expect(new Set(all()).size).toBe(produced));
  expect(second.assigned.at(-1)).toEqual([0, 1, 2, 3]);
  expect(all()).toHaveLength(produced);
  await second.stop();
});

test('reads new partitions of a topic from their first record', async () => {
  const topic = await kafka.createTopic(1);
  const member = await Member.join({ topic, groupId: topic });
  await vi.waitFor(() => expect(member.assigned.at(-1)).toEqual([0]));
  await kafka.grow(topic, 3);
  await kafka.produce(topic, [text('new', 2)]);
  await vi.waitFor(() => expect(member.values()).toEqual(['new']));
  expect(member.assigned.at(-1)).toEqual([0, 1, 2]);
  await member.stop();
});

test('continues from the beginning of the log if the offset is out of range, and reports it', async () => {
  const topic = await kafka.createTopic(1);
  await kafka.produce(topic, [text('one'), text('two')]);
  await kafka.rewind(topic, topic, [100n]);
  const moved: unknown[] = [];
  const member = await Member.join({
    topic,
    groupId: topic,
    events: { ...quiet, outOfRange: (partition, offset) => moved.push([partition, offset]) },
  });
  await vi.waitFor(() => expect(member.values()).toEqual(['one', 'two']));
  expect(moved).toEqual([[0, 0n]]);
  await member.stop();
});

test('a group starts with the latest records, or from the beginning if asked to', async () => {
  const topic = await kafka.createTopic(1);
  await kafka.produce(topic, [text('old')]);
  const latest = await Member.join({ topic, groupId: `${topic}-latest`, startAt: 'latest' });
  await vi.waitFor(() => expect(latest.assigned.at(-1)).toEqual([0]));
  await kafka.produce(topic, [text('new')]);
  await vi.waitFor(() => expect(latest.values()).toEqual(['new']));
  await latest.stop();
  const again = await Member.join({ topic, groupId: `${topic}-latest`, fromBeginning: true });
  await vi.waitFor(() => expect(again.values()).toEqual(['old', 'new']));
  await again.stop();
});

test.each(['plain', 'scram-sha-256', 'scram-sha-512'] as const)(
  'SASL %s: connects with right credentials, and rejects wrong ones',
  async (mechanism) => {
    const topic = await kafka.createTopic(1);
    const { username, password } = saslUser();
    const brokers = [serviceVariable('FACTEUR_TEST_KAFKA_SASL_BROKERS')];
    const right = await Member.join({ topic, groupId: topic }, { brokers, sasl: { mechanism, username, password } });
    await right.client.produce({ topic, key: null, value: Buffer.from('in'), headers: [] });
    await vi.waitFor(() => expect(right.values()).toEqual(['in']));
    await right.stop();

    const wrong = { brokers, sasl: { mechanism, username, password: new Secret('guess-1234') } };
    const refused = await (await Member.join({ topic, groupId: topic }, wrong)).failure();
    expect(refused).toMatchObject({ code: 'kafka.authentication', retryable: false });
    expect(String(refused)).toContain('kafka rejected the credentials');
    expect(String(refused)).not.toContain('guess-1234');
  },
);

test('TLS: connects without and with SASL, and rejects an untrusted certificate', async () => {
  const topic = await kafka.createTopic(1);
  const brokers = [serviceVariable('FACTEUR_TEST_KAFKA_TLS_BROKERS')];
  const member = await Member.join({ topic, groupId: topic }, { brokers, tls: { insecureSkipVerify: true } });
  await member.client.produce({ topic, key: null, value: Buffer.from('in'), headers: [] });
  await vi.waitFor(() => expect(member.values()).toEqual(['in']));
  await member.stop();

  const both: KafkaConfig = {
    brokers: [serviceVariable('FACTEUR_TEST_KAFKA_SASL_TLS_BROKERS')],
    tls: { insecureSkipVerify: true },
    sasl: { mechanism: 'scram-sha-512', ...saslUser() },
  };
  const secure = await Member.join({ topic, groupId: `${topic}-2` }, both);
  await vi.waitFor(() => expect(secure.values()).toEqual(['in']));
  await secure.stop();

  const untrusted = await (
    await Member.join({ topic, groupId: topic }, { brokers, tls: { insecureSkipVerify: false } })
  ).failure();
  expect(untrusted).toMatchObject({ code: 'kafka.tls', retryable: false });
});

test('TLS: trusts the CA in tls.ca_file, and no other', async () => {
  const topic = await kafka.createTopic(1);
  const trusting = (variable: string, caFile: string): KafkaConfig => ({
    brokers: [serviceVariable(variable)],
    tls: { insecureSkipVerify: false, caFile },
  });
  const own = serviceVariable('FACTEUR_TEST_KAFKA_CA_FILE');
  const member = await Member.join({ topic, groupId: topic }, trusting('FACTEUR_TEST_KAFKA_TLS_BROKERS', own));
  await member.client.produce({ topic, key: null, value: Buffer.from('in'), headers: [] });
  await vi.waitFor(() => expect(member.values()).toEqual(['in']));
  await member.stop();

  const secure = {
    ...trusting('FACTEUR_TEST_KAFKA_SASL_TLS_BROKERS', own),
    sasl: { mechanism: 'plain', ...saslUser() },
  };
  const both = await Member.join({ topic, groupId: `${topic}-2` }, secure as KafkaConfig);
  await vi.waitFor(() => expect(both.values()).toEqual(['in']));
  await both.stop();

  const other = trusting(
    'FACTEUR_TEST_KAFKA_TLS_BROKERS',
    join(import.meta.dirname, '../../../test/fixtures/tls/ca.crt'),
  );
  const untrusted = await (await Member.join({ topic, groupId: topic }, other)).failure();
  expect(untrusted).toMatchObject({ code: 'kafka.tls', retryable: false });
});

test('a missing broker and a missing topic are retryable', async () => {
  const nobody = await (await Member.join({ topic: 't', groupId: 'g' }, { brokers: ['127.0.0.1:1'] })).failure();
  expect(nobody).toMatchObject({ code: 'kafka.unavailable', retryable: true });
  expect(String(nobody)).toContain('ECONNREFUSED');
  const nothing = await (await Member.join({ topic: 'facteur-no-such-topic', groupId: 'g' })).failure();
  expect(nothing).toMatchObject({ code: 'kafka.topic', retryable: true });
});

test('distinguishes a record that the broker never accepts', async () => {
  const client = await openKafka({ config: plainBroker(), group: 'consumer', random: Math.random });
  const topic = await kafka.createTopic(1);
  const record = { topic, key: null, headers: [] };
  await expect(client.produce({ ...record, value: Buffer.alloc(2 << 20) })).rejects.toMatchObject({
    code: 'kafka.rejected',
  });
  await expect(client.produce({ ...record, topic: 'facteur-no-such-topic', value: null })).rejects.toMatchObject({
    code: 'kafka.topic',
  });
  await client.produce({ ...record, value: null });
  await client.close();
});

test('a member with another group protocol is a retryable error, until it leaves', async () => {
  const topic = await kafka.createTopic(1);
  const other = new Consumer({ clientId: 'other', bootstrapBrokers: [...plainBroker().brokers], groupId: topic });
  other.topics.track(topic);
  await other.joinGroup({});
  const refused = await (await Member.join({ topic, groupId: topic })).failure();
  expect(refused).toMatchObject({ code: 'kafka.group', retryable: true });
  await other.close(true);
  const member = await Member.join({ topic, groupId: topic });
  await vi.waitFor(() => expect(member.assigned.at(-1)).toEqual([0]));
  await member.stop();
});

test('members of a group that read different topics each get their own topic, in equal shares', async () => {
  const [groupId, topic] = [await kafka.createTopic(2), await kafka.createTopic(1)];
  const first = await Member.join({ topic: groupId, groupId });
  await vi.waitFor(() => expect(first.assigned.at(-1)).toEqual([0, 1]));
  const others = [await Member.join({ topic, groupId }), await Member.join({ topic, groupId })];
  await vi.waitFor(() => expect(others.map(({ assigned }) => assigned.at(-1)?.length).toSorted()).toEqual([0, 1]));
  const second = await Member.join({ topic: groupId, groupId });
  await vi.waitFor(() => expect(second.assigned.at(-1)).toHaveLength(1));
  await Promise.all([first, second, ...others].map((member) => member.stop()));
});

test('reads a recreated topic from its new beginning', async () => {
  const topic = await kafka.createTopic(1);
  await kafka.produce(topic, [text('old-1'), text('old-2')]);
  const member = await Member.join({ topic, groupId: topic });
  await vi.waitFor(() => expect(member.values()).toEqual(['old-1', 'old-2']));
  await kafka.recreate(topic, 1);
  // More than before: the old offset exists in the new topic, too.
  const fresh = ['new-1', 'new-2', 'new-3', 'new-4'];
  await kafka.produce(
    topic,
    fresh.map((value) => text(value)),
  );
  await vi.waitFor(() => expect(member.values()).toEqual(['old-1', 'old-2', ...fresh]));
  await member.stop();
  expect(await kafka.committed(topic, topic, 1)).toEqual([4n]);
});

test('asks the brokers it has discovered when the configured ones are gone', async () => {
  const topic = await kafka.createTopic(1);
  await kafka.produce(topic, [text('old')]);
  const [host = '', port] = plainBroker().brokers[0]!.split(':');
  const configured = await startTcpProxy(host, Number(port));
  const member = await Member.join({ topic, groupId: topic }, { brokers: [`127.0.0.1:${configured.port}`] });
  await vi.waitFor(() => expect(member.values()).toEqual(['old']));
  await configured.close();
  // Fetches from the old topic fail, so the consumer needs new metadata.
  await kafka.recreate(topic, 1);
  await kafka.produce(topic, [text('new')]);
  await vi.waitFor(() => expect(member.values()).toEqual(['old', 'new']));
  await member.stop();
});

test('a member without partitions reports no status: it would hide that the others cannot read', async () => {
  const topic = await kafka.createTopic(1);
  const members = [await Member.join({ topic, groupId: topic }), await Member.join({ topic, groupId: topic })];
  const states = () => members.map(({ client }) => [client.lag().size, client.isUp()]).toSorted();
  await vi.waitFor(() =>
    expect(states()).toEqual([
      [0, undefined],
      [1, true],
    ]),
  );
  await Promise.all(members.map((member) => member.stop()));
});

test('a member that cannot read is not up, since its lag is unknown', async () => {
  const topic = await kafka.createTopic(1);
  const member = await Member.join({ topic, groupId: topic });
  await vi.waitFor(() => expect(member.client.isUp()).toBe(true));
  await kafka.delete(topic);
  await vi.waitFor(() => expect([member.client.isUp(), member.client.lag()]).toEqual([false, new Map([[0, 0n]])]));
  await member.stop();
  expect(member.client.isUp()).toBe(false);
});
