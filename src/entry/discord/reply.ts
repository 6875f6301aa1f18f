import type { OptionDefinition } from '../../domain/command.ts';

/** The answers to an interaction: https://discord.com/developers/docs/interactions/receiving-and-responding */
export type Reply =
  | { readonly type: typeof PONG }
  | { readonly type: typeof MESSAGE; readonly data: MessageData }
  | { readonly type: typeof DEFERRED; readonly data?: { readonly flags: number } }
  | { readonly type: typeof SUGGESTIONS; readonly data: { readonly choices: readonly Suggestion[] } }
  | { readonly type: typeof FORM; readonly data: FormData };

export interface MessageData {
  readonly content: string;
  readonly flags?: number;
  /** Nobody is ever mentioned. */
  readonly allowed_mentions: { readonly parse: readonly [] };
}

export interface Suggestion {
  readonly name: string;
  readonly value: string | number;
}

export interface FormData {
  readonly custom_id: string;
  readonly title: string;
  readonly components: readonly object[];
}

const PONG = 1;
const MESSAGE = 4;
const DEFERRED = 5;
const SUGGESTIONS = 8;
const FORM = 9;
/** Only the person who asked sees it. */
const EPHEMERAL = 64;

export const pong: Reply = { type: PONG };

/** The message comes later, by the interaction's token. */
export function deferred(ephemeral: boolean): Reply {
  return ephemeral ? { type: DEFERRED, data: { flags: EPHEMERAL } } : { type: DEFERRED };
}

export function message(content: string, ephemeral: boolean): Reply {
  return {
    type: MESSAGE,
    data: { content, ...(ephemeral ? { flags: EPHEMERAL } : {}), allowed_mentions: { parse: [] } },
  };
}

/** Text for the person who asked and nobody else. */
export function whisper(content: string): Reply {
  return message(content, true);
}

export function form(data: FormData): Reply {
  return { type: FORM, data };
}

/** Discord takes no more at a time. */
const MAX_SUGGESTIONS = 25;

/** The values that an option offers while `typed` stands there: those that begin with it, then those that hold it. */
export function suggestions(option: OptionDefinition | undefined, typed: string): Reply {
  const wanted = typed.toLowerCase();
  const fitting = (option?.autocomplete ?? []).filter((value) => value.toLowerCase().includes(wanted));
  const choices = [
    ...fitting.filter((value) => value.toLowerCase().startsWith(wanted)),
    ...fitting.filter((value) => !value.toLowerCase().startsWith(wanted)),
  ]
    .slice(0, MAX_SUGGESTIONS)
    .map((value) => ({ name: value, value: isNumeric(option) ? Number(value) : value }));
  return { type: SUGGESTIONS, data: { choices } };
}

export const noSuggestions: Reply = { type: SUGGESTIONS, data: { choices: [] } };

function isNumeric(option: OptionDefinition | undefined): boolean {
  return option?.type === 'integer' || option?.type === 'number';
}
