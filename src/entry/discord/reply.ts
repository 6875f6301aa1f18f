import { MAX_CHOICES, type OptionDefinition } from '../../domain/command.ts';
import { copyBlock } from '../../presentation/safe-text.ts';

/** The answers to an interaction: https://discord.com/developers/docs/interactions/receiving-and-responding */
export type Reply =
  | { readonly type: typeof PONG }
  | { readonly type: typeof MESSAGE | typeof REPLACEMENT; readonly data: MessageData }
  | { readonly type: typeof DEFERRED; readonly data?: { readonly flags: number } }
  | { readonly type: typeof SUGGESTIONS; readonly data: { readonly choices: readonly Suggestion[] } }
  | { readonly type: typeof FORM; readonly data: FormData };

/** The parts of a message besides its text. */
export interface MessageExtras {
  readonly embeds: readonly { readonly description: string }[];
  readonly components: readonly object[];
}

interface MessageData extends Partial<MessageExtras> {
  readonly content: string;
  readonly flags?: number;
  /** Never mentions anyone. */
  readonly allowed_mentions: { readonly parse: readonly [] };
}

interface Suggestion {
  readonly name: string;
  readonly value: string | number;
}

interface FormData {
  readonly custom_id: string;
  readonly title: string;
  readonly components: readonly object[];
}

const PONG = 1;
const MESSAGE = 4;
const DEFERRED = 5;
const REPLACEMENT = 7;
const SUGGESTIONS = 8;
const FORM = 9;
/** Only the user sees it. */
const EPHEMERAL = 64;

export const pong: Reply = { type: PONG };

/** The message is sent later, with the interaction's token. */
export function deferred(ephemeral: boolean): Reply {
  return ephemeral ? { type: DEFERRED, data: { flags: EPHEMERAL } } : { type: DEFERRED };
}

export function message(content: string, ephemeral: boolean, extras: Partial<MessageExtras> = {}): Reply {
  return {
    type: MESSAGE,
    data: { content, ...extras, ...(ephemeral ? { flags: EPHEMERAL } : {}), allowed_mentions: { parse: [] } },
  };
}

/** Text that only the user sees. */
export function whisper(content: string, extras: Partial<MessageExtras> = {}): Reply {
  return message(content, true, extras);
}

/** Discord's limit for an embed's description is 4,096 characters. */
export const EMBED_TEXT = { chars: 4000, lines: 4000 };

/** Adds what the user typed into a rejected form, because Discord discards it. */
export function withTyped(reply: Reply, fields: Readonly<Record<string, string>>): Reply {
  const typed = copyBlock(Object.values(fields).join('\n'), EMBED_TEXT.chars);
  return reply.type === MESSAGE && typed !== ''
    ? { ...reply, data: { ...reply.data, embeds: [{ description: typed }] } }
    : reply;
}

/** Replaces the message whose button was pressed. */
export function replacement(content: string, extras: MessageExtras): Reply {
  return { type: REPLACEMENT, data: { content, ...extras, allowed_mentions: { parse: [] } } };
}

export function form(data: FormData): Reply {
  return { type: FORM, data };
}

/** The values that an option suggests for `typed`: those that begin with it, then those that contain it. */
export function suggestions(option: OptionDefinition | undefined, typed: string): Reply {
  const wanted = typed.toLowerCase();
  const { choices: allowed = [], autocomplete = [] } = option ?? {};
  const offered = allowed.length > MAX_CHOICES ? allowed : autocomplete.map((value) => ({ name: value, value }));
  const fitting = offered.filter(({ name }) => name.toLowerCase().includes(wanted));
  const choices = [
    ...fitting.filter(({ name }) => name.toLowerCase().startsWith(wanted)),
    ...fitting.filter(({ name }) => !name.toLowerCase().startsWith(wanted)),
  ]
    .slice(0, MAX_CHOICES)
    .map(({ name, value }) => ({ name, value: isNumeric(option) ? Number(value) : value }));
  return { type: SUGGESTIONS, data: { choices } };
}

export const noSuggestions: Reply = { type: SUGGESTIONS, data: { choices: [] } };

function isNumeric(option: OptionDefinition | undefined): boolean {
  return option?.type === 'integer' || option?.type === 'number';
}
