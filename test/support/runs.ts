import { randomUUID } from 'node:crypto';
import type { Queryable } from '../../src/clients/postgres/database.ts';
import type { NewRun } from '../../src/domain/run.ts';
import type { RunState } from '../../src/domain/run-state.ts';
import { RUN_MOVES, RUN_STATES } from '../../src/domain/run-state.ts';
import {
  observationOfCreate,
  observeWorkflows,
  type Observation,
  type Observed,
} from '../../src/ledger/observe-workflows.ts';
import { NAMESPACE, TEMPLATE } from './cluster.ts';

/** A valid run, with its own delivery id. */
export function newRun(overrides: Partial<NewRun> = {}): NewRun {
  const deliveryId = overrides.deliveryId ?? randomUUID();
  return {
    deliveryId,
    family: 'command',
    kind: 'command',
    command: 'plan',
    door: 'http',
    correlationId: `corr-${deliveryId}`,
    traceparent: '',
    userId: '',
    guildId: '',
    channelId: '',
    acceptedAt: new Date(),
    state: 'queued',
    plan: {
      namespace: NAMESPACE,
      workflowTemplate: TEMPLATE.name,
      serviceAccount: '',
      namePrefix: 'plan',
      parameters: { action: 'plan' },
      labels: {},
      annotations: {},
    },
    idea: { sourceType: 'discord.command', sourceRef: deliveryId, status: 'received', payload: {} },
    task: { stage: 'plan', metadata: {} },
    runMetadata: {},
    ...overrides,
  };
}

/** Records an observation of a run's workflow, by default with the uid `uid-<runId>`. */
export async function observeRun(
  db: Queryable,
  runId: string,
  fields: Partial<Observation> = {},
): Promise<Observed | undefined> {
  const { rows } = await db.query<{ namespace: string; workflowName: string; deliveryId: string }>({
    text: `SELECT namespace, workflow_name AS "workflowName", delivery_id AS "deliveryId"
      FROM facteur.runs WHERE run_id = $1`,
    values: [runId],
  });
  const [run] = rows;
  const created = run && observationOfCreate(run, { ...run, workflowUid: `uid-${runId}` });
  return created && (await observeWorkflows(db, [{ ...created, ...fields }]))[0];
}

/** Records the creation of the run's workflow, like the submitter. */
export const submitRun = (db: Queryable, runId: string, uid = `uid-${runId}`): Promise<Observed | undefined> =>
  observeRun(db, runId, { uid });

/**
 * Puts a recorded run into a state, with the previous state from the shortest path of the state machine. It is one
 * statement, because a submitter may record the workflow at the same time.
 */
export async function forceState(db: Queryable, runId: string, state: RunState): Promise<void> {
  const before = wayTo(state).at(-2) ?? null;
  await db.query({
    text: `WITH moved AS (
        UPDATE facteur.runs SET previous_state = $3, state = $2 WHERE run_id = $1 RETURNING state IN ('submitted', 'running') AS is_live
      ), closed AS (
        DELETE FROM facteur.open_runs USING moved WHERE run_id = $1 AND NOT is_live AND $2 <> 'queued'
      )
      INSERT INTO facteur.open_runs (run_id, line, in_cluster) SELECT $1, 'create', true FROM moved WHERE is_live
      ON CONFLICT (run_id) DO UPDATE SET in_cluster = true, due_at = NULL, claimed_until = NULL`,
    values: [runId, state, before],
  });
}

/** The shortest path from `queued` to `state`, both included. */
function wayTo(state: RunState, known: readonly RunState[][] = [['queued']]): readonly RunState[] {
  const arrived = known.find((way) => way.at(-1) === state);
  if (arrived !== undefined) {
    return arrived;
  }
  const further = known.flatMap((way) =>
    RUN_STATES.filter((next) => (RUN_MOVES[way.at(-1) ?? 'queued'] as readonly RunState[]).includes(next)).map(
      (next) => [...way, next],
    ),
  );
  return wayTo(state, further);
}
