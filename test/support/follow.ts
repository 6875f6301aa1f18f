import { randomUUID } from 'node:crypto';
import { expect, onTestFinished, vi } from 'vitest';
import { silentLogger } from '../../src/base/logger.ts';
import type { ArgoClient } from '../../src/clients/argo/workflows.ts';
import type { Database, DatabaseError, Statement } from '../../src/clients/postgres/database.ts';
import { workflowManifest } from '../../src/domain/workflow-manifest.ts';
import type { NewRun } from '../../src/domain/run.ts';
import type { WorkflowPlan } from '../../src/domain/workflow-plan.ts';
import { RUN_MOVES, type RunState } from '../../src/domain/run-state.ts';
import type { FollowTimings } from '../../src/follow/deps.ts';
import { Follower, type FollowerDeps } from '../../src/follow/follower.ts';
import { recordRun } from '../../src/ledger/record-run.ts';
import type { SimulatedCluster, SimulatedClusterOptions } from '../../sandbox/cluster/cluster.ts';
import { clientFor, NAMESPACE, startCluster, TEMPLATE } from './cluster.ts';
import { submitRun } from './runs.ts';

/** A run of a test, in the ledger. */
export interface TestRun {
  readonly runId: string;
  readonly deliveryId: string;
  readonly name: string;
  readonly plan: WorkflowPlan;
}

/** Records a queued run. `simulate` tells the simulated cluster what to do with its workflow. */
export async function recordTestRun(db: Database, simulate = '', namespace = NAMESPACE): Promise<TestRun> {
  const deliveryId = randomUUID();
  const plan: WorkflowPlan = {
    namespace,
    workflowTemplate: TEMPLATE.name,
    serviceAccount: '',
    namePrefix: 'plan',
    parameters: simulate === '' ? {} : { simulate },
    labels: {},
    annotations: {},
  };
  const run: NewRun = {
    deliveryId,
    family: 'command',
    kind: 'command',
    command: 'plan',
    door: 'http',
    correlationId: deliveryId,
    traceparent: '',
    userId: 'u',
    guildId: '',
    channelId: '',
    acceptedAt: new Date(),
    plan,
    state: 'queued',
    idea: { sourceType: 'test', sourceRef: deliveryId, status: 'received', payload: {} },
    task: { stage: 'plan', metadata: {} },
    runMetadata: {},
  };
  const receipt = await recordRun(db, { run, claim: true });
  return { runId: receipt.runId, deliveryId, name: receipt.workflowName, plan };
}

/** Creates the run's workflow without recording it in the ledger, and returns its uid. */
export async function createWorkflowOf(run: TestRun, workflows: ArgoClient): Promise<string> {
  const identity = { runId: run.runId, deliveryId: run.deliveryId, workflowName: run.name, traceparent: '' };
  const created = await workflows.createWorkflow(run.plan.namespace, workflowManifest(run.plan, identity));
  return created.metadata?.uid ?? '';
}

/** Records a run and submits it, like the submitter. */
export async function submitTestRun(
  db: Database,
  workflows: ArgoClient,
  simulate = '',
  namespace = NAMESPACE,
): Promise<TestRun & { readonly uid: string }> {
  const run = await recordTestRun(db, simulate, namespace);
  const uid = await createWorkflowOf(run, workflows);
  await submitRun(db, run.runId, uid);
  return { ...run, uid };
}

/** Short enough for tests; everything else is as in production. */
export const TEST_TIMINGS: Partial<FollowTimings> = { flushMs: 10, watchMs: 5000, graceMs: 1000, settledMs: 0 };

/** A started follower that is stopped when the test ends. */
export function startFollower(deps: Pick<FollowerDeps, 'db' | 'workflows'> & Partial<FollowerDeps>): Follower {
  const follower = new Follower({
    labelOf: (command) => command,
    logger: silentLogger,
    random: () => 0.5,
    namespaces: [NAMESPACE],
    holder: randomUUID(),
    ...deps,
    timings: { ...TEST_TIMINGS, ...deps.timings },
  });
  onTestFinished(() => follower.stop());
  follower.start();
  return follower;
}

