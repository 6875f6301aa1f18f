import { readFile } from 'node:fs/promises';
import { createServer, request } from 'node:http';
import type { AddressInfo } from 'node:net';
import { expect, onTestFinished, test } from 'vitest';
import { allCommands } from '../../src/cli/wiring.ts';
import { startSimulatedDiscord } from '../../sandbox/discord/discord.ts';
import { runCommandLine, type CliRun } from '../support/cli.ts';

// A company's proxy is the only way to the internet: this machine cannot resolve Discord's name.

const BASE = 'discord.invalid/api';

async function behindProxy() {
  const discord = await startSimulatedDiscord();
  const seen: string[] = [];
  const proxy = createServer((incoming, outgoing) => {
    seen.push(`${incoming.method} ${incoming.url}`);
    const target = new URL(incoming.url ?? '').pathname.replace(/^\/api/, '');
    const forwarded = request(`${discord.apiBaseUrl}${target}`, { headers: incoming.headers }, (answer) => {
      outgoing.writeHead(answer.statusCode ?? 0, answer.headers);
      answer.pipe(outgoing);
    });
    incoming.pipe(forwarded);
  });
  proxy.on('connect', (incoming, socket) => {
    seen.push(`CONNECT ${incoming.url}`);
    socket.end('HTTP/1.1 403 Forbidden\r\n\r\n');
  });
  await new Promise<void>((resolve) => {
    proxy.listen(0, '127.0.0.1', resolve);
  });
  onTestFinished(async () => {
    proxy.closeAllConnections();
    proxy.close();
    await discord.close();
  });
  const text = await readFile(new URL('../cases/egress-proxy.env', import.meta.url), 'utf8');
  const lines = text
    .replaceAll('PROXYPORT', `${(proxy.address() as AddressInfo).port}`)
    .trim()
    .split('\n');
  const variables = Object.fromEntries(lines.map((line) => [line.split('=')[0], line.split('=')[1]]));
  const commands = await allCommands({ version: '1.2.3', commit: '' });
  const sync = (scheme: string, env: Record<string, string> = {}): Promise<CliRun> =>
    runCommandLine(['commands', 'sync', '--dry-run'], commands, {
      env: {
        ...variables,
        FACTEUR_DISCORD_API_BASE_URL: `${scheme}://${BASE}`,
        FACTEUR_DISCORD_APPLICATION_ID: discord.applicationId,
        FACTEUR_DISCORD_BOT_TOKEN: discord.botToken,
        FACTEUR_DISCORD_GUILD_ID: discord.guildId,
        ...env,
      },
    });
  return { seen, sync };
}

test('Discord is reached through the proxy of the environment', async () => {
  const { seen, sync } = await behindProxy();
  const run = await sync('http');
  expect(run).toMatchObject({ code: 0, stdout: expect.stringContaining('plan') });
  expect(seen).toEqual([expect.stringMatching(/^GET http:\/\/discord\.invalid\/api\/v10\/applications\//)]);
});

test('the proxy is asked for a tunnel if Discord uses TLS', async () => {
  const { seen, sync } = await behindProxy();
  expect(await sync('https')).toMatchObject({
    code: 1,
    stderr: expect.stringContaining('connection to Discord failed'),
  });
  expect(seen).toEqual(['CONNECT discord.invalid:443']);
});

test('the proxy is not used if NO_PROXY names Discord', async () => {
  const { seen, sync } = await behindProxy();
  expect(await sync('https', { NO_PROXY: 'discord.invalid' })).toMatchObject({ code: 1 });
  expect(seen).toEqual([]);
});

test('an invalid proxy is a configuration error', async () => {
  const { sync } = await behindProxy();
  expect(await sync('https', { HTTPS_PROXY: 'socks5://u:hunter2@proxy' })).toMatchObject({
    code: 1,
    stderr: 'facteur: HTTPS_PROXY must be an http:// or https:// URL\n',
  });
});
