import { isRecord } from '../../base/json.ts';
import { Secret } from '../../base/secret.ts';
import type { Principal } from '../../domain/command.ts';
import { Refusal } from '../../domain/refusal.ts';
import { MAX_TOKEN_LENGTH, MAX_LONG_LENGTH } from '../decode/bounds.ts';
import { parseJson } from '../decode/payload.ts';
import { checkText } from '../decode/text.ts';
import { formFields } from './form.ts';

/** The properties of every interaction of a person. */
export interface Asked {
  readonly interactionId: string;
  /** Valid for responses to this interaction for 15 minutes; stored only in the session store. */
  readonly token: Secret;
  readonly principal: Principal;
}

/** An event that Discord sends to an application: https://discord.com/developers/docs/interactions/receiving-and-responding */
export type Interaction =
  | { readonly kind: 'ping' }
  | (Asked & {
      readonly kind: 'command';
      readonly name: string;
      /** The chosen subcommand, after its group if it has one. */
      readonly path: readonly string[];
      readonly options: Readonly<Record<string, string>>;
    })
  | (Asked & {
      readonly kind: 'typing';
      readonly name: string;
      readonly path: readonly string[];
      readonly focused: FocusedOption | undefined;
    })
  | (Asked & { readonly kind: 'press'; readonly customId: string })
  | (Asked & {
      readonly kind: 'form';
      readonly customId: string;
      readonly fields: Readonly<Record<string, string>>;
    })
  /** An unknown type, or a command from a menu other than the slash menu. */
  | (Asked & { readonly kind: 'other' })
  /** A person's action that contains text that cannot be stored. */
  | { readonly kind: 'unreadable'; readonly refusal: Refusal; readonly typing: boolean };

type Json = Readonly<Record<string, unknown>>;

const PING = 1;
const COMMAND = 2;
const COMPONENT = 3;
const AUTOCOMPLETE = 4;
const MODAL = 5;
/** The type of slash commands. */
const CHAT_INPUT = 1;

/**
 * Reads the body of a request that Discord signed. Text is not changed.
 *
 * @throws Refusal `invalid_payload` if it is not an interaction
 */
export function readInteraction(body: Buffer): Interaction {
  const value = parseJson(body);
  if (!isRecord(value) || !hasType(value)) {
    throw new Refusal('invalid_payload', 'not an interaction');
  }
  const { type } = value;
  if (type === PING) {
    return { kind: 'ping' };
  }
  try {
    return readAsked(value, type, isRecord(value['data']) ? value['data'] : {});
  } catch (error) {
    if (error instanceof Refusal) {
      return { kind: 'unreadable', refusal: error, typing: type === AUTOCOMPLETE };
    }
    throw error;
  }
}

function hasType(value: Json): value is Json & { readonly type: number } {
  return typeof value['type'] === 'number';
}

function readAsked(interaction: Json, type: number, data: Json): Interaction {
  const asked: Asked = {
    interactionId: requiredText(interaction, 'id'),
    token: new Secret(requiredText(interaction, 'token', MAX_TOKEN_LENGTH)),
    principal: readPrincipal(interaction),
  };
  switch (type) {
    case COMMAND:
    case AUTOCOMPLETE:
      return readCommand(asked, type, data);
    case COMPONENT:
      return { ...asked, kind: 'press', customId: requiredText(data, 'custom_id') };
    case MODAL:
      return {
        ...asked,
        kind: 'form',
        customId: requiredText(data, 'custom_id'),
        fields: formFields(data['components']),
      };
    default:
      return { ...asked, kind: 'other' };
  }
}

function readCommand(asked: Asked, type: number, data: Json): Interaction {
  if ((data['type'] ?? CHAT_INPUT) !== CHAT_INPUT) {
    return { ...asked, kind: 'other' };
  }
  const name = requiredText(data, 'name');
  const { path, options, focused } = readOptions(data['options']);
  return type === COMMAND
    ? { ...asked, kind: 'command', name, path, options }
    : { ...asked, kind: 'typing', name, path, focused };
}

/** In a server the user is inside the member; a direct message has no member, and so no roles. */
function readPrincipal(interaction: Json): Principal {
  const member = isRecord(interaction['member']) ? interaction['member'] : {};
  const user = [member['user'], interaction['user']].find(isRecord) ?? {};
  const channel = isRecord(interaction['channel']) ? interaction['channel'] : {};
  const roles = Array.isArray(member['roles']) ? (member['roles'] as unknown[]) : [];
  return {
    userId: text(user, 'id'),
    username: text(user, 'username'),
    globalName: text(user, 'global_name'),
    roles: roles.filter((role) => typeof role === 'string'),
    guildId: text(interaction, 'guild_id'),
    channelId: text(interaction, 'channel_id') || text(channel, 'id'),
    ...(user['bot'] === true ? { bot: true } : {}),
  };
}

function requiredText(object: Json, name: string, maxLength?: number): string {
  const value = text(object, name, maxLength);
  if (value === '') {
    throw new Refusal('invalid_payload', `${name}: is missing`);
  }
  return value;
}

/** Empty if it is missing. */
function text(object: Json, name: string, maxLength?: number): string {
  const value = object[name];
  checkText(value, name, maxLength);
  return typeof value === 'string' ? value : '';
}

/** The option that the user is typing into, and the text so far. */
interface FocusedOption {
  readonly name: string;
  readonly typed: string;
}

interface ReadOptions {
  /** The chosen subcommand, after its group if it has one. */
  readonly path: readonly string[];
  /** Without a prototype: any text may be a name. */
  readonly options: Record<string, string>;
  readonly focused: FocusedOption | undefined;
}

/** A group of subcommands, a subcommand, an option: Discord nests no deeper. */
const MAX_DEPTH = 3;
const SUBCOMMANDS: ReadonlySet<unknown> = new Set([1, 2]);

/**
 * The options of a command as text: options of subcommands have dotted names such as `group.subcommand.option`; numbers, booleans
 * and ids stay unchanged.
 *
 * @throws Refusal `invalid_payload` for text that cannot be stored
 */
function readOptions(value: unknown): ReadOptions {
  const found: Found = {
    path: [],
    options: Object.create(null) as Record<string, string>,
    focused: undefined,
  };
  collect(value, [], found);
  return found;
}

type Found = { -readonly [K in keyof ReadOptions]: ReadOptions[K] };

function collect(list: unknown, path: readonly string[], found: Found): void {
  for (const option of Array.isArray(list) ? (list as unknown[]) : []) {
    if (!isRecord(option) || typeof option['name'] !== 'string') {
      continue;
    }
    checkText(option['name'], 'options');
    const names = [...path, option['name']];
    if (SUBCOMMANDS.has(option['type'])) {
      found.path = names;
    }
    if (names.length < MAX_DEPTH) {
      collect(option['options'], names, found);
    }
    const value = asText(option['value']);
    if (value !== undefined) {
      const name = names.join('.');
      checkText(name, 'options');
      checkText(value, `options.${name}`, MAX_LONG_LENGTH);
      found.options[name] = value;
      found.focused = option['focused'] === true ? { name, typed: value } : found.focused;
    }
  }
}

function asText(value: unknown): string | undefined {
  return typeof value === 'string' || typeof value === 'number' || typeof value === 'boolean'
    ? String(value)
    : undefined;
}
