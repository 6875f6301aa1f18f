import type { MessageRun } from '../ledger/messages.ts';

/** What a message shows of a run. */
export type ShownRun = Omit<MessageRun, 'revision' | 'traceparent'>;

/** How it is shown. */
export interface RenderOptions {
  /** Base of the Argo UI, no slash at the end. */
  readonly uiUrl: string | undefined;
  /** The message is not an answer to a command, so it names the user. */
  readonly detached: boolean;
  /** How long the command usually takes, in milliseconds, if that is known. */
  readonly usualMs?: number | undefined;
  /** The most live workflows at a time; undefined for no limit. */
  readonly maxActive?: number | undefined;
  /** The message cannot be changed after this. */
  readonly last: boolean;
  /** Somebody may review reflections in Discord. */
  readonly reviewed: boolean;
}