export interface StoredRun {
  readonly state: RunState;
  readonly reason: string;
  readonly progress: string;
  readonly retry_count: number;
  readonly revision: number;
  readonly workflow_uid: string | null;
}

export async function storedRun(db: Database, run: TestRun): Promise<StoredRun> {
  const { rows } = await db.query<StoredRun>({
    text: 'SELECT state, reason, progress, retry_count, revision, workflow_uid FROM facteur.runs WHERE run_id = $1',
    values: [run.runId],
  });
  return rows[0]!;
}

/** Waits until the run is in this state. */
export async function expectState(db: Database, run: TestRun, state: RunState, timeout = 90_000): Promise<StoredRun> {
  await expect.poll(async () => (await storedRun(db, run)).state, { timeout, interval: 20 }).toBe(state);
  return storedRun(db, run);
}

/** The run's states in order. Checks that each move is valid. */
export async function statesOf(db: Database, run: TestRun): Promise<RunState[]> {
  const { rows } = await db.query<{ from: RunState | null; to: RunState }>({
    text: `SELECT payload->>'from' AS from, payload->>'to' AS to FROM codex_kb.run_events
      WHERE task_run_id = $1 AND event_type = 'state.change' ORDER BY id`,
    values: [run.runId],
  });
  for (const [index, { from, to }] of rows.entries()) {
    expect(from).toBe(rows[index - 1]?.to ?? null);
    expect(from === null ? ['queued'] : RUN_MOVES[from]).toContain(to);
  }
  return rows.map(({ to }) => to);
}

/** Removes all runs and leases: each test starts with an empty ledger. */
export async function emptyLedger(db: Database): Promise<void> {
  await db.query({ text: 'TRUNCATE facteur.runs, facteur.leases, codex_kb.ideas CASCADE' });
}

export interface Following {
  readonly cluster: SimulatedCluster;
  readonly workflows: ArgoClient;
  submit(simulate?: string, namespace?: string): Promise<TestRun & { readonly uid: string }>;
  /** Ends the run's workflow at once. */
  finish(run: TestRun, phase?: 'Succeeded' | 'Failed' | 'Error'): void;
  /** Deletes the run's workflow. */
  remove(run: TestRun): void;
}

/** A cluster in which workflows run until the test ends them, and a client for it. */
export async function setUpFollowing(db: Database, options: SimulatedClusterOptions = {}): Promise<Following> {
  const cluster = await startCluster({ defaults: { outcome: 'hang', at: 1, pendingMs: 5, startMs: 5 }, ...options });
  const workflows = clientFor(cluster.url);
  return {
    cluster,
    workflows,
    submit: (simulate = '', namespace = NAMESPACE) => submitTestRun(db, workflows, simulate, namespace),
    finish: ({ name, plan: { namespace } }, phase = 'Succeeded') => {
      cluster.faults.apply({ op: 'finish', namespace, name, phase });
    },
    remove: ({ name, plan: { namespace } }) => {
      cluster.faults.apply({ op: 'delete', namespace, name });
    },
  };
}

/** How many requests of this kind the cluster has had. */
export function requests(cluster: SimulatedCluster, verb: 'list' | 'watch' | 'get'): number {
  return (cluster.state()['requests'] as Record<string, number>)[verb] ?? 0;
}

/** Waits until the cluster has a watch. */
export async function expectWatching(cluster: SimulatedCluster): Promise<void> {
  await vi.waitFor(() => expect(cluster.state()['watchers']).toBe(1));
}

/** The database, but every statement is passed to `judge` first, and fails with the error that it returns. */
export function judged(db: Database, judge: (statement: Statement) => DatabaseError | undefined): Database {
  return {
    query: async (statement) => {
      const error = judge(statement);
      if (error !== undefined) {
        throw error;
      }
      return db.query(statement);
    },
    transaction: (work) => db.transaction(work),
    session: (work) => db.session(work),
    ping: () => db.ping(),
    listen: (channel, handler) => db.listen(channel, handler),
    close: () => db.close(),
  };
}
