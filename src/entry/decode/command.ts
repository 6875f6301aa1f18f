import type { Command, Door, Principal } from '../../domain/command.ts';
import { Refusal } from '../../domain/refusal.ts';
import { type CommandEvent, CommandEventSchema } from '../../proto/proompteng/facteur/v1/contract_pb.ts';
import { deliveryIdOf } from './delivery-id.ts';
import type { Incoming } from './incoming.ts';
import { decodeMessage } from './message.ts';
import { openEnvelope, type Payload } from './payload.ts';
import { checkText } from './text.ts';

/** Discord's longest: a command, a group and a subcommand of 32 characters each and what joins them make 98. */
const MAX_COMMAND_LENGTH = 100;

const NOBODY = { id: '', username: '', globalName: '' };
const NO_MEMBER = { id: '', roles: [] };

export interface CommandSource {
  readonly door: Door;
  /** Makes an id for a delivery that brings none: such a delivery is a new run every time it comes. */
  readonly freshId: () => string;
}

/**
 * A CommandEvent in protobuf, in proto3 JSON, or in the older JSON with a `userId`, as a command. No text is altered.
 *
 * @throws Refusal `unsupported_media_type`, `empty_payload`, `invalid_payload` or `missing_command`
 */
export function decodeCommand(incoming: Incoming, source: CommandSource): Command {
  const { payload, eventId, traceparent } = openEnvelope(incoming);
  const event = decodeMessage(CommandEventSchema, payload);
  const olderUserId = readOlderUserId(payload);
  checkCommand(event.command);
  const deliveryId = deliveryIdOf(event.interactionId, eventId);
  return {
    door: source.door,
    deliveryId: deliveryId === '' ? source.freshId() : deliveryId,
    interactionId: event.interactionId.trim() === '' ? '' : event.interactionId,
    name: event.command,
    options: plainOptions(event.options),
    principal: principalOf(event, olderUserId),
    correlationId: event.correlationId,
    traceparent,
    traceId: event.traceId,
  };
}

function checkCommand(command: string): void {
  if (command.trim() === '') {
    throw new Refusal('missing_command');
  }
  if (command.length > MAX_COMMAND_LENGTH) {
    throw new Refusal('invalid_payload', `command: must have at most ${MAX_COMMAND_LENGTH} characters`);
  }
}

/** Without a prototype, so that an option called `constructor` or `__proto__` is an option and nothing else. */
function plainOptions(options: Readonly<Record<string, string>>): Record<string, string> {
  return Object.assign(Object.create(null) as Record<string, string>, options);
}

function principalOf(event: CommandEvent, olderUserId: string): Principal {
  const user = event.user ?? NOBODY;
  const member = event.member ?? NO_MEMBER;
  return {
    userId: user.id || member.id || olderUserId,
    username: user.username,
    globalName: user.globalName,
    roles: member.roles,
    guildId: event.guildId,
    channelId: event.channelId,
  };
}

/** The older JSON names the user at the top level, which the message does not know. */
function readOlderUserId(payload: Payload): string {
  if (payload.format !== 'json') {
    return '';
  }
  const { userId } = payload.value as { readonly userId?: unknown };
  if (userId === undefined || userId === null) {
    return '';
  }
  if (typeof userId !== 'string') {
    throw new Refusal('invalid_payload', 'userId: must be a string');
  }
  checkText(userId, 'userId');
  return userId;
}
