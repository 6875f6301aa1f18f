import type { Clock } from '../../src/base/clock.ts';

/** What can happen in the simulated Discord. */
type EventKind =
  /** A person did something, and facteur is being notified. */
  | 'interaction.sent'
  /** facteur answered in time, or called the callback route. */
  | 'interaction.acknowledged'
  /** "The application did not respond": too late, not 200, or an invalid answer. */
  | 'interaction.failed'
  | 'message.created'
  | 'message.edited'
  | 'message.deleted'
  /** An API request was refused. */
  | 'request.refused'
  | 'command.changed';

/** One event, for a checker to read. Fields that do not apply are empty or 0. No token is ever among them. */
interface HistoryEntry {
  /** 1, 2, 3 … without gaps. */
  readonly seq: number;
  /** ISO 8601. */
  readonly at: string;
  readonly kind: EventKind;
  readonly interactionId: string;
  readonly channelId: string;
  readonly messageId: string;
  /** The route's name for requests, `interaction` for answers to interactions, `person` for what people do. */
  readonly by: string;
  /** HTTP status of a refusal. */
  readonly status: number;
  /** Discord's code of a refusal. */
  readonly code: number;
  /** A message's text after the event, or the error. */
  readonly text: string;
}

/** Everything that happened, in order. Never trimmed. */
export class History {
  readonly entries: HistoryEntry[] = [];
  readonly #clock: Clock;

  constructor(clock: Clock) {
    this.#clock = clock;
  }

  record(kind: EventKind, facts: Partial<Omit<HistoryEntry, 'seq' | 'at' | 'kind'>>): void {
    this.entries.push({
      interactionId: '',
      channelId: '',
      messageId: '',
      by: '',
      status: 0,
      code: 0,
      text: '',
      ...facts,
      seq: this.entries.length + 1,
      at: this.#clock.now().toISOString(),
      kind,
    });
  }
}
