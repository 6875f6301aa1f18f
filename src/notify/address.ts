import type { Secret } from '../base/secret.ts';
import type { ClaimedMessage, MessageAddress } from '../ledger/messages.ts';
import { TOKEN_LIFE_MS } from './pace.ts';

/** How the message can be brought to Discord at this moment. */
export type Route =
  /** The answer to the interaction, by the interaction's token. */
  | { readonly kind: 'token'; readonly token: Secret }
  /** The bot changes the message that is there. */
  | { readonly kind: 'edit'; readonly messageId: string }
  /** The bot posts a message of its own. */
  | { readonly kind: 'post' }
  /** The token may come to light soon. */
  | { readonly kind: 'wait'; readonly ms: number }
  | { readonly kind: 'none'; readonly reason: string };

export interface Circumstances {
  readonly ageMs: number;
  /** The interaction's token, if the sessions know it. */
  readonly token: Secret | undefined;
  /** Whether the sessions could be asked. */
  readonly sessionsOk: boolean;
}

const HIDDEN = 'the message is ephemeral and its interaction token has expired';
const UNWANTED = 'every message about this run was deleted';
/** A message that is deleted as often as this is not wanted. */
const MAX_POSTS = 3;
/** While sessions are down and the message is this young, wait for its token rather than post a second message. */
const PATIENCE_MS = 30_000;

/**
 * The best way that is left: the token while it lives, since it needs no permission; then the bot on the same message;
 * then a new message. What only one person may see is never posted for all.
 */
export function chooseRoute(message: ClaimedMessage, address: MessageAddress, now: Circumstances): Route {
  const { token, sessionsOk, ageMs } = now;
  const tokenLeads = answersInteraction(message, address) && ageMs < TOKEN_LIFE_MS;
  if (tokenLeads && token !== undefined) {
    return { kind: 'token', token };
  }
  const tokenMayCome = tokenLeads && !sessionsOk;
  if (message.ephemeral) {
    return tokenMayCome ? { kind: 'wait', ms: 5000 } : { kind: 'none', reason: HIDDEN };
  }
  if (address.messageId !== '') {
    return { kind: 'edit', messageId: address.messageId };
  }
  return tokenMayCome && ageMs < PATIENCE_MS ? { kind: 'wait', ms: 2000 } : newMessage(message, address);
}

function newMessage({ channelId }: ClaimedMessage, { posts }: MessageAddress): Route {
  if (channelId === '') {
    return { kind: 'none', reason: 'unknown channel' };
  }
  return posts < MAX_POSTS ? { kind: 'post' } : { kind: 'none', reason: UNWANTED };
}

/** Whether the message is (or will be) the answer to its interaction, rather than one of the bot's own. */
function answersInteraction(message: ClaimedMessage, { tokenRefused, posts }: MessageAddress): boolean {
  // A second run of one interaction has only that answer if it may not post publicly.
  const free = !message.interactionTaken || message.ephemeral;
  return message.interactionId !== '' && free && !tokenRefused && posts === 0;
}
