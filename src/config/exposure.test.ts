import { expect, test } from 'vitest';
import { loadYaml, MINIMAL_ENV } from '../../test/support/config.ts';
import { exposures } from './exposure.ts';
import { checkConfig } from './report.ts';

async function open(yaml: string): Promise<readonly string[]> {
  const { config } = await loadYaml(yaml);
  return exposures(config).map(({ key }) => key);
}

test.each([
  ['', ['server.intake_tokens', 'discord.guild_id']],
  ["discord: { guild_id: '123456789012345678' }", ['server.intake_tokens']],
  ["role_map: { plan: ['123456789012345678'] }", ['server.intake_tokens']],
  ['server: { intake_tokens: [secret] }', ['discord.guild_id']],
  ["server: { listen_address: '127.0.0.1:8080' }", ['discord.guild_id']],
  ["server: { listen_address: 'localhost:8080' }", ['discord.guild_id']],
  ["server: { listen_address: '[::1]:8080' }", ['discord.guild_id']],
  ["server: { intake_address: '127.0.0.2:8081' }", ['discord.guild_id']],
  [
    "server: { listen_address: '127.0.0.1:8080', intake_address: ':8081' }",
    ['server.intake_tokens', 'discord.guild_id'],
  ],
  ["server: { listen_address: '10.0.0.1:8080' }", ['server.intake_tokens', 'discord.guild_id']],
])('%j leaves %j open', async (yaml, keys) => {
  expect(await open(yaml)).toEqual(keys);
});

test('config check warns about it, and start-up does not', async () => {
  const { ok, lines } = await checkConfig({ env: MINIMAL_ENV, readFile: async () => '' });
  expect(ok).toBe(true);
  expect(lines).toEqual([
    'warning: server.intake_tokens is empty: anyone who reaches port 8080 can start workflows; let a network policy admit only senders',
    'warning: discord.guild_id and role_map are empty: every member of every server with the application may run every command',
    'the configuration is valid, with 2 warnings',
  ]);
  expect((await loadYaml('')).warnings).toEqual([]);
});
