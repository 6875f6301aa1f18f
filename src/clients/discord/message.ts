import type { APIMessage, RESTPostAPIChannelMessageJSONBody } from 'discord-api-types/v10';

/** What facteur sends as a message: text, buttons, and nobody mentioned unless it says so. */
export type MessageBody = Required<
  Pick<RESTPostAPIChannelMessageJSONBody, 'content' | 'components' | 'allowed_mentions'>
>;

/** A message to post, made unique by its nonce. */
export type NewMessageBody = MessageBody & Pick<RESTPostAPIChannelMessageJSONBody, 'nonce' | 'enforce_nonce'>;

/** What facteur reads of a message that Discord has taken. */
export type SentMessage = Pick<APIMessage, 'id' | 'channel_id'>;
