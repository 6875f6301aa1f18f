import type { Clock } from '../../src/base/clock.ts';
import { textField, type Resource } from './objects.ts';
import type { Cause, StoreEvent } from './store.ts';

/** One accepted change, for a checker to read. */
interface HistoryEntry {
  /** 1, 2, 3 … without gaps. */
  readonly seq: number;
  /** ISO 8601. */
  readonly at: string;
  readonly kind: Exclude<Cause, 'progress'>;
  readonly resource: Resource;
  readonly namespace: string;
  readonly name: string;
  readonly uid: string;
  readonly resourceVersion: string;
  /** The workflow's phase after the change; empty before the controller saw it. */
  readonly phase: string;
  readonly labels: Readonly<Record<string, string>>;
}

/** Every create, patch, delete, retry and change of phase, in order. Never trimmed. */
export class History {
  readonly entries: HistoryEntry[] = [];
  readonly #clock: Clock;

  constructor(clock: Clock) {
    this.#clock = clock;
  }

  record(event: StoreEvent): void {
    if (event.cause === 'progress') {
      return;
    }
    const { metadata, status } = event.entry.object;
    this.entries.push({
      seq: this.entries.length + 1,
      at: this.#clock.now().toISOString(),
      kind: event.cause,
      resource: event.resource,
      namespace: metadata.namespace,
      name: metadata.name,
      uid: metadata.uid,
      resourceVersion: metadata.resourceVersion,
      phase: textField(status, 'phase'),
      labels: event.entry.labels,
    });
  }
}
