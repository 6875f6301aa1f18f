import { expect } from 'vitest';
import { callApi } from '../support/api.ts';
import { startCluster } from '../support/cluster.ts';
import { openDiscordDoor } from '../support/discord-door.ts';
import { expectRun, runOf } from '../support/ledger.ts';
import { db, test } from '../support/ledger-fixture.ts';

const ADA = { id: '200000000000000001', username: 'ada', roles: [] };
const TOKEN = 'an-operators-token-of-32-characters';

/** `/plan` was run in Discord, and its run has failed. */
async function failed() {
  const cluster = await startCluster({ defaults: { outcome: 'fail', at: 1, pendingMs: 0, startMs: 0, stepMs: 0 } });
  const door = await openDiscordDoor({
    db,
    cluster,
    yaml: 'role_map: {}',
    env: { FACTEUR_SERVER_API_TOKENS: JSON.stringify([{ name: 'ops', scope: 'operate', token: TOKEN }]) },
    roles: ['http', 'submit', 'follow', 'notify'],
  });
  const { interactionId } = await door.discord.people.command('plan', [{ name: 'objective', value: 'x' }], ADA);
  const { run_id: runId } = await expectRun(db, interactionId, 'failed');
  const texts = () => door.discord.messages().map(({ versions }) => versions.at(-1)?.content ?? '');
  await expect.poll(() => texts().join()).toContain('**Failed**');
  expect(texts().join()).not.toContain('via');
  return { ...door, runId, texts };
}

test('a retry from the command line shows for whom it is and where it was requested', async () => {
  const { facteur, runId, texts } = await failed();
  await facteur.cli('runs', 'retry', runId, '--yes');
  await expectRun(db, `retry:${runId}`, 'failed');
  expect(await runOf(db, `retry:${runId}`)).toMatchObject({ door: 'cli', user_id: ADA.id });
  await expect.poll(texts).toContainEqual(expect.stringContaining(`· for <@${ADA.id}> · via the command line\n`));
});

test('a retry by an API client names the client', async () => {
  const { facteur, runId, texts } = await failed();
  const { status } = await callApi(facteur.url, `POST /v1/runs/${runId}/retry`, { token: TOKEN });
  expect(status).toBe(202);
  await expectRun(db, `retry:${runId}`, 'failed');
  await expect.poll(texts).toContainEqual(expect.stringContaining(`· for <@${ADA.id}> · via the API (\`ops\`)\n`));
});
