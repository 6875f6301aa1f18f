import { createServer, type Server } from 'node:http';
import type { AddressInfo } from 'node:net';
import {
  startSimulatedDiscord,
  type SimulatedDiscord,
  type SimulatedDiscordOptions,
} from '../../sandbox/discord/discord.ts';

/** The endpoint's answer to every interaction. */
export interface EndpointReply {
  readonly status: number;
  readonly body: unknown;
  /** Held back until this settles. */
  readonly after?: Promise<unknown>;
}

/** A simulated Discord with an adjustable clock and an endpoint with scripted answers. */
export interface DiscordWorld {
  readonly discord: SimulatedDiscord;
  readonly clock: { ms: number };
  readonly endpoint: { url: string; reply: EndpointReply };
  /** The requests that the endpoint got. */
  readonly received: { readonly headers: NodeJS.Dict<string | string[]>; readonly body: string }[];
  /** Sends one request as the bot. */
  call(method: string, path: string, body?: unknown, headers?: Readonly<Record<string, string>>): Promise<ApiAnswer>;
  /** The token of the nth interaction that the endpoint got. */
  tokenOf(index?: number): string;
  close(): Promise<void>;
}

export interface ApiAnswer {
  readonly status: number;
  readonly headers: Headers;
  // Any answer of Discord: the assertion that follows checks its shape.
  // oxlint-disable-next-line typescript/no-explicit-any
  readonly body: any;
}

const EPOCH = Date.parse('2026-11-21T12:00:00Z');

export async function startDiscordWorld(options: SimulatedDiscordOptions = {}): Promise<DiscordWorld> {
  const clock = { ms: EPOCH };
  const discord = await startSimulatedDiscord({ clock: { now: () => new Date(clock.ms) }, ...options });
  const endpoint: DiscordWorld['endpoint'] = { url: '', reply: { status: 200, body: { type: 5 } } };
  const received: DiscordWorld['received'] = [];
  const server = createServer((request, response) => {
    const chunks: Buffer[] = [];
    request.on('data', (chunk: Buffer) => chunks.push(chunk));
    request.on('end', () => {
      received.push({ headers: request.headers, body: Buffer.concat(chunks).toString() });
      const { status, body, after = Promise.resolve() } = endpoint.reply;
      void after.then(() => response.writeHead(status).end(JSON.stringify(body)));
    });
  });
  endpoint.url = await listen(server);
  discord.people.pointAt(endpoint.url);
  return {
    discord,
    clock,
    endpoint,
    received,
    call: (method, path, body, headers) => callApi(discord, { method, path, body, headers: headers ?? {} }),
    tokenOf: (index = 0) => (JSON.parse(received[index]?.body ?? '{}') as { token: string }).token,
    close: async () => {
      await discord.close();
      server.closeAllConnections();
      server.close();
    },
  };
}

async function listen(server: Server): Promise<string> {
  await new Promise<void>((resolve) => {
    server.listen(0, '127.0.0.1', resolve);
  });
  return `http://127.0.0.1:${(server.address() as AddressInfo).port}/discord/interactions`;
}

interface ApiRequest {
  readonly method: string;
  readonly path: string;
  readonly body: unknown;
  readonly headers: Readonly<Record<string, string>>;
}

async function callApi(discord: SimulatedDiscord, { method, path, body, headers }: ApiRequest): Promise<ApiAnswer> {
  const response = await fetch(`${discord.apiBaseUrl}/v10${path}`, {
    method,
    headers: {
      authorization: `Bot ${discord.botToken}`,
      'user-agent': 'DiscordBot (https://example.test, 1.0)',
      ...(body === undefined ? {} : { 'content-type': 'application/json' }),
      ...headers,
    },
    ...(body === undefined ? {} : { body: typeof body === 'string' ? body : JSON.stringify(body) }),
  });
  const text = await response.text();
  return { status: response.status, headers: response.headers, body: text === '' ? undefined : JSON.parse(text) };
}
