import { expect } from 'vitest';
import { approvalOf, openApproval } from '../../test/support/approvals.ts';
import type { RunState } from '../domain/run-state.ts';
import { db, test } from '../../test/support/ledger-fixture.ts';
import { forceState, newRun } from '../../test/support/runs.ts';
import { claimDueAsks, releaseAsk } from './approval-asks.ts';
import { claimDueDecisions, settleDecision } from './approval-queue.ts';
import { decideApproval, findApproval, recordWaiting } from './approvals.ts';
import { requestCancel } from './cancel-and-retry.ts';
import { rewindVersions } from './observe-workflows.ts';
import { recordRun } from './record-run.ts';

/** A run that waits for approval since version 10 of its workflow. */
async function opened() {
  const { runId, namespace, workflowName: name } = await recordRun(db, { run: newRun(), claim: false });
  await openApproval(db, runId);
  await db.query({ text: `UPDATE facteur.runs SET workflow_uid = 'uid'` });
  await db.query({ text: 'UPDATE facteur.approvals SET seen_version = 10' });
  return { runId, namespace, name };
}

const set = (assignments: string) => db.query({ text: `UPDATE facteur.approvals SET ${assignments}` });

test('an older version of the workflow neither closes nor reopens an approval seen in a newer one', async () => {
  const { runId, namespace, name } = await opened();
  const { key, node, template, fields, rules, ...row } = await approvalOf(db, runId);
  const asked = {
    key,
    kind: 'node',
    nodeId: row.node_id,
    node,
    template,
    startedAt: row.started_at,
    onExit: false,
    fields,
    rules,
  } as const;
  const stateAfter = async (version: bigint, isWaiting: boolean): Promise<string> => {
    await recordWaiting(db, [
      { namespace, name, uid: 'uid', version, state: 'running', waiting: isWaiting ? [asked] : [] },
    ]);
    return (await approvalOf(db, runId)).state;
  };
  expect(await stateAfter(9n, false)).toBe('waiting');
  expect(await stateAfter(11n, false)).toBe('gone');
  expect(await stateAfter(10n, true)).toBe('gone');
  expect(await stateAfter(12n, true)).toBe('waiting');
});

test('if a workflow becomes unreadable, its approval says to decide in Argo, not that it was decided', async () => {
  const { runId, namespace, name } = await opened();
  const waiting = [{ ...(await another(runId, 'offloaded')), kind: 'offloaded' } as const];
  await recordWaiting(db, [{ namespace, name, uid: 'uid', version: 11n, state: 'running', waiting }]);
  const { rows } = await db.query({ text: `SELECT state, problem FROM facteur.approvals WHERE kind = 'node'` });
  expect(rows).toEqual([{ state: 'gone', problem: expect.stringContaining('decide it in Argo') }]);
});

/** Another waiting step of the run. */
async function another(runId: string, key: string, onExit = false) {
  const { node_id: nodeId, started_at: startedAt, node, template, fields, rules } = await approvalOf(db, runId);
  return { key, kind: 'node', nodeId, node, template, startedAt, onExit, fields, rules } as const;
}

test('a version of the workflow that is older than the recorded one opens no approval', async () => {
  const { runId, namespace, name } = await opened();
  const asked = await another(runId, 'passed');
  await db.query({ text: 'UPDATE facteur.runs SET resource_version = 12' });
  const openedBy = (version: bigint) =>
    recordWaiting(db, [{ namespace, name, uid: 'uid', version, state: 'running', waiting: [asked] }]);
  await openedBy(11n);
  expect(await findApproval(db, runId, 'passed')).toBeUndefined();
  await openedBy(12n);
  expect(await findApproval(db, runId, 'passed')).toMatchObject({ state: 'waiting' });
});

