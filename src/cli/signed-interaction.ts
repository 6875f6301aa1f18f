import { createPrivateKey, sign, type KeyObject } from 'node:crypto';
import { FacteurError } from '../base/errors.ts';
import { snowflakeAt } from '../domain/snowflake.ts';

/** The acting user and the place; an empty guild is a direct message. */
interface Actor {
  readonly user: string;
  readonly roles: readonly string[];
  readonly guild: string;
  readonly channel: string;
}

export interface Play {
  /** Discord's id of the interaction. */
  readonly id: string;
  readonly token: string;
  readonly actor: Actor;
}

const COMMAND = 2;
const MODAL = 5;
const CHAT_INPUT = 1;
const SUBCOMMAND = 1;
const STRING = 3;
const LABEL = 18;
const TEXT_INPUT = 4;
/** The PKCS #8 header before the 32 bytes of an Ed25519 key: https://www.rfc-editor.org/rfc/rfc8410 */
const PKCS8_PREFIX = '302e020100300506032b657004220420';

/**
 * The private half of an application's key, for playing Discord: 64 hex digits, or PKCS #8 in PEM.
 *
 * @throws FacteurError `cli.key`
 */
export function readPrivateKey(text: string): KeyObject {
  const trimmed = text.trim();
  try {
    const key = /^[0-9a-f]{64}$/i.test(trimmed)
      ? createPrivateKey({ key: Buffer.from(PKCS8_PREFIX + trimmed, 'hex'), format: 'der', type: 'pkcs8' })
      : createPrivateKey(trimmed);
    if (key.asymmetricKeyType === 'ed25519') {
      return key;
    }
  } catch {
    // The library's message is not helpful, and might quote the key.
  }
  throw new FacteurError('cli.key', 'the private key is neither 64 hex digits nor an Ed25519 key in PEM', {
    retryable: false,
  });
}

/** The headers with which Discord signs a body. */
export function signatureHeaders(body: string, key: KeyObject, now: Date): Record<string, string> {
  const timestamp = String(Math.floor(now.getTime() / 1000));
  return {
    'content-type': 'application/json',
    'x-signature-timestamp': timestamp,
    'x-signature-ed25519': sign(null, Buffer.from(timestamp + body), key).toString('hex'),
  };
}

/** A Discord id for the current time. */
export function newSnowflake(now: Date, random: () => number): string {
  const sequence = BigInt(Math.floor(random() * 2 ** 22));
  return String(snowflakeAt(now.getTime()) | sequence);
}

/** A slash command as Discord sends it; options with dotted names are those of subcommands. */
export function commandInteraction(play: Play, name: string, options: Readonly<Record<string, string>>): object {
  return { ...envelope(play, COMMAND), data: { id: play.id, name, type: CHAT_INPUT, options: nestedOptions(options) } };
}

/** A form as Discord sends it. */
export function formInteraction(play: Play, customId: string, fields: Readonly<Record<string, string>>): object {
  const components = Object.entries(fields).map(([name, value]) => ({
    type: LABEL,
    component: { type: TEXT_INPUT, custom_id: name, value },
  }));
  return { ...envelope(play, MODAL), data: { custom_id: customId, components } };
}

function envelope({ id, token, actor }: Play, type: number): object {
  const user = { id: actor.user, username: 'facteur-send', global_name: null, discriminator: '0' };
  const place =
    actor.guild === '' ? { user, context: 1 } : { guild_id: actor.guild, member: { user, roles: actor.roles } };
  const channel = { id: actor.channel, type: actor.guild === '' ? 1 : 0 };
  return {
    id,
    token,
    type,
    version: 1,
    application_id: id,
    channel_id: actor.channel,
    channel,
    locale: 'en-GB',
    ...place,
  };
}

type NestedOption =
  | { readonly name: string; readonly type: number; readonly value: string }
  | { readonly name: string; readonly type: number; readonly options: readonly NestedOption[] };

/** `{'start.name': 'api'}` as the option `name` in the subcommand `start`. */
export function nestedOptions(options: Readonly<Record<string, string>>): readonly NestedOption[] {
  const groups = Map.groupBy(Object.entries(options), ([name]) =>
    name.includes('.') ? name.slice(0, name.indexOf('.')) : '',
  );
  return [...groups].flatMap(([group, entries]): NestedOption[] => {
    if (group === '') {
      return entries.map(([name, value]) => ({ name, type: STRING, value }));
    }
    const inner = nestedOptions(
      Object.fromEntries(entries.map(([name, value]) => [name.slice(group.length + 1), value])),
    );
    return [
      { name: group, type: inner.some((option) => 'options' in option) ? SUBCOMMAND + 1 : SUBCOMMAND, options: inner },
    ];
  });
}
