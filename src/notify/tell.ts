import { DiscordError } from '../clients/discord/errors.ts';
import type { DiscordClient } from '../clients/discord/client.ts';
import { shows, type MessageBody, type NewMessageBody } from '../clients/discord/message.ts';
import type { Sessions } from '../clients/sessions/sessions.ts';
import type { ClaimedMessage, MessageAddress, Release } from '../ledger/messages.ts';
import { chooseRoute, type Route } from './address.ts';
import { attemptsIn, judgeFailure, type TellingVerdict } from './judge-failure.ts';
import { isLastWord, lastWordInMs, MIN_INTERVAL_MS, whatIsDue } from './pace.ts';
import { isFinished } from '../domain/run-state.ts';
import { hasMoved, queueLine, queueLookMs } from './queue-line.ts';
import { renderRun, timing } from './render.ts';
import { shownState } from './render-approvals.ts';
import { requestCode } from '../presentation/safe-text.ts';
import { STATE_WORDS } from '../presentation/words.ts';

interface TellDeps {
  readonly discord: Pick<DiscordClient, 'editOriginal' | 'editMessage' | 'postMessage'>;
  readonly sessions: Pick<Sessions, 'tokenOf' | 'status'>;
  /** A number in [0, 1). */
  readonly random: () => number;
  /** How long a command usually takes, in milliseconds, if known. */
  readonly usualMs?: (command: string) => Promise<number | undefined>;
  /** Maximum number of live workflows at a time; undefined for no limit. */
  readonly maxActive: number | undefined;
  /** Base URL of the Argo UI, for links. */
  readonly uiUrl: string | undefined;
  /** Reflections can be reviewed in Discord. */
  readonly reviewed: boolean;
}

/** The result of an update, and the error if it failed. */
export interface Told {
  readonly release: Release;
  readonly error: DiscordError | undefined;
  /** Why the notification about the end of the run failed. */
  readonly pingError?: DiscordError;
}

type Sendable = Extract<Route, { kind: 'token' | 'edit' | 'post' }>;

/** Token, same message, new message: each route is tried once per claim. */
const MAX_WAYS = 3;
const STAYS: Omit<Release, keyof MessageAddress | 'outcome'> = { againInMs: undefined, restMs: 0, reason: '' };

/** Updates a claimed message to the run's current state by the best route that works, and returns how to release it. */
export async function tell(message: ClaimedMessage, deps: TellDeps): Promise<Told> {
  const nowMs = message.claimedAt.getTime();
  const ageMs = nowMs - message.createdAt.getTime();
  const due = hasMoved(message, queueLine(message, deps.maxActive)) ? 'tell' : whatIsDue(message, nowMs);
  const { messageId, tokenRefused, posts, abandoned } = message;
  const address = { messageId, tokenRefused, posts };
  if (due === 'tell') {
    const told = await tellNow(message, address, ageMs, deps);
    return told.release.outcome === 'told' ? withPing(message, told, deps) : told;
  }
  const againInMs = due === 'nothing' ? lookInMs(message, ageMs) : due.laterMs;
  const told = quietly({ ...address, ...STAYS, outcome: 'postponed', againInMs, reason: abandoned });
  return due === 'nothing' ? withPing(message, told, deps) : told;
}

/** Delay before the next attempt to notify somebody, in milliseconds. */
const PING_RETRY_MS = 60_000;

/** Notifies the people who asked for it that the run has ended, once the message shows it. */
async function withPing(message: ClaimedMessage, told: Told, { discord, random }: TellDeps): Promise<Told> {
  const { release } = told;
  const nowMs = message.claimedAt.getTime();
  if (!wantsPing(message, release, nowMs)) {
    return told;
  }
  const body = pingBody(message, release);
  try {
    await (body === undefined ? undefined : reply(message.channelId, body, discord));
    return { ...told, release: { ...release, pinged: true } };
  } catch (error) {
    if (!(error instanceof DiscordError)) {
      throw error;
    }
    const verdict = judgePing(error, message, { release, nowMs, random: random() });
    const again = verdict.kind === 'retry' ? { againInMs: Math.max(PING_RETRY_MS, verdict.afterMs) } : { pinged: true };
    const problem = error.heldBack ? {} : { pingError: error };
    return { ...told, release: { ...release, ...again }, ...problem };
  }
}

