import type { Database, Queryable, Result, Statement } from '../clients/postgres/database.ts';
import { VERSION } from './reviewed-reflections.ts';

/** A reflection that waits for a decision, with its origin according to the ledger. */
interface WaitingReflection extends WaitingPlace {
  /** Empty for a run unknown to facteur. */
  readonly runState: string;
  readonly kind: string;
  readonly repository: string;
  readonly askedBy: string;
  /** The states of the reflections that its run received. */
  readonly inherited: readonly string[];
}

/** Decisions of facteur, which it may change; people's decisions stay. */
const BY_FACTEUR = `decided_by IN ('', 'facteur')`;

/**
 * The number of reflections per page. Every run that may receive some reads pages of waiting ones, so the number must not grow
 * with the ledger.
 */
const PAGE = 500;

/** The end of a page. */
export interface WaitingPlace {
  /** As printed by PostgreSQL: a JavaScript date has no microseconds. */
  readonly updatedAt: string;
  readonly reflectionId: string;
}

/** Before the newest reflection. */
const START: WaitingPlace = { updatedAt: 'infinity', reflectionId: '00000000-0000-0000-0000-000000000000' };

/**
 * One page of the undecided reflections of a repository, newest first, after `after`. A page that is not full is the last one.
 */
export async function waitingReflections(
  db: Queryable,
  repository: string,
  after = START,
): Promise<{ readonly page: readonly WaitingReflection[]; readonly isFull: boolean }> {
  const waits = `SELECT reflection_id, repository, updated_at FROM facteur.reflection_standing
    WHERE state = 'quarantined' AND ${BY_FACTEUR} AND repository = lower($1)`;
  const { rows } = await db.query<WaitingReflection>({
    name: 'waiting-reflections',
    // Each part starts reading the index at its own beginning; a single condition for both would start at the newest.
    text: `SELECT s.reflection_id AS "reflectionId", s.updated_at::text AS "updatedAt", coalesce(f.state, '') AS "runState",
        coalesce(f.kind, '') AS kind, s.repository, coalesce(x.asked_by, '') AS "askedBy", ARRAY(
          SELECT p.state FROM facteur.reflection_uses u JOIN facteur.reflection_standing p USING (reflection_id)
          WHERE u.run_id = r.task_run_id) AS inherited
      FROM (
        (${waits} AND updated_at = $2::timestamptz AND reflection_id > $3 ORDER BY reflection_id LIMIT ${PAGE})
        UNION ALL
        (${waits} AND updated_at < $2::timestamptz ORDER BY updated_at DESC, reflection_id LIMIT ${PAGE})
        ORDER BY updated_at DESC, reflection_id LIMIT ${PAGE}
      ) s CROSS JOIN LATERAL (SELECT task_run_id FROM codex_kb.reflections WHERE id = s.reflection_id LIMIT 1) r
        LEFT JOIN LATERAL (SELECT state, kind FROM facteur.runs WHERE run_id = r.task_run_id LIMIT 1) f ON true
        LEFT JOIN LATERAL (SELECT asked_by FROM facteur.retrievals WHERE run_id = r.task_run_id LIMIT 1) x ON true
      ORDER BY s.updated_at DESC, s.reflection_id`,
    values: [repository, after.updatedAt, after.reflectionId],
  });
  return { page: rows, isFull: rows.length === PAGE };
}

type Deciding = Pick<Database, 'transaction'>;

/**
 * Maximum number of reflections that one statement changes. Each change of a state writes to all indexes of reflections, which
 * takes up to 100 ms on a busy server, and a statement must end in time.
 */
export const CHANGED_AT_ONCE = 20;

/** Held until a decision is committed. */
const STANDING_LOCK = 7_233_115;
/**
 * Several processes may trust at the same time, but not while one retires: whether a reflection may be trusted depends on those
 * that its run received.
 */
const TRUSTING = 'pg_advisory_xact_lock_shared';
const RETIRING = 'pg_advisory_xact_lock';

