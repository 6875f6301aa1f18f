import type { JsonObject } from '../cluster/objects.ts';
import { INTERACTION, type Interaction } from './interactions.ts';

/** A user in the simulated Discord. */
export interface Person {
  readonly id: string;
  readonly username: string;
  readonly globalName: string;
  /** Role ids; a person in a direct message has none. */
  readonly roles: readonly string[];
  /** Whether this is an application and not a person. */
  readonly bot?: boolean;
}

/** The place of an action. An empty guild is a direct message. */
export interface Place {
  readonly guildId: string;
  readonly channelId: string;
}

/** What a person typed into an option, or a subcommand with its own. */
export type CommandOption =
  | { readonly name: string; readonly value: string | number | boolean; readonly focused?: boolean }
  | { readonly name: string; readonly options: readonly CommandOption[] };

const STRING = 3;
const INTEGER = 4;
const BOOLEAN = 5;
const NUMBER = 10;
const SUB_COMMAND = 1;
const SUB_COMMAND_GROUP = 2;
const ROW = 1;
const TEXT_INPUT = 4;
const STRING_SELECT = 3;
const LABEL = 18;

/** Options in the format of the payload, with types inferred from the values. */
export function optionsPayload(options: readonly CommandOption[]): readonly JsonObject[] {
  return options.map((option) => {
    if ('options' in option) {
      const isGroup = option.options.some((inner) => 'options' in inner);
      const type = isGroup ? SUB_COMMAND_GROUP : SUB_COMMAND;
      return { name: option.name, type, options: optionsPayload(option.options) };
    }
    return { ...option, type: optionType(option.value) };
  });
}

function optionType(value: string | number | boolean): number {
  if (typeof value === 'string') {
    return STRING;
  }
  if (typeof value === 'boolean') {
    return BOOLEAN;
  }
  return Number.isInteger(value) ? INTEGER : NUMBER;
}

/** The input of a form, in the newer format (labels) or the older one (rows). */
export function modalPayload(
  customId: string,
  fields: Readonly<Record<string, string | readonly string[]>>,
  shape: 'labels' | 'rows',
): JsonObject {
  const inputs = Object.entries(fields).map(([name, value], index) => ({
    id: index + 2,
    custom_id: name,
    ...(typeof value === 'string' ? { type: TEXT_INPUT, value } : { type: STRING_SELECT, values: value }),
  }));
  const components = inputs.map((input, index) =>
    shape === 'labels'
      ? { type: LABEL, id: index + 1, component: input }
      : { type: ROW, id: index + 1, components: [input] },
  );
  return { custom_id: customId, components };
}

interface Envelope {
  readonly applicationId: string;
  readonly person: Person;
  readonly place: Place;
  /** Depends on the type; absent for PING. */
  readonly data?: JsonObject;
  /** The message with the pressed button. */
  readonly message?: JsonObject;
}

const GUILD_TEXT = 0;
const DIRECT_MESSAGE = 1;
/** View channel, send messages, embed links, read history: what a bot usually has. */
const BOT_PERMISSIONS = '84992';

/** The whole body that Discord POSTs to the interactions endpoint. */
export function interactionPayload(interaction: Interaction, envelope: Envelope): JsonObject {
  const { applicationId, data, message } = envelope;
  const base = { id: interaction.id, application_id: applicationId, type: interaction.type, token: interaction.token };
  if (interaction.type === INTERACTION.ping) {
    return { ...base, version: 1, entitlements: [] };
  }
  return {
    ...base,
    version: 1,
    ...(data === undefined ? {} : { data }),
    ...(message === undefined ? {} : { message }),
    ...whereAndWho(envelope),
    app_permissions: BOT_PERMISSIONS,
    locale: 'en-GB',
    entitlements: [],
    attachment_size_limit: 10_485_760,
  };
}

function whereAndWho({ person, place }: Envelope): JsonObject {
  const user = {
    id: person.id,
    username: person.username,
    global_name: person.globalName === '' ? null : person.globalName,
    discriminator: '0',
    avatar: null,
    bot: person.bot ?? false,
  };
  const { guildId, channelId } = place;
  if (guildId === '') {
    const channel = { id: channelId, type: DIRECT_MESSAGE };
    return { channel_id: channelId, channel, user, context: 1, authorizing_integration_owners: { '0': '0' } };
  }
  return {
    guild_id: guildId,
    guild: { id: guildId, locale: 'en-US', features: [] },
    guild_locale: 'en-US',
    channel_id: channelId,
    channel: { id: channelId, type: GUILD_TEXT, name: 'general', guild_id: guildId },
    member: {
      user,
      roles: person.roles,
      permissions: '2147483647',
      joined_at: '2024-01-01T00:00:00.000000+00:00',
      deaf: false,
      mute: false,
      nick: null,
    },
    context: 0,
    authorizing_integration_owners: { '0': guildId },
  };
}
