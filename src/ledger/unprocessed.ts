import type { Queryable } from '../clients/postgres/database.ts';
import type { Command, Principal } from '../domain/command.ts';

/** A delivery that could not be processed, as it arrived. */
export interface NewDeadLetter {
  readonly door: string;
  readonly deliveryId: string;
  /** The reason, for people. */
  readonly reason: string;
  readonly attempts: number;
  /** Without credentials. */
  readonly headers: Readonly<Record<string, string>>;
  readonly body: Uint8Array;
  /** Its position at the source, so it is stored only once; absent if there is none. */
  readonly source?: string;
}

/** What a person did with a dead letter. */
type DeadLetterOutcome = 'replayed' | 'dropped';

/** A dead letter in a list. */
export interface DeadLetterSummary {
  readonly id: string;
  readonly door: string;
  readonly deliveryId: string;
  readonly reason: string;
  readonly attempts: number;
  readonly bytes: number;
  readonly createdAt: Date;
  /** What a person did with it; empty until it is replayed or dropped. */
  readonly outcome: '' | DeadLetterOutcome;
  /** The run that its replay created, or empty. */
  readonly runId: string;
}

/** A dead letter with its content. */
export interface DeadLetter extends DeadLetterSummary {
  readonly headers: Readonly<Record<string, string>>;
  readonly body: Buffer;
}

const SUMMARY = `id, door, delivery_id AS "deliveryId", reason, attempts, octet_length(body) AS bytes, created_at AS "createdAt", outcome,
  coalesce(run_id::text, '') AS "runId"`;

/** Stores a permanently refused message; durable when it resolves. A repeated source changes nothing. */
export async function keepDeadLetter(db: Queryable, letter: NewDeadLetter): Promise<void> {
  await db.query({
    name: 'keep-dead-letter',
    text: `INSERT INTO facteur.dead_letters (door, delivery_id, reason, attempts, headers, body, source)
      VALUES ($1, $2, $3, $4, $5::jsonb, $6, $7)
      ON CONFLICT (source) WHERE source <> '' DO NOTHING`,
    values: [
      letter.door,
      storable(letter.deliveryId),
      storable(letter.reason),
      letter.attempts,
      JSON.stringify(Object.fromEntries(Object.entries(letter.headers).map((pair) => pair.map(storable)))),
      Buffer.from(letter.body),
      letter.source ?? '',
    ],
  });
}

/**
 * Postgres stores every character except NUL. A dead letter that could not be stored because of one would be
 * redelivered forever, or block its partition.
 */
function storable(text: string): string {
  return text.replaceAll('\0', '\u{fffd}');
}

/** Unsettled dead letters, oldest first. @param after the id of the last one of the previous page */
export async function listDeadLetters(db: Queryable, limit: number, after = '0'): Promise<DeadLetterSummary[]> {
  const { rows } = await db.query<DeadLetterSummary>({
    name: 'list-dead-letters',
    text: `SELECT ${SUMMARY} FROM facteur.dead_letters WHERE id > $2 AND settled_at IS NULL ORDER BY id LIMIT $1`,
    values: [limit, after],
  });
  return rows;
}

export async function findDeadLetter(db: Queryable, id: string): Promise<DeadLetter | undefined> {
  const { rows } = await db.query<DeadLetter>({
    name: 'find-dead-letter',
    text: `SELECT ${SUMMARY}, headers, body FROM facteur.dead_letters WHERE id = $1`,
    values: [id],
  });
  return rows[0];
}

/**
 * Settles a dead letter. Its content is deleted; the rest is kept until retention deletes it. A dead letter that is dropped
 * during its replay may still have become a run.
 *
 * @param runId the run that its replay created, if it was replayed
 * @returns false if it was already settled, or is unknown
 */
export async function settleDeadLetter(
  db: Queryable,
  id: string,
  { outcome, runId }: { readonly outcome: DeadLetterOutcome; readonly runId?: string },
): Promise<boolean> {
  const { rowCount } = await db.query({
    name: 'settle-dead-letter',
    text: `UPDATE facteur.dead_letters SET settled_at = now(), outcome = $2, run_id = $3, body = '', headers = '{}'
      WHERE id = $1 AND (settled_at IS NULL OR ($2 = 'replayed' AND outcome = 'dropped'))`,
    values: [id, outcome, runId ?? null],
  });
  return rowCount === 1;
}

/** The recorded part of a refused request. */
export interface RefusedRequest extends Pick<Command, 'door' | 'deliveryId' | 'name'> {
  readonly principal: Pick<Principal, 'userId'>;
}

/** Records a refusal. */
export async function recordRefusal(db: Queryable, command: RefusedRequest, reason: string): Promise<void> {
  await db.query({
    name: 'record-refusal',
    text: `INSERT INTO facteur.refusals (door, delivery_id, command, user_id, reason) VALUES ($1, $2, $3, $4, $5)`,
    values: [command.door, command.deliveryId, command.name, command.principal.userId, reason],
  });
}

/** A refusal in a list. */
export interface RefusalRow {
  readonly id: string;
  readonly door: string;
  readonly deliveryId: string;
  readonly command: string;
  readonly userId: string;
  readonly reason: string;
  readonly createdAt: Date;
}

export interface RefusalQuery {
  readonly limit: number;
  /** The id of the last refusal of the previous page. */
  readonly before?: string | undefined;
  readonly command?: string;
  readonly userId?: string;
}

/** Refusals, newest first. */
export async function listRefusals(db: Queryable, query: RefusalQuery): Promise<RefusalRow[]> {
  const { rows } = await db.query<RefusalRow>({
    // Not a named statement, so it is planned for the given filters.
    text: `SELECT id, door, delivery_id AS "deliveryId", command, user_id AS "userId", reason, created_at AS "createdAt"
      FROM facteur.refusals
      WHERE ($2::bigint IS NULL OR id < $2) AND ($3::text IS NULL OR command = $3) AND ($4::text IS NULL OR user_id = $4)
      ORDER BY id DESC LIMIT $1`,
    values: [query.limit, query.before ?? null, query.command ?? null, query.userId ?? null],
  });
  return rows;
}
