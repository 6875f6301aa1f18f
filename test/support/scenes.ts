import type { Queryable } from '../../src/clients/postgres/database.ts';
import { readApprovalRules } from '../../src/domain/approval-rules.ts';
import type { NewRun } from '../../src/domain/run.ts';
import type { RunState } from '../../src/domain/run-state.ts';
import { recordRun } from '../../src/ledger/record-run.ts';
import { keepDeadLetter, recordRefusal } from '../../src/ledger/unprocessed.ts';
import { ANONYMOUS } from '../../src/domain/command.ts';
import { forceState, newRun } from './runs.ts';

/** The time at which terminals show the ledger of {@link fillLedger}. */
export const SCENE_TIME = new Date('2026-11-28T12:10:00Z');

const ago = (seconds: number): Date => new Date(SCENE_TIME.getTime() - seconds * 1000);

/** A run of a scene: its names, and its differences from a new run. */
interface SceneRun {
  readonly id: string;
  readonly workflow: string;
  readonly new: Partial<NewRun>;
  readonly template: string;
  readonly parameters: Readonly<Record<string, string>>;
  readonly state: RunState;
  readonly columns: Readonly<Record<string, string | Date>> & { readonly accepted_at: Date };
}

const TRACE = '00-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-01';
const FAILED = 'c58e2f74-9d3a-4b16-8f0c-1a2b3c4d5e6f';
const RUNNING = '0b5e7d3c-1f2a-4b6c-8d9e-0f1a2b3c4d5e';
const SAM = '200000000000000001';

const RUNS: readonly SceneRun[] = [
  {
    id: RUNNING,
    workflow: 'plan-20261128-120755-4f9a1c',
    template: 'plan',
    parameters: { action: 'plan', objective: 'Ship the sandbox' },
    state: 'running',
    new: {
      deliveryId: '1300000000000000001',
      title: 'Ship the sandbox',
      door: 'discord',
      family: 'discord',
      userId: SAM,
    },
    columns: { progress: '3/7', started_at: ago(122), accepted_at: ago(125) },
  },
  {
    id: '9a61c254-a07f-4ebd-8c15-3c4d5e6f7081',
    workflow: 'plan-20261128-120920-7be2d0',
    template: 'plan',
    parameters: { action: 'plan' },
    state: 'queued',
    new: { deliveryId: 'kafka-7', door: 'kafka' },
    columns: { accepted_at: ago(40) },
  },
  {
    id: FAILED,
    workflow: 'github-codex-implementation-20261127-111000-k2m9xq',
    template: 'github-codex-implementation',
    parameters: { head: 'codex/issue-12', base: 'main' },
    state: 'failed',
    new: {
      deliveryId: 'b1946ac9-2493-4d2e-8d1c-000000000042',
      family: 'codex',
      kind: 'codex',
      command: 'implementation',
      title:
        'proompteng/lab#12: 東京のデプロイ手順を直し、そのあとで全部の説明書も書き直す 👩‍🚀 and then some more words',
      traceparent: TRACE,
    },
    columns: {
      accepted_at: ago(90_000),
      started_at: ago(89_990),
      finished_at: ago(86_000),
      reason: 'build: Error (exit code 2)',
      workflow_uid: '7a1c0000-0000-4000-8000-000000000000',
    },
  },
  {
    id: 'd69f3085-ae4b-4c27-9a1d-2b3c4d5e6f70',
    workflow: 'evil-20261128-120957-0a0a0a',
    template: 'plan',
    parameters: { action: 'plan', objective: 'evil\u001b[2J\u202e' },
    state: 'succeeded',
    new: { deliveryId: 'd69', title: 'evil\u001b[2J\u202e', door: 'api', family: 'api' },
    columns: { accepted_at: ago(3), started_at: ago(2), finished_at: ago(1) },
  },
  {
    id: 'e7a04196-bf5c-4d38-8b2e-3c4d5e6f7081',
    workflow: 'deploy-20261125-121000-5d6e7f',
    template: 'deploy',
    parameters: { action: 'deploy', environment: 'production' },
    state: 'canceled',
    new: { deliveryId: 'e7a', command: 'deploy', title: 'production', door: 'cli', userId: SAM },
    columns: {
      accepted_at: ago(259_200),
      started_at: ago(259_190),
      finished_at: ago(259_000),
      cancel_requested_by: 'ada (command line)',
    },
  },
  {
    id: 'f8b152a7-c06d-4e49-9c3f-4d5e6f708192',
    workflow: 'github-codex-implementation-20261128-120500-p4q5r6',
    template: 'github-codex-implementation',
    parameters: { head: 'codex/issue-12', base: 'main' },
    state: 'running',
    new: {
      deliveryId: `retry:${FAILED}`,
      family: 'derived',
      kind: 'codex',
      command: 'implementation',
      title: 'proompteng/lab#12: 東京のデプロイ手順を直し',
      retryOf: FAILED,
    },
    columns: { accepted_at: ago(300), started_at: ago(295), progress: '2/3' },
  },
];

/** The names of runs in the ledger, and those in the scenes. Both have the same length. */
export type Renamed = readonly (readonly [string, string])[];

