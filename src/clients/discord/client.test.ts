import { createServer } from 'node:http';
import type { AddressInfo } from 'node:net';
import type { Duplex } from 'node:stream';
import { inspect } from 'node:util';
import { afterEach, beforeEach, describe, expect, test } from 'vitest';
import { Secret } from '../../base/secret.ts';
import type { EgressProxies } from '../../config/egress-proxy.ts';
import { startDiscordWorld, type DiscordWorld } from '../../../test/support/discord.ts';
import type { FaultAction } from '../../../sandbox/discord/faults.ts';
import { createDiscordClient, type DiscordClient } from './client.ts';
import type { MessageBody } from './message.ts';

let world: DiscordWorld;
let client: DiscordClient;

const body = (content: string): MessageBody => ({ content, components: [], allowed_mentions: { parse: [] } });

function clientFor(
  apiBaseUrl: string,
  options: { token?: string; timeoutMs?: number; proxies?: EgressProxies } = {},
): DiscordClient {
  return createDiscordClient({
    apiBaseUrl,
    applicationId: world.discord.applicationId,
    botToken: new Secret(options.token ?? world.discord.botToken),
    version: '1.2.3',
    timeoutMs: options.timeoutMs ?? 5000,
    ...(options.proxies === undefined ? {} : { proxies: options.proxies }),
  });
}

beforeEach(async () => {
  world = await startDiscordWorld();
  client = clientFor(world.discord.apiBaseUrl);
});

afterEach(async () => {
  await client.close();
  await world.close();
});

async function interactionToken(): Promise<Secret> {
  await world.discord.people.command('plan');
  return new Secret(world.tokenOf(world.received.length - 1));
}

function fault(action: FaultAction, times = 1) {
  return world.discord.faults.apply({ op: 'add', rule: { action, times } });
}

const requests = () => world.discord.state()['requests'] as Record<string, number>;

describe('messages and commands', () => {
  test('sends messages with the interaction’s token', async () => {
    const token = await interactionToken();
    const { id, channel_id: channelId } = await client.editOriginal(token, body('one'));
    expect(channelId).toBe(world.discord.channelId);
    await client.followUp(token, { ...body('only you'), flags: 64 });
    expect(world.discord.messages()).toMatchObject([
      { id, versions: [{ loading: true }, { content: 'one', by: 'webhook.message.edit' }] },
      { ephemeral: true, versions: [{ content: 'only you' }] },
    ]);
  });

  test('sends messages as the bot, once per nonce', async () => {
    const posted = await client.postMessage(world.discord.channelId, { ...body('a'), nonce: 'n', enforce_nonce: true });
    const again = await client.postMessage(world.discord.channelId, { ...body('a'), nonce: 'n', enforce_nonce: true });
    expect(again.id).toBe(posted.id);
    await client.editMessage(posted.channel_id, posted.id, body('b'));
    expect(world.discord.messages()[0]?.versions.map(({ content }) => content)).toEqual(['a', 'b']);
  });

  test('a page with status 200 does not count as a created, changed or deleted command', async () => {
    const plan = { name: 'plan', description: 'Plans' };
    for (const attempt of [
      () => client.createCommand(undefined, plan),
      () => client.editCommand(undefined, '1', plan),
      () => client.deleteCommand(undefined, '1'),
    ]) {
      await fault({ kind: 'answer', answer: { status: 200, body: '{"status":"ok"}' } });
      await expect(attempt()).rejects.toMatchObject({ code: 'discord.bad_answer', retryable: true });
    }
  });

  test('manages global commands and those of a guild', async () => {
    const plan = { name: 'plan', description: 'Plans' };
    const { id } = await client.createCommand(undefined, plan);
    await client.createCommand(world.discord.guildId, plan);
    await client.editCommand(undefined, id, { description: 'Plans better' });
    expect(await client.listCommands(undefined)).toMatchObject([{ id, description: 'Plans better' }]);
    await client.deleteCommand(undefined, id);
    expect(await client.listCommands(undefined)).toEqual([]);
    expect(await client.listCommands(world.discord.guildId)).toHaveLength(1);
  });
});

