import { randomUUID } from 'node:crypto';
import { Admin, Consumer, Producer } from '@platformatic/kafka';

/** The rehearsal's own topic, with one partition and a consumer group. */
export class Topic {
  readonly name = `rehearsal-${randomUUID()}`;
  readonly group = `${this.name}-group`;
  readonly #base: { readonly clientId: string; readonly bootstrapBrokers: string[] };
  readonly #admin: Admin;

  private constructor(broker: string) {
    this.#base = { clientId: 'rehearsal', bootstrapBrokers: [broker] };
    this.#admin = new Admin(this.#base);
  }

  static async create(broker: string): Promise<Topic> {
    const topic = new Topic(broker);
    await topic.#admin.createTopics({ topics: [topic.name], partitions: 1, replicas: 1 });
    const reader = new Consumer({ ...topic.#base, groupId: topic.name, retries: 50, retryDelay: 50 });
    reader.topics.track(topic.name);
    // The broker serves a new topic only after a moment.
    await reader.listOffsets({ topics: [topic.name] });
    await reader.close();
    return topic;
  }

  async produce(values: readonly object[]): Promise<void> {
    const producer = new Producer({ ...this.#base, acks: -1, retries: 20 });
    await producer.send({
      messages: values.map((value) => ({
        topic: this.name,
        partition: 0,
        value: Buffer.from(JSON.stringify(value)),
        headers: new Map([[Buffer.from('content-type'), Buffer.from('application/json')]]),
      })),
    });
    await producer.close();
  }

  /** Commits this offset for the group, like the Go service's consumer. */
  async commit(offset: bigint): Promise<void> {
    await this.#admin.alterConsumerGroupOffsets({
      groupId: this.group,
      topics: [{ name: this.name, partitionOffsets: [{ partition: 0, offset }] }],
    });
  }

  async committed(): Promise<bigint> {
    const [found] = await this.#admin.listConsumerGroupOffsets({
      groups: [{ groupId: this.group, topics: [{ name: this.name, partitionIndexes: [0] }] }],
    });
    return found?.topics[0]?.partitions[0]?.committedOffset ?? -1n;
  }

  async remove(): Promise<void> {
    await this.#admin.deleteTopics({ topics: [this.name] });
    await this.#admin.close();
  }
}