/** Runs a decision after any that it may contradict. The lock is a separate statement, so the decision sees their results. */
async function inTurn<Row>(db: Deciding, lock: string, decision: Statement): Promise<Result<Row>> {
  return db.transaction(async (tx) => {
    await tx.query({ text: `SELECT ${lock}($1)`, values: [STANDING_LOCK] });
    return tx.query<Row>(decision);
  });
}

/**
 * Trusts reflections that still wait for a decision, except if their run runs again, or received a reflection that has lost its
 * trust since. @param reasons by reflection
 */
export async function trustWaiting(db: Deciding, reasons: ReadonlyMap<string, string>): Promise<void> {
  await inTurn(db, TRUSTING, {
    name: 'trust-waiting',
    text: `UPDATE facteur.reflection_standing s
      SET state = 'trusted', reason = decided.reason, decided_by = 'facteur', updated_at = now()
      FROM unnest($1::uuid[], $2::text[]) AS decided (id, reason)
      WHERE s.reflection_id = decided.id AND s.state = 'quarantined' AND s.${BY_FACTEUR} AND NOT EXISTS (
        SELECT FROM codex_kb.reflections r JOIN facteur.reflection_uses u ON u.run_id = r.task_run_id
          JOIN facteur.reflection_standing p ON p.reflection_id = u.reflection_id
        WHERE r.id = s.reflection_id AND p.state <> 'trusted')
        AND EXISTS (SELECT FROM codex_kb.reflections r JOIN facteur.runs f ON f.run_id = r.task_run_id
          WHERE r.id = s.reflection_id AND f.state = 'succeeded')`,
    values: [[...reasons.keys()], [...reasons.values()]],
  });
}

/** A reflection that was decided about, or a descendant of one. */
export interface StandingChange {
  readonly reflectionId: string;
  readonly runId: string;
  readonly type: string;
  readonly repository: string;
  readonly previousState: string;
  readonly state: string;
  readonly reason: string;
  readonly decidedBy: string;
  /** Its run received one of the others, directly or through other runs. */
  readonly isDescendant: boolean;
}

/** The columns of {@link StandingChange} from `concerned c`, `reflection_standing s` as it was, and `decided d`. */
const CHANGE = `c.id AS "reflectionId", r.task_run_id AS "runId", s.reflection_type AS type, s.repository,
  s.state AS "previousState", coalesce(d.state, s.state) AS state, coalesce(d.reason, s.reason) AS reason,
  coalesce(d.decided_by, s.decided_by) AS "decidedBy", c.descends AS "isDescendant"`;

/**
 * The row of a reflection, looked up: the planner cannot know how few a decision is about, and a plain join may read all. For the
 * same reason, what changes is found by `ANY`.
 * @param of an expression for its id
 */
const standingOf = (of: string, name = 's'): string =>
  `CROSS JOIN LATERAL (SELECT * FROM facteur.reflection_standing WHERE reflection_id = ${of} LIMIT 1) ${name}`;
const writerOf = (of: string): string =>
  `CROSS JOIN LATERAL (SELECT task_run_id, created_at FROM codex_kb.reflections WHERE id = ${of} LIMIT 1) r`;

/** Records each decision in the history of the run that wrote the reflection. $4 is who decided. */
const NOTED = `noted AS (
  INSERT INTO codex_kb.run_events (task_run_id, event_type, actor, payload)
  SELECT r.task_run_id, 'reflection.' || d.state, $4, jsonb_build_object('reflectionId', d.reflection_id, 'reason', d.reason)
  FROM decided d ${writerOf('d.reflection_id')}
)`;

/** Whether all of them exist: a decision applies to all or none. */
const ALL_KNOWN = `NOT EXISTS (SELECT FROM unnest($1::uuid[]) AS asked (id) WHERE asked.id NOT IN (SELECT id FROM concerned))`;

