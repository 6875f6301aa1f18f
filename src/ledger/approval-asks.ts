import type { Queryable } from '../clients/postgres/database.ts';
import type { Approval } from '../domain/approval.ts';
import { claimedOf, type ClaimRow } from './due-work.ts';

/** How long one process owns a claimed message, in seconds: longer than a request to Discord takes. */
const CLAIM_SECONDS = 30;

/** A message that asks for an approval and is due to be posted or updated, claimed by this process for a while. */
export interface ClaimedAsk extends Pick<
  Approval,
  'runId' | 'key' | 'node' | 'rules' | 'state' | 'votes' | 'verdict' | 'decidedBy' | 'problem' | 'command' | 'expiresAt'
> {
  /** The fence: a late process finds a different number in the row. */
  readonly fence: number;
  readonly channelId: string;
  /** Empty until it is posted. */
  readonly messageId: string;
  /** Who requested the run, or empty. */
  readonly userId: string;
  /** Time since the approval was first seen, in milliseconds. */
  readonly ageMs: number;
}

interface ClaimedAsks {
  readonly asks: readonly ClaimedAsk[];
  /** Milliseconds until the next message is due; undefined if none is. */
  readonly nextInMs: number | undefined;
}

const CLAIM = `
WITH due AS (
  SELECT run_id, key FROM facteur.approvals WHERE ask_at <= now() ORDER BY ask_at LIMIT $1 FOR NO KEY UPDATE SKIP LOCKED
), claimed AS (
  UPDATE facteur.approvals AS a SET ask_claims = a.ask_claims + 1, ask_at = now() + make_interval(secs => $2)
  FROM due JOIN facteur.runs AS runs ON runs.run_id = due.run_id
  WHERE a.run_id = due.run_id AND a.key = due.key
  RETURNING a.run_id AS "runId", a.key, a.node, a.rules, a.state, a.votes, a.verdict, a.decided_by AS "decidedBy", a.problem,
    a.expires_at AS "expiresAt", runs.command, a.ask_claims AS fence, a.ask_channel AS "channelId",
    a.ask_message AS "messageId", runs.user_id AS "userId",
    (extract(epoch FROM now() - a.requested_at) * 1000)::float8 AS "ageMs"
), next AS (
  SELECT (extract(epoch FROM min(ask_at) - now()) * 1000)::float8 AS "nextInMs" FROM facteur.approvals WHERE ask_at > now()
)
SELECT next.*, claimed.* FROM next LEFT JOIN claimed ON true`;

/** Claims up to `limit` due messages; other processes skip them until the claim expires. */
export async function claimDueAsks(db: Queryable, limit: number): Promise<ClaimedAsks> {
  const { rows } = await db.query<ClaimRow<ClaimedAsk>>({
    name: 'claim-due-asks',
    text: CLAIM,
    values: [limit, CLAIM_SECONDS],
  });
  const { claimed: asks, nextInMs } = claimedOf(rows);
  return { asks, nextInMs };
}

/**
 * Releases a claimed message. It stays due if the approval has changed since the claim.
 *
 * @param retryInMs delay before the next attempt; undefined if the message shows the claimed state, or can never be sent
 */
export async function releaseAsk(
  db: Queryable,
  { runId, key, fence, state }: ClaimedAsk,
  { messageId, retryInMs }: { readonly messageId: string; readonly retryInMs: number | undefined },
): Promise<void> {
  await db.query({
    name: 'release-ask',
    text: `UPDATE facteur.approvals SET ask_message = $4,
        ask_at = CASE WHEN $6::float8 IS NOT NULL THEN now() + make_interval(secs => $6::float8)
          WHEN state <> $5 AND ($4 <> '' OR state = 'waiting') THEN now() END
      WHERE run_id = $1 AND key = $2 AND ask_claims = $3`,
    values: [runId, key, fence, messageId, state, retryInMs === undefined ? null : retryInMs / 1000],
  });
}
