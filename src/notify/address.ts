import type { Secret } from '../base/secret.ts';
import type { ClaimedMessage, MessageAddress } from '../ledger/messages.ts';
import { TOKEN_LIFE_MS, tokenAgeMs } from './pace.ts';

/** How the message can be delivered to Discord at this moment. */
export type Route =
  /** Edit the response to the interaction, with the interaction's token. */
  | { readonly kind: 'token'; readonly token: Secret }
  /** The bot edits the existing message. */
  | { readonly kind: 'edit'; readonly messageId: string }
  /** The bot posts a new message. */
  | { readonly kind: 'post' }
  /** The token may become available soon. */
  | { readonly kind: 'wait'; readonly ms: number }
  | { readonly kind: 'none'; readonly reason: string };

export interface Circumstances {
  readonly ageMs: number;
  /** The interaction's token, if the session store has it. */
  readonly token: Secret | undefined;
  /** Whether the session store could be reached. */
  readonly sessionsOk: boolean;
}

const HIDDEN = 'the message is ephemeral and its interaction token has expired';
const UNWANTED = 'every message about this run was deleted';
/** A message that was deleted this many times is not wanted. */
const MAX_POSTS = 3;
/**
 * While the session store is down and the message is younger than this, wait for its token instead of posting a second message.
 */
const PATIENCE_MS = 30_000;
/** The door does not wait for the session store: another replica may see the message before the token has arrived. */
const ARRIVAL_MS = 3000;
/** Delay before the next look for a token that is on its way. A user is waiting, and it seldom takes longer than this. */
const ARRIVAL_LOOK_MS = 250;

/**
 * The best remaining way: the token while it is valid, since it needs no permission; then the bot on the same message; then a new
 * message. An ephemeral message is never posted publicly.
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

/** Milliseconds until the next look for an unknown token; 0 if waiting is useless. */
function tokenWaitMs({ ephemeral, interactionTaken }: ClaimedMessage, { sessionsOk, ageMs }: Circumstances): number {
  if (sessionsOk) {
    // A token shared with a retry arrived long ago or is gone. If our clock is far behind the database's, do not wait longer.
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

/** Whether the message is (or will be) the response to its interaction, not a message of the bot's own. */
function answersInteraction(message: ClaimedMessage, { tokenRefused, posts }: MessageAddress): boolean {
  // A second run of the same interaction may use the response only if it must not post publicly.
  const free = !message.interactionTaken || message.ephemeral;
  return message.interactionId !== '' && free && !tokenRefused && posts === 0;
}