test('a process that lost its claim on a decision settles nothing', async () => {
  const { runId } = await opened();
  await set(`state = 'deciding', verdict = 'approved', decided_by = 'ada', decided_at = now(), due_at = now()`);
  const [late] = (await claimDueDecisions(db, 1)).decisions;
  await set('due_at = now()');
  const [prompt] = (await claimDueDecisions(db, 1)).decisions;
  expect(prompt?.attempts).toBe(2);
  expect(await settleDecision(db, late!, { kind: 'gone', reason: 'from the past' })).toBeUndefined();
  expect(await approvalOf(db, runId)).toMatchObject({ state: 'deciding', problem: '' });
  expect(await settleDecision(db, prompt!, { kind: 'applied' })).toBeDefined();
  expect(await approvalOf(db, runId)).toMatchObject({ state: 'approved' });
});

test('a decision that was being written during a cancel gets the state of its actual outcome', async () => {
  const { runId } = await opened();
  await set(`state = 'deciding', verdict = 'approved', decided_by = 'ada', decided_at = now(), due_at = now()`);
  const [claimed] = (await claimDueDecisions(db, 1)).decisions;
  expect(claimed).toMatchObject({ dropped: false });
  await requestCancel(db, runId, 'bob');
  const inDoubt = { state: 'deciding', problem: 'the run was canceled', due_at: expect.any(Date) };
  expect(await approvalOf(db, runId)).toMatchObject(inDoubt);
  expect(await settleDecision(db, claimed!, { kind: 'postponed', reason: 'busy', delayMs: 1 })).toBeDefined();
  expect(await approvalOf(db, runId)).toMatchObject(inDoubt);
  await set('due_at = now()');
  const [looked] = (await claimDueDecisions(db, 1)).decisions;
  expect(looked).toMatchObject({ dropped: true });
  expect(await settleDecision(db, looked!, { kind: 'applied' })).toBeDefined();
  expect(await approvalOf(db, runId)).toMatchObject({ state: 'approved', problem: '', due_at: null });
});

test('rewrites an applied decision that its workflow may have lost in a restore, unless the run has ended', async () => {
  const { runId } = await opened();
  await openApproval(db, runId, 'other');
  const rewind = () => rewindVersions(db, [{ runId, recorded: '20', listed: '9' }]);
  await set(`state = 'deciding', verdict = 'approved', decided_by = 'ada', decided_at = now(), due_at = now()`);
  const [first, second] = (await claimDueDecisions(db, 2)).decisions;
  await settleDecision(db, first!, { kind: 'applied' });
  await settleDecision(db, second!, { kind: 'gone', reason: 'the step no longer exists' });
  await rewind();
  const { decisions } = await claimDueDecisions(db, 2);
  expect(decisions).toMatchObject([{ key: first!.key, verdict: 'approved', decidedBy: 'ada', attempts: 2 }]);
  await settleDecision(db, decisions[0]!, { kind: 'applied' });
  await forceState(db, runId, 'failed');
  await rewind();
  expect((await claimDueDecisions(db, 2)).decisions).toEqual([]);
});

test('an applied decision stays approved if its step no longer exists when it is written again', async () => {
  const { runId } = await opened();
  await set(`state = 'deciding', verdict = 'approved', decided_by = 'ada', decided_at = now(), due_at = now()`);
  const [first] = (await claimDueDecisions(db, 1)).decisions;
  await settleDecision(db, first!, { kind: 'applied' });
  const applied = await approvalOf(db, runId);
  await rewindVersions(db, [{ runId, recorded: '20', listed: '9' }]);
  await requestCancel(db, runId, 'bob');
  expect(await approvalOf(db, runId)).toMatchObject({ state: 'deciding' });
  const [again] = (await claimDueDecisions(db, 1)).decisions;
  await settleDecision(db, again!, { kind: 'postponed', reason: 'busy', delayMs: 0 });
  const [retried] = (await claimDueDecisions(db, 1)).decisions;
  await settleDecision(db, retried!, { kind: 'gone', reason: 'the step no longer exists' });
  const { state, problem, applied_at: at, due_at: due } = await approvalOf(db, runId);
  expect({ state, problem, at, due }).toEqual({ state: 'approved', problem: '', at: applied.applied_at, due: null });
});

