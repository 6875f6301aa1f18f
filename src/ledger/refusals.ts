import type { Queryable } from '../clients/postgres/database.ts';
import type { Command } from '../domain/command.ts';

/** Remembers that somebody was told no. */
export async function recordRefusal(db: Queryable, command: Command, reason: string): Promise<void> {
  await db.query({
    name: 'record-refusal',
    text: `INSERT INTO facteur.refusals (door, delivery_id, command, user_id, reason) VALUES ($1, $2, $3, $4, $5)`,
    values: [command.door, command.deliveryId, command.name, command.principal.userId, reason],
  });
}
