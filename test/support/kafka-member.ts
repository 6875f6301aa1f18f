import type { ConsumeEvents, ConsumeOptions, KafkaClient } from '../../src/clients/kafka/client.ts';
import { openKafka } from '../../src/clients/kafka/open-kafka.ts';
import type { ConsumedRecord } from '../../src/clients/kafka/records.ts';
import type { KafkaConfig } from '../../src/config/config.ts';
import { plainBroker } from './kafka.ts';

/** Event handlers that do nothing. */
export const quiet: ConsumeEvents = {
  assigned: () => undefined,
  committed: () => undefined,
  troubled: () => undefined,
  outOfRange: () => undefined,
};

/** A group member that collects the records it reads until it is stopped. */
export class Member {
  readonly seen: ConsumedRecord[] = [];
  readonly assigned: (readonly number[])[] = [];
  readonly troubles: string[] = [];
  readonly client: KafkaClient;
  readonly #stop = new AbortController();
  readonly #done: Promise<void>;

  private constructor(
    client: KafkaClient,
    options: Pick<ConsumeOptions, 'topic' | 'groupId'> & Partial<ConsumeOptions>,
  ) {
    this.client = client;
    this.#done = client.consume({
      startAt: 'earliest',
      minBytes: 1,
      maxBytes: 1 << 20,
      maxWaitMs: 300,
      onPartition: async (reader) => {
        for (let records = await reader.next(); records !== undefined; records = await reader.next()) {
          this.seen.push(...records);
          reader.handled(records.at(-1)!.offset + 1n);
        }
      },
      ...options,
      signal: this.#stop.signal,
      events: {
        ...quiet,
        assigned: (partitions) => this.assigned.push(partitions),
        troubled: (what, error) => this.troubles.push(`${what}: ${error.message}`),
        ...options.events,
      },
    });
    this.#done.catch(() => undefined);
  }

  static async join(
    options: Pick<ConsumeOptions, 'topic' | 'groupId'> & Partial<ConsumeOptions>,
    config: KafkaConfig = plainBroker(),
  ): Promise<Member> {
    return new Member(await openKafka({ config, group: 'consumer', random: Math.random }), options);
  }

  values(): string[] {
    return this.seen.map(({ value }) => value?.toString() ?? '(tombstone)');
  }

  async stop(): Promise<void> {
    this.#stop.abort();
    await this.#done;
    await this.client.close();
  }

  /** The error with which it ended. */
  failure(): Promise<unknown> {
    return this.#done.catch((error: unknown) => error);
  }
}

/** A record with a text. */
export const text = (value: string, partition = 0) => ({ value: Buffer.from(value), partition });
