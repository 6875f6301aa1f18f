import { expect } from 'vitest';
import type { Who } from '../../sandbox/discord/people.ts';
import { claimDueDecisions } from '../../src/ledger/approval-queue.ts';
import { ADA, approvalOf, hurry, waiting } from '../support/approvals.ts';
import { NAMESPACE } from '../support/cluster.ts';
import { discordEnv, ROLE, whispered } from '../support/discord-door.ts';
import { startFacteur } from '../support/facteur.ts';
import { unavailable } from '../support/faulty-database.ts';
import { db, test } from '../support/ledger-fixture.ts';

const PEOPLE = 100;

test('one of a hundred people who press at once, on three processes, decides, and all others learn who', async () => {
  const run = await waiting(db, { rules: { reason: 'none' } });
  const { discord, facteur, timer } = run;
  const yaml = `role_map:\n  plan: ['${ROLE}']\n`;
  const others = await Promise.all(
    [1, 2].map(() => startFacteur({ db, cluster: facteur.cluster, yaml, timer, env: discordEnv(discord) })),
  );
  const doors = [facteur, ...others].map(({ url }) => `${url}/discord/interactions`);
  const button = run.message();
  const pressed = Array.from({ length: PEOPLE }, (_, index) => {
    const who: Who = { id: `3000000000000000${String(index).padStart(2, '0')}`, username: `p${index}`, roles: [ROLE] };
    const action = index % 2 === 0 ? 'approve' : 'reject';
    discord.people.pointAt(doors[index % doors.length] ?? '');
    return discord.people.press(button, `facteur:${action}:${run.runId}:${run.key}`, who);
  });
  const answers = (await Promise.all(pressed)).map(whispered);
  const winners = answers.filter((answer) => /^Step `approve` is (approved|rejected)\./.test(answer));
  expect(winners).toHaveLength(1);
  const { decided_by: by, verdict } = await approvalOf(db, run.runId);
  const told = answers.filter((answer) => answer.startsWith(`Step \`approve\` was already ${verdict} by \`${by}\``));
  expect(told).toHaveLength(PEOPLE - 1);
  await expect.poll(run.shown).toContain(verdict === 'approved' ? 'Succeeded' : 'Failed');
  expect(run.node('approve').message).toBe(`${verdict} by ${by}`);
  const { rows } = await db.query({
    text: `SELECT FROM codex_kb.run_events WHERE task_run_id = $1 AND event_type = 'approval.decided'`,
    values: [run.runId],
  });
  expect(rows).toHaveLength(1);
});

test('if a process dies between the decision and the patch, another applies the decision once', async () => {
  const run = await waiting(db);
  // The test claims the decision first, like a process that dies before it writes.
  const { faults } = run.facteur;
  const { promise: end, resolve: bury } = Promise.withResolvers<void>();
  faults.before = async (statement) => {
    if (statement === 'claim-due-decisions') {
      await end;
      unavailable();
    }
  };
  await run.press('approve', ADA);
  const { decisions } = await claimDueDecisions(db, 10);
  expect(decisions).toMatchObject([{ node: 'approve', verdict: 'approved', attempts: 1 }]);
  const other = await startFacteur({ db, cluster: run.facteur.cluster, roles: ['submit', 'follow'] });
  expect(run.node('approve').phase).toBe('Running');
  await hurry(db);
  await expect.poll(() => approvalOf(db, run.runId)).toMatchObject({ state: 'approved', attempts: 2 });
  await expect.poll(run.shown).toContain('Succeeded');
  const completed = other.cluster.controller.completionsOf(NAMESPACE, run.workflow);
  expect(completed).toEqual(['build', 'approve', 'deploy']);
  bury();
});