/** A reply, or a plain message if the bot may post but not reply. */
async function reply(channelId: string, body: NewMessageBody, discord: TellDeps['discord']): Promise<void> {
  try {
    await discord.postMessage(channelId, body);
  } catch (error) {
    if (!(error instanceof DiscordError) || error.code !== 'discord.no_reply') {
      throw error;
    }
    const { message_reference: _, ...alone } = body;
    await discord.postMessage(channelId, alone);
  }
}

/** Attempts are not counted, but estimated from the time since the end. */
function judgePing(
  error: DiscordError,
  { ephemeral, finishedAt }: ClaimedMessage,
  { release, nowMs, random }: { readonly release: Release; readonly nowMs: number; readonly random: number },
): TellingVerdict {
  const ageMs = Math.max(0, nowMs - (finishedAt?.getTime() ?? nowMs));
  const attempts = attemptsIn(ageMs);
  return judgeFailure(error, { kind: 'post', address: release, ephemeral, ageMs, attempts, random });
}

/** Milliseconds until the message must be checked again even if the run does not change; undefined for never. */
function lookInMs(message: ClaimedMessage, ageMs: number): number | undefined {
  const [lastWord, queue] = [lastWordInMs(message, ageMs), queueLookMs(message, ageMs)];
  return lastWord === undefined || queue === undefined ? (lastWord ?? queue) : Math.min(lastWord, queue);
}

/** Does not count as a failed attempt. */
function postpone({ abandoned }: ClaimedMessage, address: MessageAddress, ms: number): Release {
  return { ...address, outcome: 'postponed', againInMs: ms, restMs: ms, reason: abandoned };
}

function quietly(release: Release): Told {
  return { release, error: undefined };
}

async function usualTime({ state, command }: ClaimedMessage, { usualMs }: TellDeps): Promise<number | undefined> {
  return isFinished(state) ? undefined : usualMs?.(command);
}

async function tellNow(message: ClaimedMessage, start: MessageAddress, ageMs: number, deps: TellDeps): Promise<Told> {
  const token = await deps.sessions.tokenOf(message.interactionId);
  const usualMs = await usualTime(message, deps);
  const circumstances = { ageMs, token, sessionsOk: deps.sessions.status().ok };
  let address = start;
  let error: DiscordError | undefined;
  for (let way = 0; way < MAX_WAYS; way += 1) {
    const route = chooseRoute(message, address, circumstances);
    if (route.kind === 'wait') {
      return quietly(postpone(message, address, route.ms));
    }
    if (route.kind === 'none') {
      return { release: { ...address, ...STAYS, outcome: 'abandoned', reason: route.reason }, error };
    }
    const result = await attempt({ message, address, route, last: isLastWord(message, ageMs), usualMs }, deps);
    if (!(result instanceof DiscordError)) {
      const posts = address.posts + (route.kind === 'post' ? 1 : 0);
      const reached = { ...address, posts, messageId: result.id };
      return quietly(
        result.isCurrent ? succeed(message, reached, ageMs, deps) : postpone(message, reached, MIN_INTERVAL_MS),
      );
    }
    error = result;
    if (error.heldBack) {
      return quietly(postpone(message, address, error.retryAfterMs ?? 0));
    }
    const attempts = message.attempts + 1;
    const facts = { kind: route.kind, address, ephemeral: message.ephemeral, ageMs, attempts, random: deps.random() };
    const verdict = judgeFailure(error, facts);
    if (verdict.kind !== 'reroute') {
      return { release: giveBack(address, verdict), error };
    }
    address = verdict.address;
  }
  return {
    release: { ...address, ...STAYS, outcome: 'abandoned', reason: 'no way to deliver the message is left' },
    error,
  };
}

