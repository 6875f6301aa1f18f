import type { Clock } from '../base/clock.ts';
import { DiscordError } from '../clients/discord/errors.ts';
import type { DiscordClient } from '../clients/discord/client.ts';
import type { MessageBody, SentMessage } from '../clients/discord/message.ts';
import type { Sessions } from '../clients/sessions/sessions.ts';
import type { ClaimedMessage, MessageAddress, Release } from '../ledger/messages.ts';
import { chooseRoute, type Route } from './address.ts';
import { judgeFailure, type Verdict } from './judge-failure.ts';
import { isLastWord, lastWordInMs, MIN_INTERVAL_MS, whatIsDue } from './pace.ts';
import { renderRun } from './render.ts';

export interface TellDeps {
  readonly discord: Pick<DiscordClient, 'editOriginal' | 'editMessage' | 'postMessage'>;
  readonly sessions: Pick<Sessions, 'tokenOf' | 'status'>;
  readonly clock: Clock;
  /** A number in [0, 1). */
  readonly random: () => number;
  /** Base of the Argo UI, for links. */
  readonly uiUrl: string | undefined;
}

type Sendable = Extract<Route, { kind: 'token' | 'edit' | 'post' }>;

/** Token, same message, new message: there are no more ways, and each is tried once a claim. */
const MAX_WAYS = 3;
const STAYS: Omit<Release, keyof MessageAddress | 'outcome'> = { againInMs: undefined, restMs: 0, reason: '' };

/** Brings one claimed message to its run's present state, by the best way that works, and says how to give it back. */
export async function tell(message: ClaimedMessage, deps: TellDeps): Promise<Release> {
  const nowMs = deps.clock.now().getTime();
  const ageMs = nowMs - message.createdAt.getTime();
  const due = whatIsDue(message, nowMs);
  const { messageId, tokenRefused, posts, abandoned } = message;
  const address = { messageId, tokenRefused, posts };
  if (due === 'tell') {
    return tellNow(message, address, ageMs, deps);
  }
  const againInMs = due === 'nothing' ? lastWordInMs(message, ageMs) : due.laterMs;
  return { ...address, ...STAYS, outcome: 'postponed', againInMs, reason: abandoned };
}

async function tellNow(
  message: ClaimedMessage,
  start: MessageAddress,
  ageMs: number,
  deps: TellDeps,
): Promise<Release> {
  const token = await deps.sessions.tokenOf(message.interactionId);
  const circumstances = { ageMs, token, sessionsOk: deps.sessions.status().ok };
  let address = start;
  for (let way = 0; way < MAX_WAYS; way += 1) {
    const route = chooseRoute(message, address, circumstances);
    if (route.kind === 'wait') {
      return { ...address, ...STAYS, outcome: 'failed', againInMs: route.ms, restMs: route.ms };
    }
    if (route.kind === 'none') {
      return { ...address, ...STAYS, outcome: 'abandoned', reason: route.reason };
    }
    const result = await attempt({ message, address, route, last: isLastWord(message, ageMs) }, deps);
    if (!(result instanceof DiscordError)) {
      const posts = address.posts + (route.kind === 'post' ? 1 : 0);
      const againInMs = lastWordInMs(message, ageMs);
      return {
        ...address,
        posts,
        messageId: result.id,
        outcome: 'told',
        againInMs,
        restMs: MIN_INTERVAL_MS,
        reason: '',
      };
    }
    const facts = { kind: route.kind, address, ageMs, attempts: message.attempts + 1, random: deps.random() };
    const verdict = judgeFailure(result, facts);
    if (verdict.kind !== 'reroute') {
      return giveBack(address, verdict);
    }
    address = verdict.address;
  }
  return { ...address, ...STAYS, outcome: 'abandoned', reason: 'no way of telling is left' };
}

function giveBack(address: MessageAddress, verdict: Exclude<Verdict, { kind: 'reroute' }>): Release {
  return verdict.kind === 'retry'
    ? { ...address, outcome: 'failed', againInMs: verdict.afterMs, restMs: verdict.afterMs, reason: '' }
    : { ...address, ...STAYS, outcome: 'abandoned', reason: verdict.reason };
}

interface Attempt {
  readonly message: ClaimedMessage;
  readonly address: MessageAddress;
  readonly route: Sendable;
  /** Nothing can be changed after this. */
  readonly last: boolean;
}

/** Sends it, without its buttons when Discord objects to the whole: the text is what matters. */
async function attempt(wanted: Attempt, deps: TellDeps): Promise<SentMessage | DiscordError> {
  const { message, address, route, last } = wanted;
  const detached = route.kind === 'post' || address.posts > 0;
  const body = renderRun({ runId: message.runId, ...message.run }, { uiUrl: deps.uiUrl, detached, last });
  const sent = await send(wanted, body, deps);
  const objected = sent instanceof DiscordError && sent.code === 'discord.invalid' && body.components.length > 0;
  return objected ? send(wanted, { ...body, components: [] }, deps) : sent;
}

async function send(
  { message, address, route }: Attempt,
  body: MessageBody,
  { discord }: TellDeps,
): Promise<SentMessage | DiscordError> {
  const { channelId, runId } = message;
  try {
    switch (route.kind) {
      case 'token':
        return await discord.editOriginal(route.token, body);
      case 'edit':
        return await discord.editMessage(channelId, route.messageId, body);
      case 'post':
        return await discord.postMessage(channelId, {
          ...body,
          nonce: nonceOf(runId, address.posts),
          enforce_nonce: true,
        });
    }
  } catch (error) {
    if (error instanceof DiscordError) {
      return error;
    }
    throw error;
  }
}

/** The same for a post that is tried again after its answer was lost, so that Discord posts it once: 25 characters. */
function nonceOf(runId: string, posts: number): string {
  return `${runId.replaceAll('-', '').slice(0, 24)}${posts}`;
}
