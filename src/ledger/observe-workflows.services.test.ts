import { describe, expect } from 'vitest';
import { silentLogger } from '../base/logger.ts';
import type { Database, Queryable } from '../clients/postgres/database.ts';
import { whileUncommitted } from '../../test/support/lock-waits.ts';
import { forceState, newRun, observeRun, submitRun } from '../../test/support/runs.ts';
import { ObservationWriter } from './observation-writer.ts';
import { observationOfCreate } from './observe-workflows.ts';
import { recordRun } from './record-run.ts';
import { archiveRuns } from './retention.ts';
import { addArtifact, addPolicyCheck, addRunEvent, putRunMetrics, saveReflection } from './run-reports.ts';
import type { Reporter } from './write-report.ts';
import { database, test } from '../../test/support/ledger-fixture.ts';

/** Tests that need a server with several connections. */

const { db } = database;

test('keeps details observed while the submission is being recorded', async () => {
  const { runId } = await recordRun(db, { run: newRun(), claim: true });
  const observed = await whileUncommitted(
    db,
    (tx) => submitRun(tx, runId),
    () => observeRun(db, runId, { version: 1n, step: 'Workflow processing has been postponed' }),
  );
  expect(observed).toMatchObject({ from: 'submitted', to: 'submitted', effect: 'updated' });
});

describe('while a run is being archived', () => {
  /** A run that failed long ago. */
  async function oldRun(): Promise<{
    readonly runId: string;
    readonly deliveryId: string;
    readonly workflowName: string;
  }> {
    const run = newRun();
    const { runId, workflowName } = await recordRun(db, { run, claim: true });
    await submitRun(db, runId);
    await forceState(db, runId, 'failed');
    await db.query({
      text: `UPDATE facteur.runs SET (accepted_at, updated_at) = ('2020-01-01', '2020-01-01') WHERE run_id = $1`,
      values: [runId],
    });
    return { runId, workflowName, deliveryId: run.deliveryId };
  }

  const archive = (tx: Queryable) => archiveOld({ transaction: (work) => work(tx) });
  const archiveOld = (own: Pick<Database, 'transaction'> = db) => archiveRuns(own, { olderThanSeconds: 60, limit: 10 });

  test.each([1, 2])('records a retry of it by Argo, in a batch of %i', async (size) => {
    const retried = await oldRun();
    const other = newRun();
    const begun = await recordRun(db, { run: other, claim: true });
    await submitRun(db, begun.runId);
    const { namespace } = other.plan;
    const seen = [
      { runId: retried.runId, deliveryId: retried.deliveryId, workflowName: retried.workflowName },
      { runId: begun.runId, deliveryId: other.deliveryId, workflowName: begun.workflowName },
    ].map(({ runId, deliveryId, workflowName }) => ({
      ...observationOfCreate({ namespace, deliveryId }, { workflowName, workflowUid: `uid-${runId}` }),
      state: 'running' as const,
    }));
    const writer = new ObservationWriter({
      ...{ db, logger: silentLogger, random: () => 0, signal: new AbortController().signal, durability: 'durable' },
    });
    const observed = await whileUncommitted(db, archive, () => writer.write(seen.slice(0, size)));
    expect(observed?.map(({ to }) => to)).toEqual(Array.from({ length: size }, () => 'running'));
    const { rows } = await db.query({
      text: 'SELECT state, plan IS NULL AS archived FROM facteur.runs ORDER BY accepted_at',
    });
    expect(rows[0]).toEqual({ state: 'running', archived: true });
  });

  const METRICS = { queueLatencyMs: 1, runtimeMs: undefined, retryLatencyMs: undefined, resourceUsage: undefined };
  const CHECK = { checkId: '00000000-0000-4000-8000-000000000000', policyKey: 'x', status: 'pass', evidenceUri: null };
  const REFLECTION = { type: 'lesson', content: 'x', embedding: null, embeddingVersion: null };
  const metadata = {};

  test('keeps a reflection on it that is being written', async () => {
    const { runId } = await oldRun();
    const reporter = { runId, onlyRun: null, actor: 'test' };
    await db.transaction(async (tx) => {
      await saveReflection(tx, reporter, { ...REFLECTION, metadata });
      expect(await archiveOld()).toMatchObject({ seen: 0, archived: 0 });
    });
    const { rowCount } = await db.query({ text: 'SELECT FROM codex_kb.reflections' });
    expect(rowCount).toBe(1);
    expect(await archiveOld()).toMatchObject({ seen: 1, archived: 0 });
  });

  test('a report on it does not find the run', async () => {
    const reports: readonly ((reporter: Reporter) => Promise<unknown>)[] = [
      (reporter) => addRunEvent(db, reporter, { type: 'x', payload: {}, key: '' }),
      (reporter) => addArtifact(db, reporter, { type: 'x', uri: 's3://x', checksum: null, metadata }),
      (reporter) => saveReflection(db, reporter, { ...REFLECTION, metadata }),
      (reporter) => addPolicyCheck(db, reporter, { ...CHECK, metadata }),
    ];
    for (const report of reports) {
      const { runId } = await oldRun();
      const written = await whileUncommitted(db, archive, () => report({ runId, onlyRun: null, actor: 'test' }));
      expect(written).toEqual({ kind: 'not_found' });
    }
    const { runId } = await oldRun();
    const reporter = { runId, onlyRun: null, actor: 'test' };
    expect(await whileUncommitted(db, archive, () => putRunMetrics(db, reporter, METRICS))).toBeUndefined();
  });
});