function succeed(message: ClaimedMessage, address: MessageAddress, ageMs: number, { maxActive }: TellDeps): Release {
  return {
    ...address,
    outcome: 'told',
    againInMs: lookInMs(message, ageMs),
    restMs: MIN_INTERVAL_MS,
    reason: '',
    queue: queueLine(message, maxActive),
    shown: shownState(message),
  };
}

function giveBack(address: MessageAddress, verdict: Exclude<TellingVerdict, { kind: 'reroute' }>): Release {
  return verdict.kind === 'retry'
    ? { ...address, outcome: 'failed', againInMs: verdict.afterMs, restMs: verdict.afterMs, reason: '' }
    : { ...address, ...STAYS, outcome: 'abandoned', reason: verdict.reason };
}

interface Attempt {
  readonly message: ClaimedMessage;
  readonly address: MessageAddress;
  readonly route: Sendable;
  /** The message cannot be changed after this. */
  readonly last: boolean;
  readonly usualMs: number | undefined;
}

interface Delivered {
  readonly id: string;
  /** False if Discord returned an earlier post whose response was lost: that message still needs an edit. */
  readonly isCurrent: boolean;
}

/** Sends the message, without its buttons if Discord rejects the whole: the text is more important. */
async function attempt(wanted: Attempt, deps: TellDeps): Promise<Delivered | DiscordError> {
  const { message, address, route, last, usualMs } = wanted;
  const detached = route.kind === 'post' || address.posts > 0;
  const { uiUrl, reviewed, maxActive } = deps;
  const body = renderRun(message, { uiUrl, reviewed, maxActive, detached, last, usualMs });
  const sent = await send(wanted, body, deps);
  const objected = sent instanceof DiscordError && sent.code === 'discord.invalid' && body.components.length > 0;
  return objected ? send(wanted, { ...body, components: [] }, deps) : sent;
}

async function send(
  { message, address, route }: Attempt,
  body: MessageBody,
  { discord }: TellDeps,
): Promise<Delivered | DiscordError> {
  const { channelId, runId } = message;
  try {
    switch (route.kind) {
      case 'token':
        return { id: (await discord.editOriginal(route.token, body)).id, isCurrent: true };
      case 'edit':
        return { id: (await discord.editMessage(channelId, route.messageId, body)).id, isCurrent: true };
      case 'post': {
        const nonce = nonceOf(runId, address.posts);
        const sent = await discord.postMessage(channelId, { ...body, nonce, enforce_nonce: true });
        return { id: sent.id, isCurrent: shows(sent, body) };
      }
    }
  } catch (error) {
    if (error instanceof DiscordError) {
      return error;
    }
    throw error;
  }
}

/** Identical when a post whose response was lost is retried, so Discord posts it once: 25 characters. */
function nonceOf(runId: string, posts: number): string {
  return `${runId.replaceAll('-', '').slice(0, 24)}${posts}`;
}

/** After this, nobody needs the notification. */
const MAX_AGE_MS = 24 * 60 * 60_000;

/** Whether somebody still needs to be notified that this run has ended, in a public message. */
function wantsPing(message: ClaimedMessage, { messageId }: MessageAddress, nowMs: number): boolean {
  const { ping, pinged, ephemeral, state, finishedAt, channelId } = message;
  const isFresh = finishedAt !== null && nowMs - finishedAt.getTime() < MAX_AGE_MS;
  return ping !== '' && !pinged && !ephemeral && isFinished(state) && isFresh && messageId !== '' && channelId !== '';
}

/**
 * The reply that announces the end of a run: it mentions the person or the roles, and nobody else. The nonce is the same on every
 * attempt, so Discord posts it once even if a response was lost.
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
  return {
    content: `${mentions} ${icon} ${requestCode(message)}: ${title.toLowerCase()}${timing(message)}.`,
    components: [],
    allowed_mentions: { parse: [], [ping === 'author' ? 'users' : 'roles']: ids },
    message_reference: { message_id: messageId, fail_if_not_exists: false },
    nonce: `p${runId.replaceAll('-', '').slice(0, 24)}`,
    enforce_nonce: true,
  };
}
