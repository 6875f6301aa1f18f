import type { APIMessage, RESTPostAPIChannelMessageJSONBody } from 'discord-api-types/v10';

type Fields = Required<{
  [Key in keyof RESTPostAPIChannelMessageJSONBody]: NonNullable<RESTPostAPIChannelMessageJSONBody[Key]>;
}>;

/** What facteur sends as a message: text, buttons, and no mentions unless it allows them. */
export type MessageBody = Pick<Fields, 'content' | 'components' | 'allowed_mentions'>;

/** A message to post, made unique by its nonce. */
export type NewMessageBody = MessageBody & Partial<Pick<Fields, 'nonce' | 'enforce_nonce' | 'message_reference'>>;

/** The fields that facteur reads of a message that Discord accepted. */
export type SentMessage = Pick<APIMessage, 'id' | 'channel_id'> & Partial<Pick<APIMessage, 'content' | 'components'>>;

/**
 * Whether a message shows what was to be posted: Discord answers a post with an earlier nonce with the earlier message,
 * unchanged. It trims texts and fills in fields, so only text and buttons count.
 */
export function shows({ content = '', components = [] }: SentMessage, body: MessageBody): boolean {
  return content.trim() === body.content.trim() && buttonsIn(components) === buttonsIn(body.components);
}

function buttonsIn(components: MessageBody['components']): string {
  const buttons = components.flatMap((row): readonly object[] => ('components' in row ? row.components : []));
  return JSON.stringify(
    buttons.map((button) => [
      'label' in button ? button.label : '',
      'custom_id' in button ? button.custom_id : '',
      'disabled' in button && button.disabled === true,
    ]),
  );
}
