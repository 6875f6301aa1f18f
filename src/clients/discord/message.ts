import type { APIMessage, RESTPostAPIChannelMessageJSONBody } from 'discord-api-types/v10';

type Fields = Required<{
  [Key in keyof RESTPostAPIChannelMessageJSONBody]: NonNullable<RESTPostAPIChannelMessageJSONBody[Key]>;
}>;

/** What facteur sends as a message: text, buttons, and nobody mentioned unless it says so. */
export type MessageBody = Pick<Fields, 'content' | 'components' | 'allowed_mentions'>;

/** A message to post, made unique by its nonce. */
export type NewMessageBody = MessageBody & Partial<Pick<Fields, 'nonce' | 'enforce_nonce' | 'message_reference'>>;

/** What facteur reads of a message that Discord has taken. */
export type SentMessage = Pick<APIMessage, 'id' | 'channel_id'>;
