import { Consumer, cooperativeStickyAssigner, type GroupPartitionsAssigner, Producer } from '@platformatic/kafka';
import type { ConsumeOptions, KafkaClient, KafkaOptions } from './client.ts';
import { connectionSettings, fetchTimeoutMs, REQUEST_TIMEOUT_MARGIN_MS } from './connection-options.ts';
import { toKafkaError } from './errors.ts';
import { createFetcher } from './fetcher.ts';
import { GroupSession } from './group-session.ts';
import type { OutgoingRecord } from './records.ts';

/** How long a member that died stays in the group, in milliseconds. Its partitions wait meanwhile. */
const SESSION_TIMEOUT_MS = 20_000;
const HEARTBEAT_MS = 3_000;
/**
 * The membership is considered lost only after this long without a heartbeat. A broker that comes back may still know this
 * member, which then continues immediately; a new member would wait until the old one times out.
 */
const HEARTBEAT_STALL_MS = 300_000;
/**
 * How long a rebalance waits for each member to finish; ours takes at most 20 s. With a longer limit, all members would wait
 * longer for one that died during a rebalance.
 */
const REBALANCE_TIMEOUT_MS = 30_000;
const METADATA_MAX_AGE_MS = 10_000;

/** The options, with the authorities from the configured file. */
interface OpenedOptions extends KafkaOptions {
  readonly ca: string | undefined;
}

/** All in-sync replicas. */
const ACKS_ALL = -1;

/** Callers of `produce` retry: the library's own retries only cover a short change of leader. */
const PRODUCE_RETRIES = { retries: 2, retryDelay: 100 };

/**
 * The client over `@platformatic/kafka`. Only the consumer's single requests are used (join, commit, metadata). Its stream reads
 * all partitions as one, so a paused one would stop all, and it loses its position at every rebalance.
 */
export function createKafkaClient({ config, random, ca }: OpenedOptions): KafkaClient {
  const connection = connectionSettings(config, ca);
  const sessions = new Set<GroupSession>();
  let producer: RecordProducer | undefined;
  return {
    async consume(options) {
      const session = openSession(options, connection, random);
      sessions.add(session);
      try {
        await session.run();
      } finally {
        sessions.delete(session);
      }
    },
    async produce(record) {
      producer ??= openProducer(connection);
      await produce(producer, record);
    },
    lag: () => new Map([...sessions].flatMap((session) => [...session.lag()])),
    isUp() {
      const newest = [...sessions].at(-1);
      return newest === undefined ? false : newest.isUp;
    },
    async close() {
      await producer?.close();
      producer = undefined;
    },
  };
}

type Connection = ReturnType<typeof connectionSettings>;

function openSession(options: ConsumeOptions, connection: Connection, random: () => number): GroupSession {
  const shared = {
    ...connection,
    groupId: options.groupId,
    autocommit: false,
    metadataMaxAge: METADATA_MAX_AGE_MS,
  };
  const member = new Consumer({
    ...shared,
    sessionTimeout: SESSION_TIMEOUT_MS,
    heartbeatInterval: HEARTBEAT_MS,
    heartbeatStallTimeout: HEARTBEAT_STALL_MS,
    rebalanceTimeout: REBALANCE_TIMEOUT_MS,
    requestTimeout: REBALANCE_TIMEOUT_MS + REQUEST_TIMEOUT_MARGIN_MS,
    protocols: [{ name: 'cooperative-sticky', version: 3 }],
    partitionAssigner: assignAll,
    protocolsMetadata: async () => {
      await session.beforeJoin();
      return Buffer.alloc(0);
    },
  });
  // The fetch loop retries and logs on its own.
  const reader = new Consumer({ ...shared, retries: 0, requestTimeout: REQUEST_TIMEOUT_MARGIN_MS });
  const { bootstrapBrokers: _, ...settings } = connection;
  const fetcher = createFetcher({ ...settings, requestTimeout: fetchTimeoutMs(options.maxWaitMs) });
  const session = new GroupSession(options, { member, reader, fetcher, random });
  return session;
}

/**
 * Assigns each topic among the members that read it. The library's own assignment covers only the leader's topic, and members
 * that read another wait forever. Given all topics at once, it counts members that read others as underloaded and stops
 * balancing.
 */
const assignAll: GroupPartitionsAssigner = (current, members, _own, metadata) => {
  const topics = new Set([...members.values()].flatMap((member) => member.topics ?? []));
  const assigned = [...topics].flatMap((topic) => {
    const readers = new Map([...members].filter(([, member]) => member.topics?.includes(topic)));
    return cooperativeStickyAssigner(current, readers, new Set([topic]), metadata);
  });
  return [...members.keys()].map((memberId) => {
    const own = assigned.filter((one) => one.memberId === memberId);
    return { memberId, assignments: new Map(own.flatMap(({ assignments }) => [...assignments])) };
  });
};

/** Header values may be null, as in the original records. */
type RecordProducer = Producer<Buffer, Buffer, Buffer, Buffer | null>;

function openProducer(connection: Connection): RecordProducer {
  const producer: RecordProducer = new Producer({
    ...connection,
    ...PRODUCE_RETRIES,
    acks: ACKS_ALL,
    metadataMaxAge: METADATA_MAX_AGE_MS,
  });
  // A failed send rejects; further errors of a lost connection are redundant.
  producer.on('error', () => undefined);
  return producer;
}

async function produce(producer: RecordProducer, { topic, key, value, headers }: OutgoingRecord): Promise<void> {
  try {
    await producer.send({
      messages: [
        {
          topic,
          ...(key === null ? {} : { key }),
          ...(value === null ? {} : { value }),
          // The map compares these keys by identity, so a name may occur twice.
          headers: new Map(headers.map(([name, bytes]) => [Buffer.from(name, 'utf8'), bytes])),
        },
      ],
    });
  } catch (error) {
    throw toKafkaError(error);
  }
}