test('a cancel drops an unclaimed decision at once', async () => {
  const { runId } = await opened();
  await set(`state = 'deciding', verdict = 'approved', decided_by = 'ada', decided_at = now(), due_at = now()`);
  await requestCancel(db, runId, 'bob');
  expect(await approvalOf(db, runId)).toMatchObject({ state: 'gone', problem: 'the run was canceled', due_at: null });
});

test('a cancel leaves approvals of exit handlers open, and new ones are opened', async () => {
  const { runId, namespace, name } = await opened();
  await set('on_exit = true');
  await requestCancel(db, runId, 'bob');
  expect(await approvalOf(db, runId)).toMatchObject({ state: 'waiting', problem: '' });
  const steps = [await another(runId, 'exit', true), await another(runId, 'work')];
  await recordWaiting(db, [
    { namespace, name, uid: 'uid', version: 11n, state: 'running', shutdown: 'Stop', waiting: steps },
  ]);
  const { rows } = await db.query({ text: 'SELECT key, state FROM facteur.approvals ORDER BY state' });
  expect(rows).toEqual([
    { key: expect.any(String), state: 'gone' },
    { key: 'exit', state: 'waiting' },
  ]);
  await set(`state = 'deciding', verdict = 'approved', decided_by = 'ada', decided_at = now(), due_at = now()`);
  const { decisions } = await claimDueDecisions(db, 9);
  expect(decisions.map(({ dropped }) => dropped)).toEqual([false, false]);
});

const [ENDING, ELSEWHERE] = ['the workflow is ending', 'it was decided elsewhere'];

test.each<[string, boolean, RunState, string]>([
  ['Stop', false, 'running', ENDING],
  ['Stop', true, 'running', ELSEWHERE],
  ['Stop', true, 'succeeded', ELSEWHERE],
  ['Terminate', false, 'running', ENDING],
  ['Terminate', true, 'running', ENDING],
  // Argo 3.7 may end a terminated workflow so soon that it is not seen before.
  ['Terminate', true, 'succeeded', ENDING],
])(
  'after %s, a step (on exit: %s) of a workflow that is %s no longer waits: %s',
  async (shutdown, onExit, state, why) => {
    const { runId, namespace, name } = await opened();
    await set(`on_exit = ${onExit}`);
    await recordWaiting(db, [{ namespace, name, uid: 'uid', version: 11n, state, shutdown, waiting: [] }]);
    expect(await approvalOf(db, runId)).toMatchObject({ state: 'gone', problem: why });
  },
);

test('a process that lost its claim on an ask records no message', async () => {
  const { runId } = await opened();
  await set(`ask_at = now(), ask_channel = 'c'`);
  const [late] = (await claimDueAsks(db, 1)).asks;
  await set('ask_at = now()');
  const [prompt] = (await claimDueAsks(db, 1)).asks;
  await releaseAsk(db, prompt!, { messageId: 'm2', retryInMs: undefined });
  await releaseAsk(db, late!, { messageId: 'm1', retryInMs: 1000 });
  expect(await approvalOf(db, runId)).toMatchObject({ ask_message: 'm2', ask_at: null });
});

test('an approval of an ended run cannot be decided', async () => {
  const { runId } = await opened();
  const { key } = await approvalOf(db, runId);
  const approve = () =>
    decideApproval(db, {
      ...{ runId, key, verdict: 'approved', actor: { id: '1', name: 'ada' }, alone: false, reason: '' },
      outputs: { version: 'v1' },
    });
  await db.query({ text: `UPDATE facteur.runs SET state = 'failed', previous_state = 'running'` });
  expect(await approve()).toBeUndefined();
  expect(await approvalOf(db, runId)).toMatchObject({ state: 'waiting', votes: {}, verdict: null });
});

test('an approval of an archived run can be decided', async () => {
  const { runId } = await opened();
  const { key } = await approvalOf(db, runId);
  await db.query({ text: 'DELETE FROM codex_kb.task_runs WHERE id = $1', values: [runId] });
  const decision = { runId, key, verdict: 'approved', actor: { id: '1', name: 'ada' }, alone: true } as const;
  expect(await decideApproval(db, { ...decision, reason: '', outputs: {} })).toMatchObject({ state: 'deciding' });
});