/** Fills the ledger with runs in several states, approvals, refusals and dead letters. */
export async function fillLedger(db: Queryable): Promise<Renamed> {
  const renamed = new Map<string, string>();
  for (const run of RUNS) {
    const retryOf = [...renamed].find(([, shown]) => shown === run.new.retryOf)?.[0];
    const deliveryId = retryOf === undefined ? run.new.deliveryId : `retry:${retryOf}`;
    const { runId, workflowName } = await recordRun(db, {
      run: newRun({
        ...run.new,
        deliveryId: deliveryId ?? '',
        plan: { ...newRun().plan, workflowTemplate: run.template, parameters: run.parameters },
        ...(retryOf === undefined ? {} : { retryOf }),
      }),
      claim: true,
    });
    await forceState(db, runId, run.state);
    for (const [column, value] of Object.entries({ ...run.columns, workflow_name: run.workflow })) {
      await db.query({ text: `UPDATE facteur.runs SET ${column} = $2 WHERE run_id = $1`, values: [runId, value] });
    }
    await tellHistory(db, runId, run);
    renamed.set(runId, run.id).set(workflowName, run.workflow);
  }
  const [running = ''] = renamed.keys();
  await askApproval(db, running);
  await refuse(db);
  const short = [...renamed].filter((_, index) => index % 2 === 0);
  return [...renamed, ...short.map(([real, shown]) => [real.slice(0, 8), shown.slice(0, 8)] as const)];
}

type History = readonly (readonly [at: Date | string | undefined, type: string, actor: string, payload: object])[];

/** Writes the events that lead to the run's state. */
async function tellHistory(
  db: Queryable,
  runId: string,
  { id, state, new: { door }, columns }: SceneRun,
): Promise<void> {
  await db.query({ text: 'DELETE FROM codex_kb.run_events WHERE task_run_id = $1', values: [runId] });
  const { accepted_at: accepted, started_at: started, finished_at: finished, reason } = columns;
  const events: History = [
    [accepted, 'state.change', 'facteur', { to: 'queued', door: door ?? 'http' }],
    [started && new Date(accepted.getTime() + 1000), 'state.change', 'facteur', { from: 'queued', to: 'submitted' }],
    [started, 'state.change', 'facteur', { from: 'submitted', to: 'running' }],
    [id === FAILED ? ago(86_400) : undefined, 'tests.failed', 'run', { count: 2 }],
    [id === RUNNING ? ago(100) : undefined, 'approval.requested', 'facteur', { node: 'approve' }],
    [id === RUNNING ? ago(50) : undefined, 'approval.voted', 'ada', { node: 'approve' }],
    [state === 'canceled' ? ago(259_002) : undefined, 'cancel.requested', 'ada (command line)', {}],
    [finished, 'state.change', 'facteur', { from: 'running', to: state, ...(reason === undefined ? {} : { reason }) }],
  ];
  for (const [at, type, actor, payload] of events.filter(([when]) => when !== undefined)) {
    await db.query({
      text: `INSERT INTO codex_kb.run_events (task_run_id, event_type, actor, payload, emitted_at) VALUES ($1, $2, $3, $4, $5)`,
      values: [runId, type, actor, JSON.stringify(payload), at],
    });
  }
}

const APPROVAL = {
  'facteur.proompteng.ai/approval-message': 'Roll out to production?',
  'facteur.proompteng.ai/quorum': '2',
};

async function askApproval(db: Queryable, runId: string): Promise<void> {
  const rules = { ...readApprovalRules(APPROVAL), timeoutOutputs: {} };
  const fields = [{ name: 'version', description: '', preset: null, choices: ['v1.2', 'v1.3'] }];
  const votes = { '200000000000000002': { name: 'ada', at: ago(50).toISOString() } };
  for (const [key, node, state, decidedBy] of [
    ['0001', 'approve', 'waiting', ''],
    ['0002', 'check-budget', 'approved', 'bob'],
  ]) {
    await db.query({
      text: `INSERT INTO facteur.approvals (run_id, key, kind, workflow_uid, node_id, node, template, started_at, fields, rules, state,
          requested_at, expires_at, votes, decided_by, decided_at)
        VALUES ($1, $2, 'node', 'uid', $2, $3, 'gate', '2026-11-28T12:08:20Z', $4, $5, $6, $7, $8, $9, $10, $11)`,
      values: [
        runId,
        key,
        node,
        JSON.stringify(fields),
        JSON.stringify(rules),
        state,
        ago(100),
        ago(-3300),
        JSON.stringify(votes),
        decidedBy,
        decidedBy === '' ? null : ago(20),
      ],
    });
  }
}

async function refuse(db: Queryable): Promise<void> {
  for (const table of ['dead_letters', 'refusals']) {
    await db.query({ text: `SELECT setval(pg_get_serial_sequence('facteur.${table}', 'id'), 16)` });
  }
  await keepDeadLetter(db, {
    door: 'kafka',
    deliveryId: 'discord.commands.incoming/3/1042',
    reason: 'forbidden: /plan is for the roles 500000000000000001 and 500000000000000002',
    attempts: 1,
    headers: { 'content-type': 'application/json', 'x-note': 'evil\u001b[2J' },
    body: Buffer.from('{"command":"plan","options":{"objective":"Ship it"}}'),
  });
  await keepDeadLetter(db, {
    door: 'http',
    deliveryId: 'b1946ac9-2493-4d2e-8d1c-000000000043',
    reason: 'invalid payload: not a CodexTask in protobuf',
    attempts: 1,
    headers: { ':path': '/codex/tasks' },
    body: Buffer.from([10, 2, 8, 1]),
  });
  const request = { door: 'discord', deliveryId: '1300000000000000009', name: 'deploy' } as const;
  const principal = { ...ANONYMOUS, userId: SAM };
  await recordRefusal(
    db,
    { ...request, principal },
    'forbidden: /deploy is for the roles 500000000000000001 and 500000000000000002',
  );
  await recordRefusal(db, { ...request, door: 'http', name: 'plna', principal: ANONYMOUS }, 'unknown command');
  await db.query({ text: 'UPDATE facteur.dead_letters SET created_at = $1', values: [ago(7200)] });
  await db.query({ text: 'UPDATE facteur.refusals SET created_at = $1', values: [ago(90)] });
}
