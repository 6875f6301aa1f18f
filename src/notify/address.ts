import type { Secret } from '../base/secret.ts';
import type { ClaimedMessage, MessageAddress } from '../ledger/messages.ts';
import { TOKEN_LIFE_MS, tokenAgeMs } from './pace.ts';

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
/** The door does not wait for the session store: another replica may see the message before the token has arrived. */
const ARRIVAL_MS = 3000;
/** Until the next look for a token that is on its way. Somebody waits, and it seldom takes longer than this. */
const ARRIVAL_LOOK_MS = 250;

/**
 * The best way that is left: the token while it lives, since it needs no permission; then the bot on the same message;
 * then a new message. What only one person may see is never posted for all.
 */
export function chooseRoute(message: ClaimedMessage, address: MessageAddress, now: Circumstances): Route {
  const { token, ageMs } = now;
  const tokenLeads = answersInteraction(message, address) && tokenAgeMs(message, ageMs) < TOKEN_LIFE_MS;
  if (tokenLeads && token !== undefined) {
    return { kind: 'token', token };
  }
  if (!message.ephemeral && address.messageId !== '') {
    return { kind: 'edit', messageId: address.messageId };
  }
  const waitMs = tokenLeads ? tokenWaitMs(message, now) : 0;
  if (waitMs > 0) {
    return { kind: 'wait', ms: waitMs };
  }
  return message.ephemeral ? { kind: 'none', reason: HIDDEN } : newMessage(message, address);
}

/** Until the next look for a token that is not known, in milliseconds; 0 if waiting is of no use. */
function tokenWaitMs({ ephemeral, interactionTaken }: ClaimedMessage, { sessionsOk, ageMs }: Circumstances): number {
  if (sessionsOk) {
    // The token that a retry shares is long there or gone. A clock that is far behind the database's must not wait for longer.
    return !interactionTaken && Math.abs(ageMs) < ARRIVAL_MS ? ARRIVAL_LOOK_MS : 0;
  }
  if (ephemeral) {
    return 5000;
  }
  return ageMs < PATIENCE_MS ? 2000 : 0;
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
