import type { Queryable } from '../clients/postgres/database.ts';

/** Something that could not be processed, as it came in. */
export interface NewDeadLetter {
  readonly door: string;
  readonly deliveryId: string;
  /** For a person: what was wrong. */
  readonly reason: string;
  readonly attempts: number;
  /** Without credentials. */
  readonly headers: Readonly<Record<string, string>>;
  readonly body: Uint8Array;
  /** Where it can be read again, so that its letter is kept once; absent when nowhere. */
  readonly source?: string;
}

/** A dead letter as a list shows it. */
export interface DeadLetterSummary {
  readonly id: string;
  readonly door: string;
  readonly deliveryId: string;
  readonly reason: string;
  readonly attempts: number;
  readonly bytes: number;
  readonly createdAt: Date;
}

/** A dead letter, whole. */
export interface DeadLetter extends DeadLetterSummary {
  readonly headers: Readonly<Record<string, string>>;
  readonly body: Buffer;
}

const SUMMARY = `id, door, delivery_id AS "deliveryId", reason, attempts, octet_length(body) AS bytes, created_at AS "createdAt"`;

/** Keeps a message that was refused for good; durable when it returns. One whose source is known already changes nothing. */
export async function keepDeadLetter(db: Queryable, letter: NewDeadLetter): Promise<void> {
  await db.query({
    name: 'keep-dead-letter',
    text: `INSERT INTO facteur.dead_letters (door, delivery_id, reason, attempts, headers, body, source)
      VALUES ($1, $2, $3, $4, $5::jsonb, $6, $7)
      ON CONFLICT (source) WHERE source <> '' DO NOTHING`,
    values: [
      letter.door,
      letter.deliveryId,
      letter.reason,
      letter.attempts,
      JSON.stringify(letter.headers),
      Buffer.from(letter.body),
      letter.source ?? '',
    ],
  });
}

/** Dead letters, oldest first. @param after the id of the last one of the page before */
export async function listDeadLetters(db: Queryable, limit: number, after = '0'): Promise<DeadLetterSummary[]> {
  const { rows } = await db.query<DeadLetterSummary>({
    name: 'list-dead-letters',
    text: `SELECT ${SUMMARY} FROM facteur.dead_letters WHERE id > $2 ORDER BY id LIMIT $1`,
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

/** @returns false when there is none of this id */
export async function dropDeadLetter(db: Queryable, id: string): Promise<boolean> {
  const { rowCount } = await db.query({
    name: 'drop-dead-letter',
    text: 'DELETE FROM facteur.dead_letters WHERE id = $1',
    values: [id],
  });
  return rowCount === 1;
}
