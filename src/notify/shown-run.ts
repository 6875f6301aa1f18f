import type { MessageRun } from '../ledger/messages.ts';

/** The data about a run that a message shows. */
export type ShownRun = Omit<MessageRun, 'revision' | 'traceparent'>;

/** Options for rendering a message. */
export interface RenderOptions {
  /** Base URL of the Argo UI; no trailing slash. */
  readonly uiUrl: string | undefined;
  /** The message is not a response to a command, so it names the user. */
  readonly detached: boolean;
  /** How long the command usually takes, in milliseconds, if known. */
  readonly usualMs?: number | undefined;
  /** Maximum number of live workflows at a time; undefined for no limit. */
  readonly maxActive?: number | undefined;
  /** The message cannot be changed after this. */
  readonly last: boolean;
  /** Reflections can be reviewed in Discord. */
  readonly reviewed: boolean;
}
