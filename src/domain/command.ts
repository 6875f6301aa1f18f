/** Where a request came in. */
export type Door = 'http' | 'kafka' | 'discord' | 'cli';

/** Who asks, as the door knows them. No member (a direct message, an old event) means no roles. */
export interface Principal {
  readonly userId: string;
  readonly username: string;
  readonly globalName: string;
  readonly roles: readonly string[];
  readonly guildId: string;
  readonly channelId: string;
}

export const ANONYMOUS: Principal = {
  userId: '',
  username: '',
  globalName: '',
  roles: [],
  guildId: '',
  channelId: '',
};

/** A request to run a command, decoded and nothing more: whether it may run is decided by `dispatch`. */
export interface Command {
  readonly door: Door;
  /** Identity of the delivery: the same id is the same run, for ever. */
  readonly deliveryId: string;
  /** Discord's interaction id where there is one, else empty. */
  readonly interactionId: string;
  /** As it was sent; lookups compare it without case. */
  readonly name: string;
  /** As they were sent. Any text may be a key, `__proto__` too: doors build it without a prototype, and copies must keep that. */
  readonly options: Readonly<Record<string, string>>;
  /** Parameters that facteur knows and the sender did not give: no definition binds them. */
  readonly added?: Readonly<Record<string, string>>;
  readonly principal: Principal;
  /** The sender's correlation id, or empty. */
  readonly correlationId: string;
  /** W3C `traceparent`, or empty. */
  readonly traceparent: string;
  /** The sender's own trace id, as it wrote it, or empty: kept for the session's `TraceID`. */
  readonly traceId: string;
}

export type OptionType = 'string' | 'integer' | 'number' | 'boolean';

/** One option of a slash command. `min`/`max` bound numbers, `minLength`/`maxLength` (characters) bound strings. */
export interface OptionDefinition {
  /** With dots it is an option of a subcommand: `subcommand.option` or `group.subcommand.option`. */
  readonly name: string;
  readonly description: string;
  readonly type: OptionType;
  readonly required: boolean;
  /** `date`: an ISO 8601 calendar date. */
  readonly format?: 'date';
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

/** What a command is and what it runs. Unset targets fall back to `argo.*`. */
export interface CommandDefinition {
  readonly description: string;
  readonly options: readonly OptionDefinition[];
  readonly modal?: ModalDefinition;
  readonly namespace?: string;
  readonly workflowTemplate?: string;
  readonly serviceAccount?: string;
  readonly parameters: Readonly<Record<string, string>>;
  /** Answer only the user, not the channel. */
  readonly ephemeral: boolean;
  /** `status` answers from what is known and runs nothing. */
  readonly action: 'dispatch' | 'status';
  /** True when the operator's configuration defines it: then it binds on `/events` and Kafka too. */
  readonly configured: boolean;
}

/** What a name that somebody typed means; nothing for a name that is no command, `constructor` included. */
export function findCommand(
  commands: Readonly<Record<string, CommandDefinition>>,
  name: string,
): CommandDefinition | undefined {
  const key = name.toLowerCase();
  return Object.hasOwn(commands, key) ? commands[key] : undefined;
}
