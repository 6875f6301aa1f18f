import type { MessageContent } from './message-rules.ts';

/** One version of a message. */
export interface MessageVersion extends MessageContent {
  /** ISO 8601. */
  readonly at: string;
  /** The route that wrote it. */
  readonly by: string;
  /** «… is thinking»: a deferred answer without content so far. */
  readonly loading: boolean;
  /** The mentions that it notified, as written in the text. */
  readonly pings: readonly string[];
}

/** A message with all its versions, the newest last. */
export interface SimulatedMessage {
  readonly id: string;
  readonly channelId: string;
  /** Empty for messages that the bot posted on its own. */
  readonly interactionId: string;
  /** Seen by one person only. */
  readonly ephemeral: boolean;
  readonly nonce: string;
  readonly createdAtMs: number;
  readonly versions: readonly MessageVersion[];
  readonly deleted: boolean;
}
