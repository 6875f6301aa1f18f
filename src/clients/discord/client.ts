import type {
  APIApplicationCommand,
  RESTPatchAPIApplicationCommandJSONBody,
  RESTPostAPIApplicationCommandsJSONBody,
} from 'discord-api-types/v10';
import type { Secret } from '../../base/secret.ts';
import { isRecord } from '../../base/json.ts';
import { proxyFor, type EgressProxies } from '../../config/egress-proxy.ts';
import type { MessageBody, NewMessageBody, SentMessage } from './message.ts';
import { DiscordTransport } from './transport.ts';

interface DiscordClientOptions {
  /** No slash and no version at the end. */
  readonly apiBaseUrl: string;
  readonly applicationId: string;
  readonly botToken: Secret;
  /** facteur's version, for the `User-Agent` that Discord requires. */
  readonly version: string;
  /** The matching proxy, if any, is used to reach Discord. */
  readonly proxies?: EgressProxies;
  /** Limit for one request, in milliseconds. */
  readonly timeoutMs?: number;
  /** Monotonic time in milliseconds, for Discord's pauses; the process's own by default. */
  readonly elapsedMs?: () => number;
}

/**
 * The Discord calls that facteur makes. Every method rejects with a {@link DiscordError} and never retries: the ledger schedules
 * retries.
 */
export interface DiscordClient {
  /** Fills or changes the answer to an interaction, by the interaction's token (15 minutes). */
  editOriginal(token: Secret, body: MessageBody): Promise<SentMessage>;
  /** One more message in answer to an interaction; `flags: 64` shows it to that person only. */
  followUp(token: Secret, body: MessageBody & { readonly flags?: number }): Promise<SentMessage>;
  editMessage(channelId: string, messageId: string, body: MessageBody): Promise<SentMessage>;
  /** With a nonce, posting the same message again within minutes returns the earlier message. */
  postMessage(channelId: string, body: NewMessageBody): Promise<SentMessage>;
  /** The registered commands of one guild, or the global ones. */
  listCommands(guildId: string | undefined): Promise<APIApplicationCommand[]>;
  createCommand(
    guildId: string | undefined,
    command: RESTPostAPIApplicationCommandsJSONBody,
  ): Promise<APIApplicationCommand>;
  editCommand(
    guildId: string | undefined,
    commandId: string,
    change: RESTPatchAPIApplicationCommandJSONBody,
  ): Promise<APIApplicationCommand>;
  deleteCommand(guildId: string | undefined, commandId: string): Promise<void>;
  close(): Promise<void>;
}

const TIMEOUT_MS = 10_000;
const NO_PROXIES: EgressProxies = { noProxy: '' };

export function createDiscordClient(options: DiscordClientOptions): DiscordClient {
  const { applicationId } = options;
  const { timeoutMs = TIMEOUT_MS, elapsedMs = () => performance.now(), proxies = NO_PROXIES } = options;
  const proxy = proxyFor(new URL(options.apiBaseUrl), proxies);
  const transport = new DiscordTransport({
    ...options,
    timeoutMs,
    elapsedMs,
    ...(proxy === undefined ? {} : { proxy }),
  });
  const webhook = (token: Secret): string => `/webhooks/${applicationId}/${encodeURIComponent(token.reveal())}`;
  const commands = (guildId: string | undefined): string =>
    `/applications/${applicationId}${guildId === undefined ? '' : `/guilds/${encodeURIComponent(guildId)}`}/commands`;
  const command = (guildId: string | undefined, id: string): string => `${commands(guildId)}/${encodeURIComponent(id)}`;
  const channel = (id: string): string => `/channels/${encodeURIComponent(id)}/messages`;
  return {
    editOriginal: (token, body) =>
      transport.call({
        what: 'edit the answer',
        method: 'PATCH',
        path: `${webhook(token)}/messages/@original`,
        bucket: webhook(token),
        body,
        isAnswer: isMessage,
      }),
    followUp: (token, body) =>
      transport.call({
        what: 'send a follow-up',
        method: 'POST',
        path: webhook(token),
        bucket: webhook(token),
        body,
        isAnswer: isMessage,
      }),
    editMessage: (channelId, messageId, body) =>
      transport.call({
        what: 'edit the message',
        method: 'PATCH',
        path: `${channel(channelId)}/${encodeURIComponent(messageId)}`,
        bucket: `edit ${channelId}`,
        asBot: true,
        body,
        isAnswer: isMessage,
      }),
    postMessage: (channelId, body) =>
      transport.call({
        what: 'post a message',
        method: 'POST',
        path: channel(channelId),
        bucket: `post ${channelId}`,
        asBot: true,
        body,
        isAnswer: isMessage,
      }),
    listCommands: (guildId) =>
      transport.call({
        what: 'list the commands',
        method: 'GET',
        // Without them, an edit would lose the translations of options.
        path: `${commands(guildId)}?with_localizations=true`,
        bucket: 'list',
        asBot: true,
        isAnswer: Array.isArray,
      }),
    createCommand: (guildId, body) =>
      transport.call({
        what: 'create a command',
        method: 'POST',
        path: commands(guildId),
        bucket: 'create',
        asBot: true,
        body,
        isAnswer: isCommand,
      }),
    editCommand: (guildId, id, body) =>
      transport.call({
        what: 'change a command',
        method: 'PATCH',
        path: command(guildId, id),
        bucket: 'change',
        asBot: true,
        body,
        isAnswer: isCommand,
      }),
    deleteCommand: (guildId, id) =>
      transport.call({
        what: 'delete a command',
        method: 'DELETE',
        path: command(guildId, id),
        bucket: 'delete',
        asBot: true,
        // Discord answers with an empty body.
        isAnswer: () => false,
      }),
    close: () => transport.close(),
  };
}

function isMessage(answer: unknown): boolean {
  return isRecord(answer) && typeof answer['id'] === 'string' && typeof answer['channel_id'] === 'string';
}

function isCommand(answer: unknown): boolean {
  return isRecord(answer) && typeof answer['id'] === 'string' && typeof answer['name'] === 'string';
}
