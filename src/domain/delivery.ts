/**
 * Delivery ids belong to families: two families may use the same id for different deliveries.
 *
 *   codex    Codex tasks, through any door
 *   command  commands on `/events` and in Kafka, which may carry the same event
 *   discord  interactions that Discord itself sends
 *   api      `Idempotency-Key`s of commands on `/v1`
 *   derived  ids that facteur makes: `retry:…`, `dead-letter:…`, `kafka:…`, `feedback:…`
 */
export type DeliveryFamily = 'codex' | 'command' | 'discord' | 'api' | 'derived';

const DERIVED = /^(retry|dead-letter|kafka):/;

/** The family of an id that facteur gives to a command without one: a new random id counts like a sender's. */
export function familyOfGivenId(id: string): 'derived' | 'command' {
  return DERIVED.test(id) ? 'derived' : 'command';
}

/** The prefixes of keys. A sender's own id with such a prefix is always stored behind its family. */
const KEY = /^(codex|command|discord|api|retry|dead-letter|kafka|feedback):/;

/** The identity of a delivery: no two deliveries share a key, whatever their ids are. */
export function deliveryKey(family: DeliveryFamily, id: string): string {
  return family === 'derived' ? id : `${family}:${id}`;
}

/** The id as shown in the ledger if no other family has it: unchanged, unless it looks like a key. */
export function plainDeliveryId(family: DeliveryFamily, id: string): string {
  return KEY.test(id) ? deliveryKey(family, id) : id;
}

/**
 * The id in `codex_kb.task_runs`. Bare ids in that table belong to Codex tasks: the Go service writes them too, and overwrites
 * any row with that id.
 */
export function sharedDeliveryId(family: DeliveryFamily, id: string): string {
  return family === 'codex' ? plainDeliveryId(family, id) : deliveryKey(family, id);
}