/**
 * Whether `reflection_standing s` is as the person saw it. PostgreSQL checks it again after waiting for another change of the
 * row, so nobody trusts a text that they have not seen.
 */
const asShown = (version: string): string =>
  `(${version}::bigint IS NULL OR (s.state = 'quarantined' AND ${VERSION} = ${version}))`;

export interface StandingDecision {
  readonly reflectionIds: readonly string[];
  readonly reason: string;
  /** The person, or `facteur`. */
  readonly decidedBy: string;
  /** Decides only if the reflection still waits with the text of this version; absent for any text. */
  readonly shownVersion?: number;
}

/** Reflections that may not be trusted yet, because their runs received others that are not trusted. */
interface BlockedTrust {
  readonly reflectionId: string;
  readonly distrusted: readonly string[];
}

/**
 * Trusts reflections by a person's decision: all of them, or none. A reflection whose run received another one that is neither
 * trusted nor among them does not change, and blocks the others.
 *
 * @returns the reflections with their current states; nothing changed if one is missing
 */
export async function trustReflections(
  db: Deciding,
  { reflectionIds, reason, decidedBy, shownVersion }: StandingDecision,
): Promise<{ readonly changes: readonly StandingChange[]; readonly blocked: readonly BlockedTrust[] }> {
  const { rows } = await inTurn<{ readonly changes: StandingChange[]; readonly blocked: BlockedTrust[] }>(
    db,
    TRUSTING,
    {
      name: 'trust-reflections',
      text: `WITH concerned AS (
        SELECT reflection_id AS id, false AS descends FROM facteur.reflection_standing WHERE reflection_id = ANY ($1::uuid[])
      ), blocked AS (
        SELECT c.id AS "reflectionId", array_agg(u.reflection_id ORDER BY u.place) AS distrusted
        FROM concerned c ${writerOf('c.id')} JOIN facteur.reflection_uses u ON u.run_id = r.task_run_id
          ${standingOf('u.reflection_id', 'p')}
        WHERE p.state <> 'trusted' AND u.reflection_id <> ALL ($1::uuid[]) GROUP BY c.id
      ), decided AS (
        UPDATE facteur.reflection_standing s SET state = $2, reason = $3, decided_by = $4, updated_at = now()
        FROM concerned c WHERE s.reflection_id = c.id AND s.state <> $2 AND ${asShown('$5')}
          AND NOT EXISTS (SELECT FROM blocked) AND ${ALL_KNOWN}
        RETURNING s.*
      ), ${NOTED}
      SELECT (SELECT coalesce(json_agg(blocked ORDER BY "reflectionId"), '[]') FROM blocked) AS blocked,
        (SELECT coalesce(json_agg(change), '[]') FROM (SELECT ${CHANGE} FROM concerned c ${standingOf('c.id')} ${writerOf('c.id')}
          LEFT JOIN decided d ON d.reflection_id = c.id ORDER BY array_position($1::uuid[], c.id)) change) AS changes`,
      values: [reflectionIds, 'trusted', reason, decidedBy, shownVersion ?? null],
    },
  );
  return rows[0] ?? { changes: [], blocked: [] };
}

/** The result of a retirement. */
export interface Retirement {
  /** The reflections with their current states, then at most {@link MAX_DESCENDANTS} descendants, those still trusted first. */
  readonly changes: readonly StandingChange[];
  /** The number of descendants. */
  readonly descendants: number;
}

/** A reflection that many runs received may have tens of thousands of descendants. */
export const MAX_DESCENDANTS = 1000;

interface RetiringDecision extends StandingDecision {
  readonly withDescendants: boolean;
}

/**
 * Retires reflections, so that no run receives them any more, and finds those that descend from them. A descendant that
 * facteur trusted is trusted no more; what a person decided about it stays, unless it is retired too.
 *
 * The reflections are retired first, so that nothing else can keep them in use. After a failure between the statements, a repetition
 * decides about the rest.
 *
 * @returns nothing changed if one of the reflections is missing
 */
