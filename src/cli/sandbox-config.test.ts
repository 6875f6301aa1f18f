import { readFile as nodeReadFile } from 'node:fs/promises';
import { expect, onTestFinished, test } from 'vitest';
import { stringify } from 'yaml';
import type { SimulatedDiscord } from '../../sandbox/discord/discord.ts';
import { loadYaml } from '../../test/support/config.ts';
import { temporaryFolder } from '../../test/support/facteur-process.ts';
import { readOwnConfig, writeSandboxConfig } from './sandbox-config.ts';
import type { CliIo } from './io.ts';

const OWN = `
defaults: &defaults { prompt: "say \\"012\\"", text: 'it''s', empty: ~ }
argo: { parameters: { version: 1.10, code: 012, mask: 0x1F, size: 1_000, big: 123456789012345678901, flag: True } }
knowledge: { holdout: .5 }
role_map: { ship: [123456789012345678] }
commands:
  ship:
    description: Ship
    ephemeral: True
    parameters:
      <<: *defaults
      v: 2.0
      lines: |
        one
        two
`;

test('the sandbox reads a configuration like facteur does', async () => {
  const readFile = async (): Promise<Buffer> => Buffer.from(OWN);
  const { sections } = await readOwnConfig({ env: {}, readFile, stderr: process.stderr } as unknown as CliIo, 'own');
  const [{ config: played }, { config: served }] = [await loadYaml(stringify(sections)), await loadYaml(OWN)];
  expect(played.argo.parameters).toEqual(served.argo.parameters);
  expect(played.knowledge).toEqual(served.knowledge);
  expect(played.roleMap).toEqual(served.roleMap);
  expect(played.commands).toEqual(served.commands);
});

test('accepts keys in any case, like facteur', async () => {
  const yaml = 'Argo: { Namespace: mine, Parameters: { rawEvent: x } }\nRole_Map: { Ship: [] }\nServer: {}';
  const readFile = async (): Promise<Buffer> => Buffer.from(yaml);
  const io = { env: {}, readFile, stderr: process.stderr } as unknown as CliIo;
  const own = await readOwnConfig(io, 'own');
  expect(own.ignored).toEqual(['server']);
  const folder = temporaryFolder();
  onTestFinished(() => folder.remove());
  const [botToken, applicationId, guildId] = ['token', '123456789012345678', '123456789012345679'];
  const discord = { botToken, applicationId, guildId, publicKey: 'ab'.repeat(32), apiBaseUrl: 'http://127.0.0.1:1' };
  const written = await writeSandboxConfig(
    { ...io, readFile: nodeReadFile },
    { folder: folder.path, port: '1', data: undefined, own, discord: discord as unknown as SimulatedDiscord },
  );
  expect(written.config.argo).toMatchObject({ namespace: 'mine', parameters: { rawEvent: 'x' } });
  expect(written.config.roleMap).toEqual({ ship: [] });
});
