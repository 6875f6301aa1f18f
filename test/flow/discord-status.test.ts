import { expect } from 'vitest';
import type { Json } from '../support/cluster.ts';
import { openDiscordDoor } from '../support/discord-door.ts';
import { expectRun } from '../support/ledger.ts';
import { db, test } from '../support/ledger-fixture.ts';
import { forceState } from '../support/runs.ts';

test('a public status shows the newest visible run as the last one, even if an older one is still live', async () => {
  const yaml = `commands:
  status: { description: How it is, ephemeral: false }
  hidden: { description: Only for you, ephemeral: true, workflow_template: plan }
`;
  const { discord } = await openDiscordDoor({ db, yaml });
  const runs: Json[] = [];
  for (const objective of ['older', 'newer']) {
    const { interactionId } = await discord.people.command('plan', [{ name: 'objective', value: objective }]);
    runs.push(await expectRun(db, interactionId, 'submitted'));
  }
  await forceState(db, runs[1].run_id, 'succeeded');
  await discord.people.command('hidden');
  const { data } = (await discord.people.command('status')).answer as Json;
  expect(data.content.split('\n').find((line: string) => line.startsWith('Your last request'))).toContain(
    runs[1].workflow_name,
  );
});
