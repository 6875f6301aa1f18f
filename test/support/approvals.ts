import { expect } from 'vitest';
import type { JsonObject } from '../../sandbox/cluster/objects.ts';
import { nodesIn } from '../../sandbox/cluster/workflow-status.ts';
import type { SimulatedCluster } from '../../sandbox/cluster/cluster.ts';
import type { Plan } from '../../sandbox/cluster/plan.ts';
import type { SimulatedDiscord } from '../../sandbox/discord/discord.ts';
import type { SimulatedMessage } from '../../sandbox/discord/message.ts';
import type { Exchange, Who } from '../../sandbox/discord/people.ts';
import { silentLogger } from '../../src/base/logger.ts';
import type { Database, Queryable } from '../../src/clients/postgres/database.ts';
import { createAnnouncements } from '../../src/ledger/due-work.ts';
import type { AppContext } from '../../src/service/context.ts';
import { NAMESPACE, startCluster, TEMPLATE, type Json } from './cluster.ts';
import { openDiscordDoor, OTHER_ROLE, ROLE, type DiscordDoor } from './discord-door.ts';
import { expectRun } from './ledger.ts';
import { forceState } from './runs.ts';
import { readApprovalRules } from '../../src/domain/approval-rules.ts';

/** The requester of the run. */
export const STARTER: Who = { id: '200000000000000001', username: 'sam', roles: [ROLE] };
/** Approvers according to the role map. */
export const ADA: Who = { id: '200000000000000002', username: 'ada', roles: [ROLE] };
export const BOB: Who = { id: '200000000000000003', username: 'bob', roles: [ROLE] };
/** Has another role. */
export const EVE: Who = { id: '200000000000000004', username: 'eve', roles: [OTHER_ROLE] };

const PREFIX = 'facteur.proompteng.ai/';

/** The settings of the waiting step. */
export interface Gate {
  readonly rules?: Readonly<Record<string, string>>;
  /** The parameters that it asks for. */
  readonly asks?: readonly JsonObject[];
  readonly suspend?: JsonObject;
  readonly plan?: Partial<Plan>;
  readonly yaml?: string;
  /** Channels in addition to the one where the run is requested. */
  readonly channels?: readonly string[];
  /** The context of facteur. */
  readonly context?: Partial<AppContext>;
}

/** A template with the steps build, approve and deploy. */
function template({ rules = {}, asks = [], suspend = {} }: Gate): JsonObject {
  const annotations = Object.fromEntries(Object.entries(rules).map(([rule, text]) => [PREFIX + rule, text]));
  const outputs = asks.map(({ name }) => ({ name, valueFrom: { supplied: {} } }));
  const given = asks.map(({ name }) => ({ name, value: `{{steps.approve.outputs.parameters.${String(name)}}}` }));
  return {
    entrypoint: 'main',
    templates: [
      {
        name: 'main',
        steps: [
          [{ name: 'build', template: 'build' }],
          [{ name: 'approve', template: 'gate' }],
          [{ name: 'deploy', template: 'build', arguments: { parameters: given } }],
        ],
      },
      { name: 'build', container: { image: 'none' } },
      {
        name: 'gate',
        annotations,
        suspend,
        ...(asks.length === 0 ? {} : { inputs: { parameters: asks }, outputs: { parameters: outputs } }),
      },
    ],
  };
}

/** A run that waits for approval, and the actions of people. */
export interface AskedRun {
  readonly runId: string;
  readonly workflow: string;
  readonly key: string;
  message(): SimulatedMessage;
  shown(): string;
  press(action: 'approve' | 'reject', who: Who): Promise<Exchange>;
  fillIn(
    action: 'approve' | 'reject',
    who: Who,
    fields: Readonly<Record<string, string | readonly string[]>>,
  ): Promise<Exchange>;
  node(name: string): Json;
}

export interface Waiting extends DiscordDoor, AskedRun {}

