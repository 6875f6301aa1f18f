import type { JsonObject } from '../cluster/objects.ts';
import { EPHEMERAL, LOADING } from './message-rules.ts';
import type { SimulatedMessage } from './message.ts';

const DEFAULT_TYPE = 0;
const CHAT_INPUT_COMMAND = 20;

/** A message in the API's format, with all fields that a client may expect. */
export function messageJson(message: SimulatedMessage, applicationId: string): JsonObject {
  const byInteraction = message.interactionId !== '';
  return {
    id: message.id,
    type: byInteraction ? CHAT_INPUT_COMMAND : DEFAULT_TYPE,
    channel_id: message.channelId,
    author: botUser(applicationId),
    timestamp: new Date(message.createdAtMs).toISOString(),
    tts: false,
    mention_everyone: false,
    mentions: [],
    mention_roles: [],
    attachments: [],
    pinned: false,
    application_id: applicationId,
    ...(byInteraction ? { webhook_id: applicationId } : {}),
    ...(message.nonce === '' ? {} : { nonce: message.nonce }),
    ...shownNow(message),
  };
}

function shownNow({ versions, ephemeral }: SimulatedMessage): JsonObject {
  const latest = versions.at(-1);
  if (latest === undefined) {
    return {};
  }
  const { content, embeds, components, loading, at } = latest;
  const flags = (ephemeral ? EPHEMERAL : 0) | (loading ? LOADING : 0);
  return { content, embeds, components, flags, edited_timestamp: versions.length > 1 ? at : null };
}

/** The bot as a user; its id is the application's. */
export function botUser(applicationId: string): JsonObject {
  return { id: applicationId, username: 'facteur', discriminator: '0000', global_name: null, avatar: null, bot: true };
}
