import type { KafkaClient, KafkaOptions } from './client.ts';

/** A client for the brokers of the configuration. Loads the library, which takes half a second: only for who needs Kafka. */
export async function openKafka(options: KafkaOptions): Promise<KafkaClient> {
  const { createKafkaClient } = await import('./platformatic.ts');
  return createKafkaClient(options);
}
