import {
  type Base,
  type Broker,
  ConnectionPool,
  createAPI,
  FetchIsolationLevels,
  fetchV13,
  ProtocolError,
  type Reader,
} from '@platformatic/kafka';
import type { connectionSettings } from './connection-options.ts';

interface FetchRequest {
  readonly minBytes: number;
  readonly maxBytes: number;
  readonly maxWaitMs: number;
  readonly topicId: string;
  /** The offset to begin at, by partition. */
  readonly from: ReadonlyMap<number, bigint>;
  /** Limit per partition; the first batch is always complete. */
  readonly partitionBytes: number;
}

/** What a broker has of one partition. */
export interface FetchedPartition {
  readonly partition: number;
  /** 0 is none. */
  readonly errorCode: number;
  /** The end of the partition's log. */
  readonly end: bigint;
  /** Aborted transactions: their records do not count. */
  readonly aborted: readonly { readonly producerId: bigint; readonly firstOffset: bigint }[];
  /** Batches as stored in the log. */
  readonly log: Buffer;
}

/** Fetches records as stored: the library's own fetch decompresses all of them without a limit. */
export interface Fetcher {
  /** Rejects when the broker does not answer; an error of one partition is part of the answer. */
  fetch(broker: Broker, request: FetchRequest): Promise<FetchedPartition[]>;
  close(): Promise<void>;
}

/** The library's options for a connection, and how long an answer may take. */
type FetcherOptions = Omit<ReturnType<typeof connectionSettings>, 'bootstrapBrokers'> & {
  readonly requestTimeout: number;
};

export function createFetcher({ clientId, ...settings }: FetcherOptions): Fetcher {
  const pool = new ConnectionPool(clientId, settings);
  return {
    async fetch(broker, request) {
      const { minBytes, maxBytes, maxWaitMs, topicId } = request;
      const connection = await pool.get(broker);
      return fetchApi.async(
        ...[connection, maxWaitMs, minBytes, maxBytes, FetchIsolationLevels.READ_COMMITTED],
        ...[NO_SESSION, NO_EPOCH, [{ topicId, partitions: wanted(request) }], [], ''],
      );
    },
    close: () => pool.close(),
  };
}

/** Every request is complete: no fetch session on the broker. */
const NO_SESSION = 0;
const NO_EPOCH = -1;

function wanted({ from, partitionBytes }: FetchRequest) {
  return [...from].map(([partition, fetchOffset]) => ({
    ...{ partition, fetchOffset, partitionMaxBytes: partitionBytes },
    currentLeaderEpoch: NO_EPOCH,
    lastFetchedEpoch: NO_EPOCH,
  }));
}

/** Fetch in its version of Kafka 3.1, the first that identifies topics by id. */
const FETCH = 1;
const VERSION = 13;

/** Whether a broker with these APIs supports this fetch. An older one would only close the connection. */
export function speaksFetch(apis: Awaited<ReturnType<Base['listApis']>>): boolean {
  return apis.some(
    ({ apiKey, minVersion, maxVersion }) => apiKey === FETCH && minVersion <= VERSION && VERSION <= maxVersion,
  );
}

const fetchApi = createAPI<Parameters<typeof fetchV13.createRequest>, FetchedPartition[]>(
  FETCH,
  VERSION,
  fetchV13.createRequest,
  (_correlation, _api, _version, reader) => readAnswer(reader),
);

/** https://kafka.apache.org/protocol.html#The_Messages_Fetch, for the one topic of the request. */
function readAnswer(reader: Reader): FetchedPartition[] {
  reader.readInt32(); // The throttle time.
  const errorCode = reader.readInt16();
  if (errorCode !== 0) {
    throw new ProtocolError(errorCode, null);
  }
  reader.readInt32(); // The session id.
  return reader
    .readArray((topics) => {
      topics.readUUID();
      return topics.readArray(readPartition);
    })
    .flat();
}

function readPartition(reader: Reader): FetchedPartition {
  const head = { partition: reader.readInt32(), errorCode: reader.readInt16(), end: reader.readInt64() };
  reader.readInt64(); // The last stable offset, and the start of the log.
  reader.readInt64();
  const aborted = reader.readArray((each) => ({ producerId: each.readInt64(), firstOffset: each.readInt64() }));
  reader.readInt32(); // The preferred read replica.
  return { ...head, aborted, log: reader.readBytes() };
}