export async function retireReflections(db: Deciding & Queryable, decision: RetiringDecision): Promise<Retirement> {
  const asked = await retireAsked(db, decision);
  if (asked.length < decision.reflectionIds.length || asked.some(({ state }) => state !== 'retired')) {
    return { changes: asked, descendants: 0 };
  }
  const before = await retireDescendants(db, decision);
  const { rows } = await db.query<StandingChange & { readonly descendants: number }>({
    name: 'list-descendants',
    text: `WITH RECURSIVE ${DESCENDANTS}
      SELECT s.reflection_id AS "reflectionId", r.task_run_id AS "runId", s.reflection_type AS type, s.repository,
        s.state AS "previousState", s.state, s.reason, s.decided_by AS "decidedBy", true AS "isDescendant",
        (count(*) OVER ())::int AS descendants
      FROM descendant c ${standingOf('c.id')} ${writerOf('c.id')} WHERE c.id <> ALL ($1::uuid[])
      ORDER BY s.state = 'trusted' DESC, r.created_at, c.id LIMIT ${MAX_DESCENDANTS}`,
    values: [decision.reflectionIds],
  });
  const listed = rows.map(({ descendants: _descendants, ...change }) => ({
    ...change,
    previousState: before.get(change.reflectionId) ?? change.previousState,
  }));
  return { changes: [...asked, ...listed], descendants: rows[0]?.descendants ?? 0 };
}

/** Reflections that facteur retired in the last two days: {@link retireReflections} may have failed after that. */
export async function retiredLately(db: Queryable): Promise<readonly string[]> {
  const { rows } = await db.query<{ readonly id: string }>({
    name: 'retired-lately',
    text: `SELECT reflection_id AS id FROM facteur.reflection_standing
      WHERE state = 'retired' AND decided_by = 'facteur' AND updated_at > now() - interval '2 days'`,
  });
  return rows.map(({ id }) => id);
}

async function retireAsked(
  db: Deciding,
  { reflectionIds, reason, decidedBy, shownVersion }: RetiringDecision,
): Promise<readonly StandingChange[]> {
  const { rows } = await inTurn<StandingChange>(db, RETIRING, {
    name: 'retire-reflections',
    text: `WITH concerned AS (
        SELECT reflection_id AS id, false AS descends FROM facteur.reflection_standing WHERE reflection_id = ANY ($1::uuid[])
      ), decided AS (
        UPDATE facteur.reflection_standing s SET state = $2, reason = $3, decided_by = $4, updated_at = now()
        WHERE s.reflection_id = ANY ($1::uuid[]) AND s.state <> $2 AND ${asShown('$5')} AND ${ALL_KNOWN}
        RETURNING s.*
      ), ${NOTED}
      SELECT ${CHANGE} FROM concerned c ${standingOf('c.id')} ${writerOf('c.id')} LEFT JOIN decided d ON d.reflection_id = c.id
      ORDER BY array_position($1::uuid[], c.id)`,
    values: [reflectionIds, 'retired', reason, decidedBy, shownVersion ?? null],
  });
  return rows;
}

/** The descendants of the reflections $1. */
const DESCENDANTS = `descendant (id) AS (
  SELECT r.id FROM facteur.reflection_uses u JOIN codex_kb.reflections r ON r.task_run_id = u.run_id
  WHERE u.reflection_id = ANY ($1::uuid[])
  UNION
  SELECT r.id FROM descendant JOIN facteur.reflection_uses u ON u.reflection_id = descendant.id
    JOIN codex_kb.reflections r ON r.task_run_id = u.run_id
)`;

/**
 * Searches again after each pass, because a reflection may have been trusted since, based on a descendant that was not changed yet.
 * Ends when a search finds nothing new: facteur may trust a reflection again that descends through one that a person keeps trusted.
 * The oldest come first, so that no reflection is trusted again because of a later one.
 *
 * @returns the earlier state of each changed reflection, by id
 */
