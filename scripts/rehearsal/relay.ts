import { once } from 'node:events';
import { createServer, type IncomingMessage } from 'node:http';
import type { AddressInfo } from 'node:net';
import { text } from 'node:stream/consumers';
import type { JsonObject } from '@bufbuild/protobuf';

interface RelayOptions<T> {
  /** Sends an event, as JSON, to facteur. */
  readonly send: (event: JsonObject) => Promise<T>;
  /** The text with which it acknowledges every command. */
  readonly answer: string;
  readonly ephemeral: boolean;
  readonly applicationId: string;
}

/** A service in front of facteur that receives Discord's interactions, answers them, and passes them on as events. */
export interface Relay<T> {
  /** The URL for Discord's interactions endpoint. */
  readonly url: string;
  /** Tokens of the interactions that it saw. */
  readonly tokens: readonly string[];
  /** facteur's answers to everything that was passed on so far. */
  answers(): Promise<readonly T[]>;
  close(): void;
}

/** Listens on a free port of 127.0.0.1. */
export async function startRelay<T>(options: RelayOptions<T>): Promise<Relay<T>> {
  const [tokens, sent]: [string[], Promise<T>[]] = [[], []];
  const server = createServer((request, response) => {
    void relay(request, tokens, options).then(({ answer, event }) => {
      response.writeHead(200, { 'content-type': 'application/json' });
      // Sent after the answer, as through Kafka: Discord has the message before facteur wants to edit it.
      response.end(JSON.stringify(answer), () => sent.push(options.send(event)));
    });
  });
  server.listen(0, '127.0.0.1');
  await once(server, 'listening');
  return {
    url: `http://127.0.0.1:${(server.address() as AddressInfo).port}`,
    tokens,
    answers: () => Promise.all(sent),
    close: () => void server.close(),
  };
}

/** The fields of Discord's command that are read. */
interface Interaction {
  readonly id: string;
  readonly token: string;
  readonly guild_id: string;
  readonly channel_id: string;
  readonly member: { readonly user: { readonly id: string }; readonly roles: readonly string[] };
  readonly data: {
    readonly name: string;
    readonly options?: readonly { readonly name: string; readonly value: string }[];
  };
}

async function relay<T>(
  request: IncomingMessage,
  tokens: string[],
  options: RelayOptions<T>,
): Promise<{ answer: object; event: JsonObject }> {
  const { id, token, data, member, ...place } = JSON.parse(await text(request)) as Interaction;
  tokens.push(token);
  const flags = options.ephemeral ? 64 : 0;
  return {
    answer: { type: 4, data: { content: options.answer, flags } },
    event: {
      provider: 'discord',
      interactionId: id,
      applicationId: options.applicationId,
      command: data.name,
      token,
      options: Object.fromEntries((data.options ?? []).map(({ name, value }) => [name, value])),
      guildId: place.guild_id,
      channelId: place.channel_id,
      user: { id: member.user.id },
      member: { id: member.user.id, roles: [...member.roles] },
      response: { type: 4, flags },
    },
  };
}
