import { readFile } from 'node:fs/promises';
import { expect } from 'vitest';
import { NAMESPACE, startCluster } from '../support/cluster.ts';
import { openDiscordDoor, whispered } from '../support/discord-door.ts';
import { expectRun } from '../support/ledger.ts';
import { db, test } from '../support/ledger-fixture.ts';

/** The step and its message. `WF` is the workflow's name. */
const CASES: readonly (readonly [string, string, string])[] = [
  ['dag-hook', 'migrate', 'OOMKilled (exit code 137)'],
  ['exit-handler-pod', 'WF', 'main: Error (exit code 1)'],
  ['step-hook', 'compile', 'main: Error (exit code 2)'],
  ['tolerated-sibling', 'unit-tests', 'main: Error (exit code 1)'],
];

test.each(CASES)('%s: the ledger, the message and the log name the step that failed', async (file, step, said) => {
  const cluster = await startCluster();
  const roles = ['http', 'submit', 'follow', 'notify'] as const;
  const { discord } = await openDiscordDoor({ db, cluster, roles });
  const objective = { name: 'objective', value: 'x' };
  const { interactionId } = await discord.people.command('plan', [objective]);
  const { run_id: runId, workflow_name: name } = await expectRun(db, interactionId, 'running');
  const text = await readFile(`test/cases/failing-step-${file}.status.json`, 'utf8');
  const { status } = JSON.parse(text.replaceAll('WF', name));
  const entry = cluster.store.get('workflows', NAMESPACE, name);
  cluster.store.update('workflows', entry, 'state', (object) => ({ ...object, status }));

  const reason = `${step.replace('WF', name)}: ${said}`;
  expect(await expectRun(db, interactionId, 'failed')).toMatchObject({ reason });
  const message = () => discord.messages().find((candidate) => candidate.interactionId === interactionId)!;
  await expect.poll(() => JSON.stringify(message())).toContain(reason);
  const pressed = await discord.people.press(message(), `facteur:logs:${runId}`);
  expect(whispered(pressed)).toContain(reason);
  expect(whispered(pressed)).toContain(`${step.replace('WF', name)}: works\n`);
});
