import { expect, test, vi } from 'vitest';
import type { ToldRun } from '../support/notify.ts';
import { useToldWorld } from '../support/told-world.ts';

// A run that waits to be submitted: what its message shows of the queue, and how rarely it is edited.

const told = useToldWorld();

const LIMIT = 'Only 1 workflow may run at a time.';

/** Somebody runs `/plan` in a separate channel. */
async function planIn(channel: number, waits = true): Promise<ToldRun> {
  const channelId = `50000000000000000${channel}`;
  await told.world.discord.faults.apply({ op: 'channel', id: channelId });
  return told.world.plan({ channelId, waits });
}

/** The texts of a run's message, in order. */
function textsOf({ interactionId }: ToldRun): readonly string[] {
  const message = told.world.discord.messages().find((one) => one.interactionId === interactionId);
  return (message?.versions ?? []).map(({ content }) => content);
}

/** Waits until the message of the run was claimed and released this many times: each counts. */
async function looked(run: ToldRun, times: number): Promise<void> {
  await vi.waitFor(async () => expect(await looks(run)).toBeGreaterThanOrEqual(times));
}

async function looks(run: ToldRun): Promise<number> {
  return Math.floor(Number((await told.world.row(run))['claims']) / 2);
}

async function says(run: ToldRun, text: string): Promise<void> {
  await vi.waitFor(() => expect(textsOf(run).at(-1)).toContain(text));
}

test('its message shows the place and the reason, and one of several processes edits it only when that changes', async () => {
  const live = await planIn(0, false);
  await told.world.submit(live);
  const [first, second] = [await planIn(1), await planIn(2)];
  await Promise.all([told.world.startNotifier({ maxActive: 1 }), told.world.startNotifier({ maxActive: 1 })]);
  await says(first, '**Queued**');
  await looked(first, 1);
  await looked(second, 1);
  await told.world.advance(2000);
  await says(first, `Next in the queue. ${LIMIT}`);
  await says(second, `2nd in the queue. ${LIMIT}`);
  await looked(second, 2);
  const before = textsOf(second).length;
  const known = await looks(second);
  await told.world.advance(15_000);
  await looked(second, known + 1);
  expect(textsOf(second)).toHaveLength(before);

  await told.world.submit(first);
  await says(first, '**Submitted**');
  await told.world.advance(15_000);
  await says(second, `Next in the queue. ${LIMIT}`);
  expect(textsOf(second)).toHaveLength(before + 1);
});

test('behind runs that the cluster does not accept, its message says so', async () => {
  const held = await planIn(0, false);
  await told.db.query({
    text: `UPDATE facteur.runs SET reason = 'the cluster did not answer' WHERE run_id = $1`,
    values: [held.runId],
  });
  const waiting = await planIn(1);
  await told.world.startNotifier({ maxActive: 5 });
  await looked(waiting, 1);
  await told.world.advance(2000);
  await says(waiting, 'Next in the queue. Earlier runs cannot be submitted: `the cluster did not answer`');
  expect(textsOf(held).at(-1)).toContain('Not submitted yet; facteur keeps trying: `the cluster did not answer`');
});

test('a run that a process is submitting has no place, and its message is not looked at again', async () => {
  const run = await planIn(1, false);
  await told.db.query({ text: `UPDATE facteur.open_runs SET due_at = now() + interval '1 hour'` });
  await told.world.startNotifier({ maxActive: 1 });
  await looked(run, 1);
  expect(await told.world.row(run)).toMatchObject({ due_at: null });
});

test('a quiet message does not show the queue', async () => {
  const run = await planIn(1);
  await told.db.query({ text: 'UPDATE facteur.messages SET quiet = true' });
  await told.world.advance(2000);
  await told.world.startNotifier({ maxActive: 1 });
  await looked(run, 1);
  expect(textsOf(run).at(-1)).not.toContain('queue');
  expect(await told.world.row(run)).toMatchObject({ due_at: null });
});
