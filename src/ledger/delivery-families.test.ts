import { describe, expect } from 'vitest';
import { countRuns, runOf } from '../../test/support/ledger.ts';
import { newRun } from '../../test/support/runs.ts';
import type { NewRun, RunReceipt } from '../domain/run.ts';
import { withdrawRun } from './cancel-and-retry.ts';
import { findRun } from './find-runs.ts';
import { recordRun } from './record-run.ts';
import { db, test } from '../../test/support/ledger-fixture.ts';

/** One delivery of each family, all with the same id. */
const FAMILIES = {
  codex: { family: 'codex', kind: 'codex', door: 'http', command: 'implementation' },
  command: { family: 'command', kind: 'command', door: 'http' },
  discord: { family: 'discord', kind: 'command', door: 'discord' },
} as const satisfies Record<string, Partial<NewRun>>;
type Family = keyof typeof FAMILIES;
const families = Object.keys(FAMILIES) as Family[];

const deliveryOf = (family: Family, deliveryId: string, more: Partial<NewRun> = {}): NewRun =>
  newRun({
    ...FAMILIES[family],
    deliveryId,
    idea:
      family === 'codex'
        ? { sourceType: 'github_issue', sourceRef: 'acme/rocket#7', status: 'received', payload: { of: family } }
        : { sourceType: 'discord.command', sourceRef: deliveryId, status: 'received', payload: { of: family } },
    ...more,
  });

const record = (family: Family, deliveryId = 'gh-1', more: Partial<NewRun> = {}): Promise<RunReceipt> =>
  recordRun(db, { run: deliveryOf(family, deliveryId, more), claim: false });

/** The row in the tables that other programs read. */
async function sharedRow(runId: string): Promise<unknown> {
  const { rows } = await db.query({
    text: `SELECT r.delivery_id, i.payload FROM codex_kb.task_runs r
      JOIN codex_kb.tasks t ON t.id = r.task_id JOIN codex_kb.ideas i ON i.id = t.idea_id WHERE r.id = $1`,
    values: [runId],
  });
  return rows[0];
}

const ORDERS = families.flatMap((first) =>
  families.filter((second) => second !== first).map((second) => [first, second] as const),
);

describe('one id in several families', () => {
  test.each(ORDERS)('%s first, then %s: each has its own run, unaffected by the other', async (first, second) => {
    const one = await record(first);
    const two = await record(second);
    expect(two).toMatchObject({ duplicate: false });
    expect(two.runId).not.toBe(one.runId);
    expect(two.workflowName).not.toBe(one.workflowName);
    expect(await record(first)).toEqual({ ...one, duplicate: true });
    expect(await record(second)).toEqual({ ...two, duplicate: true });
    expect(await countRuns(db)).toBe(2);
  });

  test.each(ORDERS)('%s first, then %s: the shared row of the first stays unchanged', async (first, second) => {
    const one = await record(first);
    const two = await record(second);
    const shared = { codex: 'gh-1', command: 'command:gh-1', discord: 'discord:gh-1' };
    expect(await sharedRow(one.runId)).toEqual({ delivery_id: shared[first], payload: { of: first } });
    expect(await sharedRow(two.runId)).toEqual({ delivery_id: shared[second], payload: { of: second } });
  });

  test('many concurrent deliveries of all families: one run each', async () => {
    const receipts = await Promise.all(
      Array.from({ length: 4 }, () => families).flatMap((all) => all.map((family) => record(family))),
    );
    expect(receipts.filter(({ duplicate }) => !duplicate)).toHaveLength(3);
    expect(new Set(receipts.map(({ runId }) => runId)).size).toBe(3);
    expect(await countRuns(db)).toBe(3);
  });

  test('a withdrawal cancels only the run of its family', async () => {
    const acceptedAt = new Date();
    await record('command', 'gh-1', { acceptedAt });
    const { runId } = await record('discord', 'gh-1', { acceptedAt });
    const { deliveryId, family } = deliveryOf('discord', 'gh-1');
    expect(await withdrawRun(db, { deliveryId, family, acceptedAt, claimed: false }, 'somebody')).toBe(runId);
    const { rows } = await db.query({
      text: 'SELECT run_id FROM facteur.runs WHERE cancel_requested_by IS NOT NULL',
    });
    expect(rows).toEqual([{ run_id: runId }]);
  });

  test('finds a run by family and id, and the newest by id alone', async () => {
    const codex = await record('codex', 'gh-1', { acceptedAt: new Date(1000) });
    const command = await record('command', 'gh-1', { acceptedAt: new Date(2000) });
    expect(await findRun(db, 'codex:gh-1')).toMatchObject({ runId: codex.runId });
    expect(await findRun(db, 'command:gh-1')).toMatchObject({ runId: command.runId });
    expect(await findRun(db, 'gh-1')).toMatchObject({ runId: command.runId });
  });
});

describe('ids that facteur makes', () => {
  test.each(['retry:1', 'kafka:topic/0/1@2', 'dead-letter:1'])(
    '%s from outside is a different delivery',
    async (id) => {
      const outside = await Promise.all(families.map((family) => record(family, id)));
      const own = await record('command', id, { family: 'derived' });
      expect(own).toMatchObject({ duplicate: false, deliveryId: id });
      expect(await record('command', id, { family: 'derived' })).toEqual({ ...own, duplicate: true });
      expect(new Set([own, ...outside].map(({ runId }) => runId)).size).toBe(4);
      expect(await sharedRow(own.runId)).toMatchObject({ delivery_id: id });
    },
  );

  test.each(families)('an id in %s that looks like the key of another family stays separate', async (family) => {
    await Promise.all(families.map((other) => record(other)));
    const receipts = await Promise.all(families.map((other) => record(family, `${other}:gh-1`)));
    expect(receipts.map(({ duplicate }) => duplicate)).toEqual([false, false, false]);
    expect(await countRuns(db)).toBe(6);
  });
});

test('if another family used the id first, the recorded id has the family as prefix', async () => {
  await record('codex');
  const { deliveryId, recordedId, runId } = await record('command');
  expect({ deliveryId, recordedId }).toEqual({ deliveryId: 'gh-1', recordedId: 'command:gh-1' });
  expect(await runOf(db, 'command:gh-1')).toMatchObject({ run_id: runId });
});
