import { Secret } from '../../base/secret.ts';
import { trimmed } from '../../base/trimmed.ts';
import type { Command, Door, Principal } from '../../domain/command.ts';
import { familyOfGivenId } from '../../domain/delivery.ts';
import { Refusal } from '../../domain/refusal.ts';
import { type CommandEvent, CommandEventSchema } from '../../proto/proompteng/facteur/v1/contract_pb.ts';
import { deliveryIdOf } from './event-id.ts';
import type { Incoming } from './incoming.ts';
import { decodeMessage } from './message.ts';
import { openEnvelope, type Payload } from './payload.ts';
import { checkText } from './text.ts';

const NOBODY = { id: '', username: '', globalName: '' };
const NO_MEMBER = { id: '', roles: [] };

interface CommandSource {
  readonly door: Door;
  /** Creates an id for a delivery without one: such a delivery is a new run every time it arrives. */
  readonly freshId: () => string;
}

/**
 * Decodes a CommandEvent in protobuf, in proto3 JSON, or in the older JSON with a `userId`, as a command. Text is not changed.
 *
 * @throws Refusal `unsupported_media_type`, `empty_payload`, `invalid_payload` or `missing_command`
 */
export function decodeCommand(incoming: Incoming, source: CommandSource): Command {
  const { payload, eventId, traceparent } = openEnvelope(incoming, source.door);
  const event = decodeMessage(CommandEventSchema, payload);
  const olderUserId = readOlderUserId(payload);
  checkCommand(event.command);
  return {
    door: source.door,
    ...identityOf(deliveryIdOf(event.interactionId, eventId), source),
    interactionId: trimmed(event.interactionId),
    name: event.command,
    options: plainOptions(event.options),
    principal: principalOf(event, olderUserId),
    ...interactionOf(event),
    correlationId: event.correlationId,
    traceparent,
    traceId: event.traceId,
  };
}

/** An id that looks like one of facteur's own still belongs to the sender. */
function identityOf(given: string, { freshId }: CommandSource): Pick<Command, 'deliveryId' | 'family'> {
  if (given !== '') {
    return { deliveryId: given };
  }
  const deliveryId = freshId();
  return familyOfGivenId(deliveryId) === 'derived' ? { deliveryId, family: 'derived' } : { deliveryId };
}

function checkCommand(command: string): void {
  if (command.trim() === '') {
    throw new Refusal('missing_command');
  }
}

/** Without a prototype, so an option called `constructor` or `__proto__` is an ordinary option. */
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

/** Discord's flag of a message that only one person sees. */
const EPHEMERAL = 64;

function interactionOf({ token, applicationId, response }: CommandEvent): Pick<Command, 'interaction'> {
  const text = trimmed(token);
  const ephemeral = ((response?.flags ?? 0) & EPHEMERAL) !== 0;
  return text === ''
    ? {}
    : { interaction: { token: new Secret(text), applicationId: trimmed(applicationId), ephemeral } };
}

/** The older JSON has the user at the top level, which the message does not define. */
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
