import { randomUUID } from 'node:crypto';
import { expect } from 'vitest';
import type { Queryable } from '../clients/postgres/database.ts';
import { whileUncommitted } from '../../test/support/lock-waits.ts';
import { newRun } from '../../test/support/runs.ts';
import { addIdea } from './ideas.ts';
import { recordRun } from './record-run.ts';
import { addArtifact, addIdeaCheck, addPolicyCheck, addRunEvent } from './run-reports.ts';
import { addTask } from './tasks.ts';
import { db, test } from '../../test/support/ledger-fixture.ts';

/** Tests that need a server with several connections. */

interface Place {
  readonly runId: string;
  readonly ideaId: string;
}

const CHECK = { checkId: randomUUID(), policyKey: 'p', status: 'pass', evidenceUri: null, metadata: {} };
const IDEA = { sourceType: 't', sourceRef: 'r', priority: 0, status: 'received', riskFlags: {}, payload: {} };
const by = ({ runId }: Place) => ({ runId, onlyRun: runId, actor: 'test' });

const WRITES: readonly [string, (tx: Queryable, place: Place) => Promise<unknown>, object][] = [
  ['an event', (tx, place) => addRunEvent(tx, by(place), { type: 'x', payload: {}, key: 'k' }), { kind: 'unchanged' }],
  [
    'an artifact',
    (tx, place) => addArtifact(tx, by(place), { type: 'x', uri: 's3://x', checksum: null, metadata: {} }),
    { kind: 'unchanged' },
  ],
  ['a check', (tx, place) => addPolicyCheck(tx, by(place), CHECK), { kind: 'unchanged' }],
  ['a check of an idea', (tx, { ideaId }) => addIdeaCheck(tx, ideaId, CHECK), { kind: 'unchanged' }],
  ['an idea', (tx) => addIdea(tx, IDEA), { kind: 'unchanged' }],
  [
    'a task',
    (tx, { ideaId }) =>
      addTask(tx, { ideaId, stage: 'review', state: 'planned', assignee: null, slaDeadline: null, metadata: {} }),
    { kind: 'unchanged' },
  ],
];

async function aRun(): Promise<Place> {
  const { runId } = await recordRun(db, { run: newRun(), claim: false });
  const { rows } = await db.query<Place>({
    text: `SELECT t.id AS "runId", k.idea_id AS "ideaId" FROM codex_kb.task_runs t
      JOIN codex_kb.tasks k ON k.id = t.task_id WHERE t.id = $1`,
    values: [runId],
  });
  return rows[0] as Place;
}

test.each(WRITES)('%s that another request is adding concurrently is added once', async (_what, write, expected) => {
  const at = await aRun();
  const second = await whileUncommitted(
    db,
    (tx) => write(tx, at),
    () => write(db, at),
  );
  expect(second).toMatchObject(expected);
});
