import type { Secret } from '../base/secret.ts';

/** Where a request came in. */
export type Door = 'http' | 'kafka' | 'discord' | 'api' | 'cli';

/** The user, as the door knows them. No member (a direct message, an old event) means no roles. */
export interface Principal {
  readonly userId: string;
  readonly username: string;
  readonly globalName: string;
  readonly roles: readonly string[];
  readonly guildId: string;
  readonly channelId: string;
  /** An application rather than a person. */
  readonly bot?: boolean;
}

export const ANONYMOUS: Principal = {
  userId: '',
  username: '',
  globalName: '',
  roles: [],
  guildId: '',
  channelId: '',
};

/** An interaction that its receiver answered and passed on. */
interface ForwardedInteraction {
  readonly token: Secret;
  /** Whose interaction it is; empty if the sender does not say. */
  readonly applicationId: string;
  /** Whether the answer was only for the user: an update of it is, too. */
  readonly ephemeral: boolean;
}

/** A request to run a command, only decoded: `dispatch` decides whether it may run. */
export interface Command {
  readonly door: Door;
  /** Identity of the delivery: the same id is the same run forever. */
  readonly deliveryId: string;
  /** Present where facteur made the id from what it knows, because the sender gave none. */
  readonly family?: 'derived';
  /** Discord's interaction id where there is one, else empty. */
  readonly interactionId: string;
  /** As it was sent; what it means is for the rules to say. */
  readonly name: string;
  /** As they were sent. Any text may be a key, `__proto__` too: doors build it without a prototype, and copies must keep that. */
  readonly options: Readonly<Record<string, string>>;
  /** Parameters that facteur knows and the sender did not give: no definition binds them. */
  readonly added?: Readonly<Record<string, string>>;
  readonly principal: Principal;
  /** How to answer the interaction that somebody else acknowledged, where the sender says so. */
  readonly interaction?: ForwardedInteraction;
  /** The sender's correlation id, or empty. */
  readonly correlationId: string;
  /** Who sent it, for the run's history, where the door knows. */
  readonly actor?: string;
  /** W3C `traceparent`, or empty. */
  readonly traceparent: string;
  /** The sender's own trace id, as it wrote it, or empty: kept for the session's `TraceID`. */
  readonly traceId: string;
}

export type OptionType = 'string' | 'integer' | 'number' | 'boolean';

/** What Discord lists for one option, and answers to one keystroke. */
export const MAX_CHOICES = 25;

/** One option of a slash command. `min`/`max` bound numbers, `minLength`/`maxLength` (characters) bound strings. */
export interface OptionDefinition {
  /** With dots it is an option of a subcommand: `subcommand.option` or `group.subcommand.option`. */
  readonly name: string;
  readonly description: string;
  readonly type: OptionType;
  readonly required: boolean;
  /** The workflow parameter that it becomes; its own name unless given. */
  readonly parameter?: string;
  /** What a sent value stands for, where Discord cannot carry the parameter's text itself. */
  readonly meanings?: Readonly<Record<string, string>>;
  /** `date`: an ISO 8601 calendar date. */
  readonly format?: 'date';
  /** The only values. Discord lists up to {@link MAX_CHOICES}; more are offered while typing. */
  readonly choices?: readonly { readonly name: string; readonly value: string }[];
  readonly min?: number;
  readonly max?: number;
  readonly minLength?: number;
  readonly maxLength?: number;
  /** Values offered while typing. */
  readonly autocomplete?: readonly string[];
}

/** One field of a form. */
export interface ModalField {
  readonly name: string;
  readonly label: string;
  readonly style: 'short' | 'paragraph';
  readonly required: boolean;
  readonly minLength?: number;
  readonly maxLength?: number;
  readonly placeholder?: string;
}

export interface ModalDefinition {
  readonly title: string;
  readonly fields: readonly ModalField[];
}

/** The WorkflowTemplate that makes a command, as it was read. */
export interface TemplateSource {
  readonly namespace: string;
  readonly name: string;
  readonly uid: string;
  readonly resourceVersion: string;
}

/** What a command is and what it runs. Unset targets fall back to `argo.*`. */
export interface CommandDefinition {
  readonly description: string;
  readonly options: readonly OptionDefinition[];
  /** With options too (only a template has both), the form asks and the options say what is valid. */
  readonly modal?: ModalDefinition;
  readonly namespace?: string;
  readonly workflowTemplate?: string;
  readonly serviceAccount?: string;
  readonly parameters: Readonly<Record<string, string>>;
  /** The option whose value says best what was asked. */
  readonly titleOption?: string;
  /** Who is notified once when a run has ended: its author, or the roles that may run the command. */
  readonly notify?: 'author' | 'role';
  /** The message of a run shows no progress, only how its state changes. */
  readonly quiet?: true;
  /** Whoever presses Run again is asked whether they mean it. */
  readonly confirm?: true;
  /** Names of the global outputs of its workflows that are shown as results. */
  readonly results?: readonly string[];
  /** Answer only the user, not the channel. */
  readonly ephemeral: boolean;
  /** Its workflows receive no token to report back with. */
  readonly report?: false;
  /** Its workflows receive reflections of earlier runs. */
  readonly reflections?: true;
  /** `status` answers from known data and runs nothing. */
  readonly action: 'dispatch' | 'status';
  /** True when the operator's configuration defines it: then it binds on `/events` and Kafka too. */
  readonly configured: boolean;
  /** The template that defines it, if one does: it binds on every door, too. */
  readonly template?: TemplateSource;
  /** The only Discord servers in which it exists; every one unless given. */
  readonly guilds?: readonly string[];
}