/** Starts a run that waits for approval, with a message that shows it. */
export async function waiting(db: Database, gate: Gate = {}): Promise<Waiting> {
  const cluster = await startGatedCluster(gate);
  const yaml = gate.yaml ?? `role_map:\n  plan: ['${ROLE}']\n`;
  const door = await openDiscordDoor({
    db,
    cluster,
    yaml,
    roles: ['http', 'submit', 'follow', 'notify'],
    discord: { channelIds: ['400000000000000001', ...(gate.channels ?? [])] },
    ...(gate.context === undefined ? {} : { context: gate.context }),
  });
  return { ...door, ...(await askedRun({ db, cluster, discord: door.discord })) };
}

/** A cluster with a template that builds, asks and deploys. */
export async function startGatedCluster(gate: Gate = {}): Promise<SimulatedCluster> {
  return startCluster({
    templates: [{ ...TEMPLATE, spec: template(gate) }],
    defaults: { outcome: 'succeed', pendingMs: 0, startMs: 0, stepMs: 0, ...gate.plan },
  });
}

interface AskingWorld {
  readonly db: Queryable;
  readonly cluster: SimulatedCluster;
  readonly discord: SimulatedDiscord;
}

/** Requests a run in Discord, and waits until its message asks for the approval. */
export async function askedRun({ db, cluster, discord }: AskingWorld): Promise<AskedRun> {
  const { people } = discord;
  const { interactionId } = await people.command('plan', [{ name: 'objective', value: 'x' }], STARTER);
  const run = await expectRun(db, interactionId, 'running');
  const { run_id: runId, workflow_name: workflow } = run;
  await expect.poll(() => approvalOf(db, runId)).toMatchObject({ state: 'waiting' });
  const { key } = await approvalOf(db, runId);
  const message = () => discord.messages().find((one) => one.interactionId === interactionId)!;
  const shown = () => message().versions.at(-1)?.content ?? '';
  await expect.poll(shown).toContain('is waiting for approval');
  const id = (action: string) => `facteur:${action}:${runId}:${key}`;
  return {
    runId,
    workflow,
    key,
    message,
    shown,
    press: (action, who) => people.press(message(), id(action), who),
    fillIn: (action, who, fields) => people.submit(id(action), fields, who),
    node: (name) => {
      const { object } = cluster.store.get('workflows', NAMESPACE, workflow);
      return Object.values(nodesIn(object.status ?? {})).find(({ displayName }) => displayName === name);
    },
  };
}

/** The approval's row. */
export async function approvalOf(db: Queryable, runId: string): Promise<Json> {
  const { rows } = await db.query({ text: `SELECT * FROM facteur.approvals WHERE run_id = $1`, values: [runId] });
  return rows[0];
}

/** The approval events of a run, with their actors. */
export async function approvalEventsOf(db: Queryable, runId: string): Promise<readonly string[]> {
  const { rows } = await db.query<{ event: string; actor: string }>({
    text: `SELECT event_type AS event, actor FROM codex_kb.run_events
      WHERE task_run_id = $1 AND event_type LIKE 'approval.%' ORDER BY id`,
    values: [runId],
  });
  return rows.map(({ event, actor }) => `${event} ${actor}`);
}

/** Opens an approval that asks for a version, only in the ledger. The key is derived from the id of the run. */
export async function openApproval(
  db: Queryable,
  runId: string,
  key = runId.replaceAll('-', '').slice(0, 16),
): Promise<void> {
  await forceState(db, runId, 'running');
  const fields = [{ name: 'version', description: '', preset: null, choices: null }];
  const rules = { ...readApprovalRules({}), timeoutOutputs: {} };
  await db.query({
    text: `INSERT INTO facteur.approvals (run_id, key, kind, workflow_uid, node_id, node, template, started_at, fields, rules)
      VALUES ($1, $2, 'node', 'uid', 'id', 'approve', 'gate', '2026-11-28T12:00:00Z', $3, $4)`,
    values: [runId, key, JSON.stringify(fields), JSON.stringify(rules)],
  });
}

/** Makes every approval with a due time due now. */
export async function hurry(db: Queryable): Promise<void> {
  await db.query({ text: 'UPDATE facteur.approvals SET due_at = now() WHERE due_at IS NOT NULL' });
  await createAnnouncements(db, silentLogger).approvalsDue();
}
