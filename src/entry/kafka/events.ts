/** Told what the consumer does, for metrics. None of these may throw. `command` is empty where it could not be read. */
export interface KafkaEvents {
  /** A record became a run, or was one already. */
  processed(event: { command: string; duplicate: boolean; durationMs: number }): void;
  /** A try failed and there will be another. `code` is that of the error. */
  retried(event: { command: string; code: string }): void;
  /** A record will never be a run. */
  deadLettered(event: { command: string; code: string; to: 'topic' | 'table'; durationMs: number }): void;
  /** Everything below `offset` is handled. */
  committed(event: { partition: number; offset: bigint }): void;
  /** Records that are not handled yet, by partition that is ours; every few seconds, and none at the end. */
  lag(byPartition: ReadonlyMap<number, bigint>): void;
}

export const silentKafkaEvents: KafkaEvents = {
  processed: () => undefined,
  retried: () => undefined,
  deadLettered: () => undefined,
  committed: () => undefined,
  lag: () => undefined,
};
