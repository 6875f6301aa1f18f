import { describe, expect } from 'vitest';
import { ADA, approvalEventsOf, approvalOf, BOB, hurry, waiting, type Waiting } from '../support/approvals.ts';
import { NAMESPACE } from '../support/cluster.ts';
import { whispered } from '../support/discord-door.ts';
import { timePasses } from '../support/ledger.ts';
import { db, test } from '../support/ledger-fixture.ts';

/** Makes the cluster reject every patch until the returned function is called. */
function unwritable({ facteur: { cluster } }: Waiting): () => void {
  const answer = { status: 503 };
  const rule = cluster.faults.apply({
    op: 'add',
    rule: { match: { verb: 'patch' }, action: { kind: 'answer', answer } },
  });
  return () => {
    cluster.faults.apply({ op: 'remove', id: Number(rule['id']) });
  };
}

const cancel = (run: Waiting) => run.discord.people.press(run.message(), `facteur:cancel:${run.runId}`, BOB);

const stepsOf = (run: Waiting) => run.facteur.cluster.controller.completionsOf(NAMESPACE, run.workflow);

describe('no step of a canceled run starts', () => {
  test('even if somebody approves before the cluster has stopped it', async () => {
    const run = await waiting(db, { rules: { 'approval-timeout': '1h', 'on-timeout': 'approve' } });
    const button = run.message();
    const restore = unwritable(run);
    await cancel(run);
    restore();
    const late = await run.discord.people.press(button, `facteur:approve:${run.runId}:${run.key}`, ADA);
    expect(whispered(late)).toBe('Step `approve` no longer waits: the run was canceled.');
    // Nor does the timeout approve it.
    expect(await approvalOf(db, run.runId)).toMatchObject({ state: 'gone', due_at: null });
    await timePasses(db);
    await expect.poll(run.shown).toContain('Canceled');
    expect(stepsOf(run)).toEqual(['build']);
    expect(await approvalEventsOf(db, run.runId)).toEqual(['approval.requested facteur', 'approval.gone facteur']);
    const asks = () => run.discord.messages().map(({ versions }) => versions.at(-1)?.content);
    await expect.poll(asks).toContain('`approve` no longer waits: `the run was canceled`');
  });

  test('even if somebody approved before the cancel and the cluster did not know it yet', async () => {
    const run = await waiting(db);
    const restore = unwritable(run);
    await run.press('approve', ADA);
    await expect.poll(run.shown).toContain('facteur keeps trying');
    await cancel(run);
    restore();
    await hurry(db);
    await timePasses(db);
    await expect.poll(run.shown).toContain('Canceled');
    // Only the ended workflow shows that the decision never arrived.
    await expect.poll(run.shown).toContain('approved by `ada` · without effect: `the run was canceled`');
    expect(stepsOf(run)).toEqual(['build']);
  });

  test('unless the cluster had accepted the approval, even if its response was lost', async () => {
    const run = await waiting(db, { plan: { outcome: 'hang' } });
    const { faults } = run.facteur.cluster;
    const lost = { match: { verb: 'patch' }, action: { kind: 'commit-then-reset' }, times: 1 } as const;
    faults.apply({ op: 'add', rule: lost });
    const restore = unwritable(run);
    const unread = faults.apply({
      op: 'add',
      rule: { match: { verb: 'get' }, action: { kind: 'answer', answer: { status: 503 } } },
    });
    await run.press('approve', ADA);
    await expect.poll(run.shown).toContain('facteur keeps trying');
    expect(run.node('approve')).toMatchObject({ phase: 'Succeeded' });
    await cancel(run);
    await expect.poll(run.shown).toContain('facteur is finding out whether the workflow has it');
    restore();
    faults.apply({ op: 'remove', id: Number(unread['id']) });
    await hurry(db);
    await timePasses(db);
    await expect.poll(run.shown).toContain('Canceled');
    await expect.poll(() => approvalOf(db, run.runId)).toMatchObject({ state: 'approved', problem: '' });
    await expect.poll(run.shown).toMatch(/👍 `approve` approved by `ada`(?! ·)/);
  });
});
