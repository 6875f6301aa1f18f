import { expect } from 'vitest';
import { silentLogger } from '../../src/base/logger.ts';
import { createAnnouncements } from '../../src/ledger/due-work.ts';
import { startCluster } from '../support/cluster.ts';
import { openDiscordDoor, ROLE } from '../support/discord-door.ts';
import { unavailable } from '../support/faulty-database.ts';
import { expectRun } from '../support/ledger.ts';
import { db, test } from '../support/ledger-fixture.ts';

const ADA = { id: '200000000000000001', roles: [ROLE] };
const QUICK = { defaults: { outcome: 'succeed', at: 1, pendingMs: 0, startMs: 0, stepMs: 0 } } as const;

const command = (settings: string) => `role_map: { deploy: ['${ROLE}'] }
commands:
  deploy:
    description: Deploy
    ${settings}
    options: [{ name: where, description: Where, required: true }, { name: notify, description: Tell me, type: boolean }]
`;

async function deploy(settings: string, options: Parameters<Door['discord']['people']['command']>[1] = []) {
  const door = await openDiscordDoor({
    db,
    cluster: await startCluster(QUICK),
    yaml: command(settings),
    roles: ['http', 'submit', 'follow', 'notify'],
  });
  const run = async () => {
    const { interactionId } = await door.discord.people.command(
      'deploy',
      [{ name: 'where', value: 'staging' }, ...options],
      ADA,
    );
    const { run_id: runId } = await expectRun(db, interactionId, 'succeeded');
    const answer = () => door.discord.messages().find((message) => message.interactionId === interactionId);
    await expect.poll(() => answer()?.versions.at(-1)?.content).toContain('Succeeded');
    return {
      runId,
      answer,
      replies: () => door.discord.messages().filter((message) => message.interactionId !== interactionId),
    };
  };
  return { ...door, run };
}
type Door = Awaited<ReturnType<typeof openDiscordDoor>>;

const pinged = async (runId: string): Promise<boolean> => {
  const { rows } = await db.query<{ pinged: boolean }>({
    text: 'SELECT pinged_at IS NOT NULL AS pinged FROM facteur.messages WHERE run_id = $1',
    values: [runId],
  });
  return rows[0]?.pinged === true;
};

test.each<[string, string, Parameters<typeof deploy>[1], RegExp]>([
  ['its author', 'notify: author', [], new RegExp(`^<@${ADA.id}> ✅ \`/deploy staging\`: succeeded in .*\\.$`)],
  ['the roles that may run it', 'notify: role', [], new RegExp(`^<@&${ROLE}> ✅ `)],
  ['the person who asked for it', 'notify: none', [{ name: 'notify', value: 'true' }], new RegExp(`^<@${ADA.id}> `)],
])('the end of a run pings %s once', async (_who, settings, options, text) => {
  const { run } = await deploy(settings, options);
  const { runId, replies } = await run();
  await expect.poll(() => pinged(runId)).toBe(true);
  expect(replies().map(({ versions }) => versions.at(-1)?.content)).toEqual([expect.stringMatching(text)]);
});

test('if the bot may not reply, the ping does not reference the message', async () => {
  const { run, discord } = await deploy('notify: author');
  await discord.faults.apply({ op: 'channel', id: discord.channelId, rights: { history: false } });
  const { runId, replies } = await run();
  await expect.poll(() => pinged(runId)).toBe(true);
  expect(replies().map(({ versions }) => versions.at(-1)?.pings)).toEqual([[`<@${ADA.id}>`]]);
});

test.each([
  ['by default', 'ephemeral: false'],
  ['of an ephemeral run', 'ephemeral: true\n    notify: author'],
])('nobody is pinged %s', async (_what, settings) => {
  const { run } = await deploy(settings);
  const { runId, replies } = await run();
  const told = async () =>
    (await db.query({ text: 'SELECT told_state FROM facteur.messages WHERE run_id = $1', values: [runId] })).rows;
  await expect.poll(told).toEqual([{ told_state: 'succeeded' }]);
  expect([await pinged(runId), replies()]).toEqual([false, []]);
});

test.each([401, 403])('a %i is retried later: a person can fix its cause', async (status) => {
  const { run, discord, facteur } = await deploy('notify: author');
  const answer = { status, code: status === 401 ? 0 : 50_013, message: 'not now' };
  const rule = { route: 'channel.message.create', times: 1, action: { kind: 'answer', answer } } as const;
  await discord.faults.apply({ op: 'add', rule });
  const { runId, replies } = await run();
  const dueInMs = async (): Promise<number> => {
    const text =
      'SELECT (extract(epoch FROM due_at - now()) * 1000)::float8 AS ms FROM facteur.messages WHERE run_id = $1';
    return (await db.query<{ ms: number }>({ text, values: [runId] })).rows[0]?.ms ?? 0;
  };
  await expect.poll(dueInMs).toBeGreaterThan(45_000);
  expect(facteur.log.join('')).toContain('could not notify of the end of a run');
  expect([await pinged(runId), replies()]).toEqual([false, []]);
  if (status === 401) {
    // After a 401, Discord's client sends nothing for a minute.
    return;
  }
  const text = 'UPDATE facteur.messages SET due_at = now(), not_before = now() WHERE run_id = $1';
  await db.query({ text, values: [runId] });
  await createAnnouncements(facteur.db, silentLogger).messagesDue();
  await expect.poll(() => pinged(runId)).toBe(true);
  expect(replies()).toHaveLength(1);
});

test('a process that dies after the reply sends no second reply', async () => {
  const { run, facteur } = await deploy('notify: author');
  let died = 0;
  facteur.faults.before = (statement) => (statement === 'release-message' && died++ < 2 ? unavailable() : undefined);
  const { runId, replies } = await run();
  const again = () =>
    db.query({
      text: 'UPDATE facteur.messages SET due_at = now(), not_before = now() WHERE run_id = $1 AND pinged_at IS NULL',
      values: [runId],
    });
  await expect.poll(async () => (await again(), pinged(runId)), { timeout: 10_000 }).toBe(true);
  expect(replies()).toHaveLength(1);
});