describe('rate limits', () => {
  test('a limited route is not called again too early, but others are', async () => {
    await fault({ kind: 'answer', answer: { status: 429, retryAfterMs: 60_000 } });
    const post = () => client.postMessage(world.discord.channelId, body('x'));
    await expect(post()).rejects.toMatchObject({ code: 'discord.rate_limited', retryAfterMs: 60_000 });
    await expect(post()).rejects.toMatchObject({ code: 'discord.rate_limited', retryable: true });
    expect(requests()['channel.message.create']).toBe(1);
    await world.discord.faults.apply({ op: 'channel', id: '5' });
    await client.postMessage('5', body('x'));
  });

  test('a bucket that the headers report as empty is not used, even before a 429', async () => {
    for (let count = 0; count < 5; count += 1) {
      await client.postMessage(world.discord.channelId, body('x'));
    }
    const refused = await client.postMessage(world.discord.channelId, body('x')).catch((error: unknown) => error);
    expect(refused).toMatchObject({ code: 'discord.rate_limited', global: false });
    expect(requests()['channel.message.create']).toBe(5);
  });

  test('running requests count: of many at once, Discord refuses none', async () => {
    const post = () => client.postMessage(world.discord.channelId, body('x'));
    await post();
    const all = await Promise.allSettled(Array.from({ length: 16 }, post));
    expect(all.filter(({ status }) => status === 'fulfilled')).toHaveLength(4);
    expect(requests()['channel.message.create']).toBe(5);
  });

  test('a global limit holds back all requests of the bot, but not answers to interactions', async () => {
    const token = await interactionToken();
    await fault({ kind: 'answer', answer: { status: 429, retryAfterMs: 60_000, scope: 'global' } });
    await expect(client.postMessage('1', body('x'))).rejects.toMatchObject({ global: true });
    const held = { code: 'discord.rate_limited', global: true, heldBack: true };
    await expect(client.listCommands(undefined)).rejects.toMatchObject(held);
    await client.editOriginal(token, body('still'));
  });

  test('a rejected bot token is not retried at once', async () => {
    const stranger = clientFor(world.discord.apiBaseUrl, { token: 'wrong' });
    await expect(stranger.listCommands(undefined)).rejects.toMatchObject({ code: 'discord.unauthorized' });
    await expect(stranger.postMessage('1', body('x'))).rejects.toMatchObject({ code: 'discord.rate_limited' });
    expect(requests()).not.toHaveProperty('channel.message.create');
    await stranger.close();
  });
});

describe('failures', () => {
  test('classifies a timeout, a reset connection, a 502 and a page that is not from Discord', async () => {
    const hasty = clientFor(world.discord.apiBaseUrl, { timeoutMs: 100 });
    await fault({ kind: 'hang' });
    await expect(hasty.listCommands(undefined)).rejects.toMatchObject({ code: 'discord.timeout', retryable: true });
    await hasty.close();
    await fault({ kind: 'reset' });
    await expect(client.listCommands(undefined)).rejects.toMatchObject({ code: 'discord.connection', retryable: true });
    await fault({ kind: 'answer', answer: { status: 502, body: '<html>Bad gateway</html>' } });
    await expect(client.listCommands(undefined)).rejects.toMatchObject({ code: 'discord.unavailable', status: 502 });
    for (const page of ['<html>maintenance</html>', '{"ok":true}', 'null']) {
      await fault({ kind: 'answer', answer: { status: 200, body: page } });
      await expect(client.listCommands(undefined)).rejects.toMatchObject({
        code: 'discord.bad_answer',
        retryable: true,
      });
      await fault({ kind: 'answer', answer: { status: 200, body: page } });
      await expect(client.postMessage('1', body('x'))).rejects.toMatchObject({ code: 'discord.bad_answer' });
    }
    await world.discord.disconnect();
    await expect(client.listCommands(undefined)).rejects.toMatchObject({ code: 'discord.connection' });
  });

  test('the time limit covers waiting for a connection, which does not delay a shutdown', async () => {
    const proxy = createServer();
    // It never opens the tunnel.
    const tunnel = new Promise<Duplex>((resolve) => {
      proxy.on('connect', (_request, socket) => {
        resolve(socket);
      });
    });
    await new Promise<void>((resolve) => {
      proxy.listen(0, '127.0.0.1', resolve);
    });
    const https = new Secret(`http://127.0.0.1:${(proxy.address() as AddressInfo).port}`);
    const waiting = clientFor('https://discord.test/api', { timeoutMs: 50, proxies: { https, noProxy: '' } });
    await expect(waiting.postMessage('1', body('x'))).rejects.toMatchObject({ code: 'discord.timeout' });
    const socket = await tunnel;
    await waiting.close();
    socket.destroy();
    proxy.close();
  });

  test('an endless answer is cut off', async () => {
    const server = createServer((_request, response) => {
      const chunk = Buffer.alloc(1024 * 1024, 'x');
      const more = (): void => {
        while (!response.destroyed && response.write(chunk)) {
          // As fast as it is read.
        }
      };
      response.on('drain', more);
      more();
    });
    await new Promise<void>((resolve) => {
      server.listen(0, '127.0.0.1', resolve);
    });
    const endless = clientFor(`http://127.0.0.1:${(server.address() as AddressInfo).port}/api`);
    await expect(endless.listCommands(undefined)).rejects.toMatchObject({ code: 'discord.connection' });
    await endless.close();
    server.closeAllConnections();
    server.close();
  });

  test('no error contains a token, however it is inspected', async () => {
    const token = await interactionToken();
    const errors: unknown[] = [];
    const keep = async (work: Promise<unknown>) => errors.push(await work.catch((error: unknown) => error));
    for (const action of [
      { kind: 'reset' },
      { kind: 'answer', answer: { status: 500 } },
      { kind: 'answer', answer: { status: 200, body: 'no json' } },
      { kind: 'answer', answer: { status: 429, retryAfterMs: 60_000 } },
    ] satisfies FaultAction[]) {
      await fault(action);
      await keep(client.editOriginal(token, body('x')));
    }
    await keep(client.editOriginal(token, body('x')));
    await keep(client.editMessage('1', '2', body('x')));
    await world.discord.disconnect();
    await keep(client.followUp(new Secret('another-interaction-token'), body('x')));
    const said = inspect(errors, { depth: null, showHidden: true });
    expect(errors).toHaveLength(7);
    for (const secret of [token.reveal(), 'another-interaction-token', world.discord.botToken]) {
      expect(said).not.toContain(secret);
    }
  });
});
