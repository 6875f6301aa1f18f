import { readFileSync } from 'node:fs';
import { join } from 'node:path';
import { expect } from 'vitest';
import { parse, stringify } from 'yaml';
import { systemTimer } from '../../src/base/timer.ts';
import { commandsCommand } from '../../src/cli/commands.ts';
import { runCommandLine } from '../support/cli.ts';
import type { Json } from '../support/cluster.ts';
import { discordEnv, openDiscordDoor, parametersOf, type DiscordDoor } from '../support/discord-door.ts';
import { db, test } from '../support/ledger-fixture.ts';
import { countRuns, expectRun } from '../support/ledger.ts';
import { asProtobuf, event } from '../support/messages.ts';

// /plan of proompteng/lab, while Discord's endpoint is its relay (froussard), then facteur: docs/upgrade.md, step (d).

const FILE = join(import.meta.dirname, '../../deploy/overlays/lab/facteur.yaml');
const { commands, role_map: roleMap }: Json = parse(readFileSync(FILE, 'utf8'));
const YAML = stringify({ commands, role_map: roleMap });
const [ROLE]: string[] = roleMap.plan;
/** As the relay's script registers it. */
const REGISTERED = {
  name: 'plan',
  description: 'Collect context for a Facteur planning run via modal input.',
};

function open(): Promise<DiscordDoor> {
  const person = { id: '200000000000000001', username: 'ada', globalName: 'Ada', roles: [ROLE!] };
  return openDiscordDoor({ db, yaml: YAML, discord: { person } });
}

test.each(['Land on the moon, and come back.', 'go'])('an event of the relay starts a run: %s', async (content) => {
  const { facteur } = await open();
  const payload = JSON.stringify({ stage: 'implementation', prompt: content });
  const id = `relayed-${content.length}`;
  const member = { id: '200000000000000001', roles: [ROLE!] };
  const answer = await facteur.send(asProtobuf(event({ interactionId: id, options: { content, payload }, member })));
  expect(answer).toMatchObject({ status: 202, body: { duplicate: false } });
  const { namespace, workflow_name: name } = await expectRun(db, id, 'submitted');
  const workflow = facteur.cluster.store.get('workflows', namespace, name).object;
  expect(parametersOf(workflow)).toEqual({ action: 'plan', content, payload });
});

test('the command as the relay registered it opens the form of the relay, which starts a run', async () => {
  const { discord, facteur } = await open();
  const { answer } = await discord.people.command('plan');
  expect(answer).toMatchObject({ type: 9, data: { title: 'Request Planning Run' } });
  expect(await countRuns(db)).toBe(0);

  const content = 'Land on the moon';
  const sent = await discord.people.submit('facteur:modal:plan', { content });
  expect(sent).toMatchObject({ outcome: 'acknowledged', answer: { type: 5 } });
  const { namespace, workflow_name: name } = await expectRun(db, sent.interactionId, 'submitted');
  const { payload = '' } = parametersOf(facteur.cluster.store.get('workflows', namespace, name).object);
  expect(JSON.parse(payload)).toMatchObject({ stage: 'implementation', prompt: content });
});

test('a sync leaves the command of the relay unchanged, and adds the others', async () => {
  const { discord } = await open();
  const url = `${discord.apiBaseUrl}/v10/applications/${discord.applicationId}/guilds/${discord.guildId}/commands`;
  const registered = await fetch(url, {
    method: 'PUT',
    headers: {
      authorization: `Bot ${discord.botToken}`,
      'user-agent': 'DiscordBot (https://example.test, 1.0)',
      'content-type': 'application/json',
    },
    body: JSON.stringify([REGISTERED]),
  });
  expect(registered.status).toBe(200);
  const { code, stdout } = await runCommandLine(
    ['commands', 'sync', '--dry-run', '--config', 'facteur.yaml'],
    [
      commandsCommand({
        version: '1.2.3',
        timer: systemTimer,
        clusterAccess: async () => Promise.reject(new Error('no cluster here')),
        openLedger: async () => Promise.reject(new Error('no ledger here')),
      }),
    ],
    { readFile: async () => Buffer.from(YAML), env: discordEnv(discord) },
  );
  expect({ code, stdout }).toMatchObject({ code: 0, stdout: expect.stringContaining('  = /plan\n') });
  expect(stdout).toMatch(/\+ \/implement\n(.*\n)*.*\+ \/review\n(.*\n)*.*\+ \/status\n/);
});
