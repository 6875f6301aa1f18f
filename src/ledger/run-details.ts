import { traceIdOf } from '../base/traceparent.ts';
import type { Queryable } from '../clients/postgres/database.ts';
import { deliveryKey } from '../domain/delivery.ts';
import { messageUrl } from '../presentation/message-url.ts';
import type { WorkflowPlan } from '../domain/workflow-plan.ts';
import type { RunPages } from '../domain/run-pages.ts';
import { endedWithoutWorkflow } from '../domain/run-state.ts';
import type { Approval } from '../domain/approval.ts';
import { listApprovals } from './approvals.ts';
import { listRunEvents, RUN_COLUMNS, type RunEvent, type RunView } from './find-runs.ts';

/** What a run requests from the cluster. */
interface RunRequest {
  readonly workflowTemplate: string;
  readonly serviceAccount: string;
  readonly parameters: Readonly<Record<string, string>>;
}

/** Everything that the ledger knows about a run. */
export interface RunDetails extends RunView {
  /** Null once the run is archived. */
  readonly request: RunRequest | null;
  /** Its open approvals, oldest first. */
  readonly approvals: readonly Approval[];
  /** Oldest first. */
  readonly events: readonly RunEvent[];
  /** The run that retries this one, or empty. */
  readonly retriedBy: string;
  /** The trace id, 32 hex digits; empty if unknown. */
  readonly traceId: string;
  readonly links: {
    /** The workflow's page in the Argo UI; absent for a run that never had a workflow. */
    readonly workflow?: string | undefined;
    /** The run's message in Discord, if everybody in the channel can see it. */
    readonly message?: string | undefined;
    readonly trace?: string | undefined;
  };
}

interface DetailsRow extends RunView {
  readonly plan: WorkflowPlan | null;
  readonly retriedBy: string;
  readonly traceparent: string;
  readonly guildId: string;
  readonly channelId: string;
  readonly messageId: string;
}

/** More than a workflow ever has. */
const MAX_APPROVALS = 100;

/** Suffixes of retry ids. A withdrawn retry keeps its id, so the next one needs another; more than this are very rare. */
const RETRIES = ['', ':2', ':3', ':4'];

/**
 * All details of a run by its id, or undefined.
 *
 * @param onlyRun the only run that the caller may see; null if it may see all
 */
export async function readRunDetails(
  db: Queryable,
  runId: string,
  { onlyRun, pages }: { readonly onlyRun: string | null; readonly pages: RunPages },
): Promise<RunDetails | undefined> {
  const { rows } = await db.query<DetailsRow>({
    name: 'read-run-details',
    text: `SELECT ${RUN_COLUMNS}, plan, traceparent, guild_id AS "guildId", coalesce(shown.channel_id, '') AS "channelId",
        coalesce(shown.message_id, '') AS "messageId", coalesce((
          SELECT run_id::text FROM facteur.runs WHERE delivery_key = ANY($3) AND NOT withdrawn LIMIT 1), '') AS "retriedBy"
      FROM facteur.runs LEFT JOIN (
        SELECT run_id AS shown_run, channel_id, message_id FROM facteur.messages WHERE NOT ephemeral
      ) AS shown ON shown_run = run_id
      WHERE run_id = $1 AND ($2::uuid IS NULL OR run_id = $2)`,
    values: [runId, onlyRun, RETRIES.map((end) => deliveryKey('derived', `retry:${runId}${end}`))],
  });
  const [row] = rows;
  if (row === undefined) {
    return undefined;
  }
  const { plan, traceparent, guildId, channelId, messageId, retriedBy, ...run } = row;
  return {
    ...run,
    request: plan === null ? null : requestOf(plan),
    approvals: (await listApprovals(db, { runId, states: ['waiting'], limit: MAX_APPROVALS })).rows,
    events: await listRunEvents(db, runId),
    retriedBy,
    traceId: traceIdOf(traceparent),
    links: {
      workflow: endedWithoutWorkflow(run.state) ? undefined : pages.workflow(run),
      message: messageUrl({ guildId, channelId, messageId }),
      trace: pages.trace(traceparent),
    },
  };
}

function requestOf({ workflowTemplate, serviceAccount, parameters }: WorkflowPlan): RunRequest {
  return { workflowTemplate, serviceAccount, parameters };
}
