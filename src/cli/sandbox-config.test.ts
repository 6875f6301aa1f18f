import { expect, test } from 'vitest';
import { stringify } from 'yaml';
import { loadYaml } from '../../test/support/config.ts';
import { readOwnConfig } from './sandbox-config.ts';
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

test('the sandbox means by a configuration what facteur means by it', async () => {
  const readFile = async (): Promise<Buffer> => Buffer.from(OWN);
  const { sections } = await readOwnConfig({ env: {}, readFile, stderr: process.stderr } as unknown as CliIo, 'own');
  const [{ config: played }, { config: served }] = [await loadYaml(stringify(sections)), await loadYaml(OWN)];
  expect(played.argo.parameters).toEqual(served.argo.parameters);
  expect(played.knowledge).toEqual(served.knowledge);
  expect(played.roleMap).toEqual(served.roleMap);
  expect(played.commands).toEqual(served.commands);
});
