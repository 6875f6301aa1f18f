import { randomUUID } from 'node:crypto';
import type { Database, Queryable } from '../../src/clients/postgres/database.ts';
import type { NewRun } from '../../src/domain/run.ts';
import { recordRun } from '../../src/ledger/record-run.ts';
import type { ClaimedMessage, MessageRun } from '../../src/ledger/messages.ts';

/** A message as claimed from the ledger, by default a new one. */
export function aMessage(message: Partial<ClaimedMessage> = {}, run: Partial<MessageRun> = {}): ClaimedMessage {
  const createdAt = new Date('2026-11-21T12:00:00Z');
  return {
    runId: '0b5e7d3c-1f2a-4b6c-8d9e-0f1a2b3c4d5e',
    fence: 1,
    interactionId: '500',
    channelId: '400',
    messageId: '',
    ephemeral: false,
    ping: '',
    pinged: false,
    quiet: false,
    tokenRefused: false,
    posts: 0,
    toldRevision: 0,
    toldState: '',
    toldAt: null,
    toldQueue: '',
    inLine: false,
    attempts: 0,
    abandoned: '',
    createdAt,
    claimedAt: createdAt,
    interactionTaken: false,
    revision: 1,
    command: 'plan',
    state: 'queued',
    namespace: 'argo-workflows',
    workflowName: 'plan-20261121-120000-k3x9q2',
    workflowUid: '',
    progress: '',
    reason: '',
    userId: '200000000000000001',
    door: 'discord',
    actor: '',
    retryCount: 0,
    traceparent: '',
    cancelRequested: false,
    canceledBy: '',
    title: '',
    step: '',
    results: [],
    queue: null,
    retryOf: null,
    retriedBy: null,
    acceptedAt: createdAt,
    startedAt: null,
    finishedAt: null,
    approvals: [],
    reflectionsWaiting: 0,
    ...message,
    ...run,
  };
}

/** A run from Discord, recorded with its message. */
export interface ToldRun {
  readonly runId: string;
  readonly interactionId: string;
  readonly name: string;
  readonly deliveryId: string;
}

export async function recordToldRun(db: Database, fields: Partial<NewRun> = {}): Promise<ToldRun> {
  const deliveryId = fields.deliveryId ?? randomUUID();
  const interactionId = fields.message?.interactionId ?? deliveryId;
  const run: NewRun = {
    deliveryId,
    family: 'discord',
    kind: 'command',
    command: 'plan',
    door: 'discord',
    correlationId: deliveryId,
    traceparent: '',
    userId: '200000000000000001',
    guildId: '300000000000000001',
    channelId: '400000000000000001',
    acceptedAt: new Date(),
    plan: {
      namespace: 'argo-workflows',
      workflowTemplate: 'dispatch',
      serviceAccount: '',
      namePrefix: 'plan',
      parameters: {},
      labels: {},
      annotations: {},
    },
    state: 'queued',
    idea: { sourceType: 'discord.command', sourceRef: deliveryId, status: 'received', payload: {} },
    task: { stage: 'plan', metadata: {} },
    runMetadata: {},
    message: { interactionId, ephemeral: false },
    ...fields,
  };
  const { runId, workflowName } = await recordRun(db, { run, claim: true });
  return { runId, interactionId, name: workflowName, deliveryId };
}

/** Changes a run as if there was no room for it: it is due for every submitter. */
export async function letWait(db: Queryable, { runId }: ToldRun): Promise<void> {
  await db.query({
    text: `WITH run AS (UPDATE facteur.runs SET attempts = 0, claims = 0 WHERE run_id = $1)
      UPDATE facteur.open_runs SET line = 'create', claimed_until = NULL, due_at = now() WHERE run_id = $1`,
    values: [runId],
  });
}

/** The current row of the message. */
export async function messageRow(db: Queryable, runId: string): Promise<Readonly<Record<string, unknown>>> {
  const { rows } = await db.query({ text: 'SELECT * FROM facteur.messages WHERE run_id = $1', values: [runId] });
  return rows[0] ?? {};
}
