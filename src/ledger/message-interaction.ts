import type { Queryable } from '../clients/postgres/database.ts';

/** The interaction whose answer shows this run; empty when no message does. */
export async function messageInteraction(db: Queryable, runId: string): Promise<string> {
  const { rows } = await db.query<{ readonly interaction_id: string }>({
    name: 'message-interaction',
    text: 'SELECT interaction_id FROM facteur.messages WHERE run_id = $1',
    values: [runId],
  });
  return rows[0]?.interaction_id ?? '';
}
