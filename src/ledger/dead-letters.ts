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
}

/** Keeps a message that was refused for good; durable when it returns. */
export async function keepDeadLetter(db: Queryable, letter: NewDeadLetter): Promise<void> {
  await db.query({
    name: 'keep-dead-letter',
    text: `INSERT INTO facteur.dead_letters (door, delivery_id, reason, attempts, headers, body)
      VALUES ($1, $2, $3, $4, $5::jsonb, $6)`,
    values: [
      letter.door,
      letter.deliveryId,
      letter.reason,
      letter.attempts,
      JSON.stringify(letter.headers),
      letter.body,
    ],
  });
}
