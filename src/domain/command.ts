import type { Secret } from '../base/secret.ts';

/** The entry point of a request. */
export type Door = 'http' | 'kafka' | 'discord' | 'api' | 'cli';

/** The user, as known to the door. Without a member (a direct message, an old event) there are no roles. */
export interface Principal {
  readonly userId: string;
  readonly username: string;
  readonly globalName: string;
  readonly roles: readonly string[];
  readonly guildId: string;
  readonly channelId: string;
  /** An application, not a person. */
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

/** An interaction that its receiver answered and forwarded. */
interface ForwardedInteraction {
  readonly token: Secret;
  /** The application that received the interaction; empty if the sender does not say. */
  readonly applicationId: string;
  /** Whether only the user sees the response, and so every update of it. */
  readonly ephemeral: boolean;
}

/** A decoded request to run a command: `dispatch` decides whether it may run. */
export interface Command {
  readonly door: Door;
  /** Identity of the delivery: the same id is the same run forever. */
  readonly deliveryId: string;
  /** Present if the sender gave no id, and facteur derived one from known facts. */
  readonly family?: 'derived';
  /** Discord's interaction id, or empty. */
  readonly interactionId: string;
  /** As sent; the rules decide what it means. */
  readonly name: string;
  /**
   * As sent. Any text may be a key, even `__proto__`: doors build the object without a prototype, and copies must keep it that
   * way.
   */
  readonly options: Readonly<Record<string, string>>;
  /** Parameters that facteur knows and the sender did not give: they are not subject to the definition. */
  readonly added?: Readonly<Record<string, string>>;
  readonly principal: Principal;
  /** How to update the response to an interaction that the sender already acknowledged, if it says so. */
  readonly interaction?: ForwardedInteraction;
  /** The sender's correlation id, or empty. */
  readonly correlationId: string;
  /** The sender, for the run's history, if the door knows it. */
  readonly actor?: string;
  /** W3C `traceparent`, or empty. */
  readonly traceparent: string;
  /** The sender's own trace id, unchanged, or empty: kept for the session's `TraceID`. */
  readonly traceId: string;
}

export type OptionType = 'string' | 'integer' | 'number' | 'boolean';

/** Maximum number of choices that Discord lists for one option, and accepts for one autocomplete request. */
export const MAX_CHOICES = 25;

/** One option of a slash command. `min`/`max` bound numbers, `minLength`/`maxLength` (characters) bound strings. */
export interface OptionDefinition {
  /** A dotted name is an option of a subcommand: `subcommand.option` or `group.subcommand.option`. */
  readonly name: string;
  readonly description: string;
  readonly type: OptionType;
  readonly required: boolean;
  /** The workflow parameter that it sets; by default, its own name. */
  readonly parameter?: string;
  /** The parameter's text for each sent value, if Discord cannot carry the text itself. */
  readonly meanings?: Readonly<Record<string, string>>;
  /** `date`: an ISO 8601 calendar date. */
  readonly format?: 'date';
  /** The only allowed values. Discord lists up to {@link MAX_CHOICES}; more are offered by autocomplete. */
  readonly choices?: readonly { readonly name: string; readonly value: string }[];
  readonly min?: number;
  readonly max?: number;
  readonly minLength?: number;
  readonly maxLength?: number;
  /** Values offered by autocomplete. */
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

/** The WorkflowTemplate that defines a command, as it was read. */
export interface TemplateSource {
  readonly namespace: string;
  readonly name: string;
  readonly uid: string;
  readonly resourceVersion: string;
}

/** A command and its target. Unset targets fall back to `argo.*`. */
export interface CommandDefinition {
  readonly description: string;
  readonly options: readonly OptionDefinition[];
  /** If there are options too (only in commands from templates), the form asks and the options define what is valid. */
  readonly modal?: ModalDefinition;
  readonly namespace?: string;
  readonly workflowTemplate?: string;
  readonly serviceAccount?: string;
  readonly parameters: Readonly<Record<string, string>>;
  /** The option whose value best describes the request. */
  readonly titleOption?: string;
  /** Who is notified once when a run ends: its author, or the roles that may run the command. */
  readonly notify?: 'author' | 'role';
  /** The message of a run shows only state changes, no progress. */
  readonly quiet?: true;
  /** Run again asks the user for confirmation. */
  readonly confirm?: true;
  /** Names of the global outputs of its workflows to show as results. */
  readonly results?: readonly string[];
  /** Answer only the user, not the channel. */
  readonly ephemeral: boolean;
  /** Its workflows receive no token for reporting back. */
  readonly report?: false;
  /** Its workflows receive reflections of earlier runs. */
  readonly reflections?: true;
  /** `status` answers from known data and runs nothing. */
  readonly action: 'dispatch' | 'status';
  /** True if the operator's configuration defines it: then it also binds on `/events` and Kafka. */
  readonly configured: boolean;
  /** The template that defines it, if any: then it also binds on every door. */
  readonly template?: TemplateSource;
  /** The only Discord servers that have it; by default, all. */
  readonly guilds?: readonly string[];
}