async function retireDescendants(
  db: Deciding & Queryable,
  { reflectionIds, decidedBy, withDescendants }: RetiringDecision,
): Promise<ReadonlyMap<string, string>> {
  const due = withDescendants ? `s.state <> 'retired'` : `s.state = 'trusted' AND s.${BY_FACTEUR}`;
  const [state, by] = withDescendants ? ['retired', decidedBy] : ['quarantined', 'facteur'];
  const before = new Map<string, string>();
  let known: number;
  do {
    known = before.size;
    const { rows: found } = await db.query<{ readonly id: string }>({
      name: `find-descendants-${state}`,
      text: `WITH RECURSIVE ${DESCENDANTS}
        SELECT c.id FROM descendant c ${standingOf('c.id')} ${writerOf('c.id')} WHERE c.id <> ALL ($1::uuid[]) AND ${due}
        ORDER BY r.created_at, c.id`,
      values: [reflectionIds],
    });
    for (let start = 0; start < found.length; start += CHANGED_AT_ONCE) {
      const { rows } = await inTurn<{ readonly id: string; readonly was: string }>(db, RETIRING, {
        name: `retire-descendants-${state}`,
        text: `WITH decided AS (
            UPDATE facteur.reflection_standing s SET state = $2, reason = $3, decided_by = $4, updated_at = now()
            FROM (SELECT reflection_id AS id, state AS was FROM facteur.reflection_standing WHERE reflection_id = ANY ($1::uuid[])) AS old
            WHERE s.reflection_id = ANY ($1::uuid[]) AND s.reflection_id = old.id AND ${due}
            RETURNING s.*, old.was
          ), ${NOTED}
          SELECT reflection_id AS id, was FROM decided`,
        values: [
          found.slice(start, start + CHANGED_AT_ONCE).map(({ id }) => id),
          ...[state, 'its run received a reflection that was retired', by],
        ],
      });
      rows.forEach(({ id, was }) => before.set(id, before.get(id) ?? was));
    }
  } while (before.size > known);
  return before;
}

/**
 * Quarantines reflections that facteur trusted because these runs had succeeded, since they run again, and those that it trusted
 * in consequence. A person's decision stays, with its descendants.
 */
export async function distrustRestarted(db: Deciding & Queryable, runIds: readonly string[]): Promise<void> {
  // Also follows reflections that are already quarantined: an earlier attempt may have stopped there.
  const { rows } = await db.query<{ readonly id: string }>({
    name: 'find-unproven',
    text: `WITH RECURSIVE unproven (id, state) AS (
        SELECT s.reflection_id, s.state FROM codex_kb.reflections r ${standingOf('r.id')}
        WHERE r.task_run_id = ANY ($1::uuid[]) AND s.${BY_FACTEUR}
        UNION
        SELECT s.reflection_id, s.state FROM unproven JOIN facteur.reflection_uses u ON u.reflection_id = unproven.id
          JOIN codex_kb.reflections r ON r.task_run_id = u.run_id ${standingOf('r.id')}
        WHERE s.${BY_FACTEUR}
      )
      SELECT id FROM unproven WHERE state = 'trusted'`,
    values: [runIds],
  });
  for (let start = 0; start < rows.length; start += CHANGED_AT_ONCE) {
    const ids = rows.slice(start, start + CHANGED_AT_ONCE).map(({ id }) => id);
    await inTurn(db, RETIRING, {
      name: 'distrust-reflections',
      text: `WITH decided AS (
          UPDATE facteur.reflection_standing s SET state = $2, reason = $3, updated_at = now()
          WHERE s.reflection_id = ANY ($1::uuid[]) AND s.state = 'trusted' AND s.${BY_FACTEUR} RETURNING s.*
        ), ${NOTED}
        SELECT count(*) FROM decided`,
      values: [ids, 'quarantined', 'the run that it was trusted for runs again', 'facteur'],
    });
  }
}
