import type { Consumer } from '@platformatic/kafka';
import type { ConsumeOptions } from './client.ts';

export interface OffsetSource {
  /** Looks up the group's committed offsets. */
  readonly member: Consumer;
  /** Looks up the offsets of the logs. */
  readonly reader: Consumer;
  readonly options: Pick<ConsumeOptions, 'topic' | 'startAt' | 'fromBeginning'>;
}

/** The protocol's values for the beginning and the end of a log. */
const EARLIEST = -2n;
const LATEST = -1n;

/** Where to begin each partition: at the group's committed offset, else where the options say. */
export async function startOffsets(
  { member, reader, options }: OffsetSource,
  partitions: readonly number[],
): Promise<Map<number, bigint>> {
  const { topic, startAt, fromBeginning = false } = options;
  if (fromBeginning) {
    return logOffsets(reader, topic, partitions, EARLIEST);
  }
  const committed = (await member.listCommittedOffsets({ topics: [{ topic, partitions: [...partitions] }] })).get(
    topic,
  );
  const known = partitions.map((partition) => [partition, committed?.[partition] ?? -1n] as const);
  const fresh = known.filter(([, offset]) => offset < 0n).map(([partition]) => partition);
  const edges = await logOffsets(reader, topic, fresh, startAt === 'earliest' ? EARLIEST : LATEST);
  return new Map([...known.filter(([, offset]) => offset >= 0n), ...edges]);
}

/** The first offset that the log of each of the partitions still has. */
export function beginnings(
  { reader, options }: Pick<OffsetSource, 'reader' | 'options'>,
  partitions: readonly number[],
): Promise<Map<number, bigint>> {
  return logOffsets(reader, options.topic, partitions, EARLIEST);
}

async function logOffsets(
  reader: Consumer,
  topic: string,
  partitions: readonly number[],
  timestamp: bigint,
): Promise<Map<number, bigint>> {
  if (partitions.length === 0) {
    return new Map();
  }
  const found = await reader.listOffsets({ topics: [topic], partitions: { [topic]: [...partitions] }, timestamp });
  return new Map(partitions.map((partition) => [partition, found.get(topic)?.[partition] ?? 0n]));
}
