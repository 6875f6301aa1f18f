import { unknown } from './discord-failure.ts';
import type { Interaction } from './interactions.ts';
import { EPHEMERAL } from './message-rules.ts';
import type { SimulatedMessage } from './message.ts';
import { respond } from './respond.ts';
import type { Call, Reply, Route } from './route.ts';

/** Commonly observed values; Discord publishes none and asks clients to read the headers. */
const WEBHOOK_LIMIT = { count: 5, windowMs: 2000 };
const CHANNEL_LIMIT = { count: 5, windowMs: 5000 };

const ORIGINAL = '@original';

/** The interaction with the token in the path. @throws DiscordFailure 10015 or 50027 */
function answered({ world, params }: Call): Interaction {
  const interaction = world.interactions.requireAnswered(params['token'] ?? '');
  if (params['app'] !== world.applicationId) {
    throw unknown('webhook');
  }
  return interaction;
}

/** A message of this interaction: its answer, or what followed it. @throws DiscordFailure 10008 */
function ownMessage(call: Call): SimulatedMessage {
  const interaction = answered(call);
  const wanted = call.params['message'] ?? '';
  const id = wanted === ORIGINAL ? interaction.originalId : wanted;
  const message = call.world.messages.get(interaction.channelId, id);
  if (message.interactionId !== interaction.id && id !== interaction.originalId) {
    throw unknown('message');
  }
  return message;
}

function followUp(call: Call): Reply {
  const { world, body, route } = call;
  const interaction = answered(call);
  const { channelId, id: interactionId, originalId } = interaction;
  const original = world.messages.list(channelId).find(({ id, deleted }) => id === originalId && !deleted);
  // After a deferred answer, this route fills in that answer, for old clients.
  if (original?.versions.at(-1)?.loading === true) {
    return shown(call, world.messages.edit(original, body, route));
  }
  const flags = typeof body['flags'] === 'number' ? body['flags'] : 0;
  const ephemeral = (flags & EPHEMERAL) !== 0;
  return shown(call, world.messages.create({ channelId, interactionId, ephemeral, by: route, body }));
}

/** A message that the bot can see; ephemeral ones do not exist for it. */
function botMessage({ world, params }: Call): SimulatedMessage {
  const channelId = params['channel'] ?? '';
  world.channels.check(channelId, 'edit');
  const message = world.messages.get(channelId, params['message'] ?? '');
  if (message.ephemeral) {
    throw unknown('message');
  }
  return message;
}

function postAsBot(call: Call): Reply {
  const { world, params, body, route } = call;
  const channelId = params['channel'] ?? '';
  world.channels.check(channelId, 'send');
  if (body['message_reference'] !== undefined) {
    world.channels.checkReply(channelId);
  }
  return shown(call, world.messages.create({ channelId, interactionId: '', ephemeral: false, by: route, body }));
}

function shown({ world }: Call, message: SimulatedMessage): Reply {
  return { status: 200, body: world.messages.toJson(message) };
}

function remove(call: Call, message: SimulatedMessage): Reply {
  call.world.messages.delete(message, call.route);
  return { status: 204 };
}

function callback(call: Call): Reply {
  const { world, params, body, query } = call;
  const interaction = world.interactions.requireUnanswered(params['id'] ?? '', params['token'] ?? '');
  const { id, type, originalId } = respond(world, interaction, body);
  if (query.get('with_response') !== 'true') {
    return { status: 204 };
  }
  return { status: 200, body: { interaction: { id, type, response_message_id: originalId } } };
}

const webhook = { auth: 'path', limit: WEBHOOK_LIMIT, major: 'token' } as const;
const channel = { auth: 'bot', limit: CHANNEL_LIMIT, major: 'channel' } as const;
const WEBHOOK_MESSAGE = '/webhooks/{app}/{token}/messages/{message}';
const CHANNEL_MESSAGE = '/channels/{channel}/messages/{message}';

/** Routes for answers to interactions (by interaction token) and for messages (by bot token). */
export const MESSAGE_ROUTES: readonly Route[] = [
  {
    ...webhook,
    name: 'interaction.callback',
    method: 'POST',
    path: '/interactions/{id}/{token}/callback',
    handle: callback,
  },
  { ...webhook, name: 'webhook.message.create', method: 'POST', path: '/webhooks/{app}/{token}', handle: followUp },
  {
    ...webhook,
    name: 'webhook.message.get',
    method: 'GET',
    path: WEBHOOK_MESSAGE,
    handle: (call) => shown(call, ownMessage(call)),
  },
  {
    ...webhook,
    name: 'webhook.message.edit',
    method: 'PATCH',
    path: WEBHOOK_MESSAGE,
    handle: (call) => {
      const message = ownMessage(call);
      call.world.channels.checkOpen(message.channelId);
      return shown(call, call.world.messages.edit(message, call.body, call.route));
    },
  },
  {
    ...webhook,
    name: 'webhook.message.delete',
    method: 'DELETE',
    path: WEBHOOK_MESSAGE,
    handle: (call) => remove(call, ownMessage(call)),
  },
  {
    ...channel,
    name: 'channel.message.create',
    method: 'POST',
    path: '/channels/{channel}/messages',
    handle: postAsBot,
  },
  {
    ...channel,
    name: 'channel.message.get',
    method: 'GET',
    path: CHANNEL_MESSAGE,
    handle: (call) => shown(call, botMessage(call)),
  },
  {
    ...channel,
    name: 'channel.message.edit',
    method: 'PATCH',
    path: CHANNEL_MESSAGE,
    handle: (call) => shown(call, call.world.messages.edit(botMessage(call), call.body, call.route)),
  },
  {
    ...channel,
    name: 'channel.message.delete',
    method: 'DELETE',
    path: CHANNEL_MESSAGE,
    handle: (call) => remove(call, botMessage(call)),
  },
];
