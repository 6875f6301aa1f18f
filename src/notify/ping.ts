import type { NewMessageBody } from '../clients/discord/message.ts';
import { isFinished } from '../domain/run-state.ts';
import type { ClaimedMessage, MessageAddress } from '../ledger/messages.ts';
import { describeDuration } from '../presentation/duration.ts';
import { inlineCode } from '../presentation/safe-text.ts';
import { STATE_WORDS, WORDS } from '../presentation/words.ts';

/** Nobody waits for the news any longer. */
const MAX_AGE_MS = 24 * 60 * 60_000;
const MAX_REQUEST = 160;

/** Whether the end of this run still has to be told to somebody, in a message that everybody may see. */
export function wantsPing(message: ClaimedMessage, { messageId }: MessageAddress, nowMs: number): boolean {
  const { ping, pinged, ephemeral, state, finishedAt, channelId } = message;
  const isFresh = finishedAt !== null && nowMs - finishedAt.getTime() < MAX_AGE_MS;
  return ping !== '' && !pinged && !ephemeral && isFinished(state) && isFresh && messageId !== '' && channelId !== '';
}

/**
 * The reply that tells the end of a run: it mentions the person or the roles, and nobody else. The same nonce each time,
 * so that Discord posts it once, also when the answer to the first attempt was lost.
 */
export function pingBody(message: ClaimedMessage, { messageId }: MessageAddress): NewMessageBody | undefined {
  const { ping, userId, runId, state } = message;
  const ids = (ping === 'author' ? [userId] : ping.replace('roles:', '').split(',')).filter((id) =>
    /^\d{1,20}$/.test(id),
  );
  if (ids.length === 0) {
    return undefined;
  }
  const mentions = ids.map((id) => (ping === 'author' ? `<@${id}>` : `<@&${id}>`)).join(' ');
  const { icon, title } = STATE_WORDS[state];
  const request = inlineCode(`/${message.command} ${message.title}`, MAX_REQUEST);
  return {
    content: `${mentions} ${icon} ${request}: ${title.toLowerCase()}${took(message)}.`,
    components: [],
    allowed_mentions: { parse: [], [ping === 'author' ? 'users' : 'roles']: ids },
    message_reference: { message_id: messageId, fail_if_not_exists: false },
    nonce: `p${runId.replaceAll('-', '').slice(0, 24)}`,
    enforce_nonce: true,
  };
}

function took({ state, startedAt, acceptedAt, finishedAt }: ClaimedMessage): string {
  if (finishedAt === null) {
    return '';
  }
  const duration = describeDuration(finishedAt.getTime() - (startedAt ?? acceptedAt).getTime());
  return ` ${state === 'succeeded' ? WORDS.in(duration) : WORDS.after(duration)}`;
}
