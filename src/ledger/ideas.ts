import type { Queryable } from '../clients/postgres/database.ts';
import { readPage, type Page } from './page.ts';
import { addOrFind, writtenRow, type Written } from './write-report.ts';

/** The origin of work: an issue, a command, a wish. Unique by its source. */
interface Idea {
  readonly ideaId: string;
  readonly sourceType: string;
  readonly sourceRef: string;
  readonly priority: number;
  readonly status: string;
  readonly riskFlags: Readonly<Record<string, unknown>>;
  readonly payload: Readonly<Record<string, unknown>>;
  readonly createdAt: Date;
  readonly updatedAt: Date;
}

type NewIdea = Omit<Idea, 'ideaId' | 'createdAt' | 'updatedAt'>;

const IDEA = `id AS "ideaId", source_type AS "sourceType", source_ref AS "sourceRef", priority, status,
  risk_flags AS "riskFlags", payload, created_at AS "createdAt", updated_at AS "updatedAt"`;

interface IdeaQuery {
  readonly sourceType?: string | undefined;
  readonly sourceRef?: string | undefined;
  /** The id of the last idea of the previous page. */
  readonly after?: string | undefined;
  readonly limit: number;
}

/** Ideas ordered by source, because an index covers it: none covers their dates. */
export async function listIdeas(
  db: Queryable,
  { sourceType, sourceRef, after, limit }: IdeaQuery,
): Promise<Page<Idea>> {
  return readPage<Idea>(db, {
    columns: IDEA,
    from: `codex_kb.ideas WHERE ($1::text IS NULL OR source_type = $1) AND ($2::text IS NULL OR source_ref = $2)
      AND ($3::uuid IS NULL OR (source_type, source_ref) > ((SELECT source_type FROM codex_kb.ideas WHERE id = $3),
        (SELECT source_ref FROM codex_kb.ideas WHERE id = $3)))`,
    order: 'source_type, source_ref',
    // The payload contains the request.
    large: ['payload', 'risk_flags'],
    values: [sourceType ?? null, sourceRef ?? null, after ?? null],
    limit,
  });
}

export async function findIdea(db: Queryable, ideaId: string): Promise<Idea | undefined> {
  const { rows } = await db.query<Idea>({
    name: 'find-idea',
    text: `SELECT ${IDEA} FROM codex_kb.ideas WHERE id = $1`,
    values: [ideaId],
  });
  return rows[0];
}

/** Adds an idea; an existing idea with the same source does not change. `conflict`: a concurrent request is adding it. */
export function addIdea(db: Queryable, idea: NewIdea): Promise<Written<Idea>> {
  return addOrFind(
    () => addIdeaOnce(db, idea),
    (written) => written.kind !== 'conflict',
  );
}

async function addIdeaOnce(db: Queryable, idea: NewIdea): Promise<Written<Idea>> {
  const { sourceType, sourceRef, priority, status, riskFlags, payload } = idea;
  const { rows } = await db.query<Idea & { readonly isNew: boolean }>({
    name: 'add-idea',
    text: `WITH added AS (
        INSERT INTO codex_kb.ideas (source_type, source_ref, priority, status, risk_flags, payload)
        VALUES ($1, $2, $3, $4, $5::jsonb, $6::jsonb) ON CONFLICT (source_type, source_ref) DO NOTHING RETURNING *
      )
      SELECT ${IDEA}, "isNew" FROM (
        SELECT added.*, true AS "isNew" FROM added
        UNION ALL
        SELECT i.*, false FROM codex_kb.ideas i WHERE i.source_type = $1 AND i.source_ref = $2
      ) present`,
    values: [sourceType, sourceRef, priority, status, JSON.stringify(riskFlags), JSON.stringify(payload)],
  });
  return writtenRow<Idea>(rows, 'conflict');
}

/** Undefined fields do not change. */
interface IdeaChange {
  readonly priority: number | undefined;
  readonly status: string | undefined;
  readonly riskFlags: Readonly<Record<string, unknown>> | undefined;
}

/** The current idea, or undefined if there is none. */
export async function changeIdea(db: Queryable, ideaId: string, change: IdeaChange): Promise<Idea | undefined> {
  const { priority, status, riskFlags } = change;
  const { rows } = await db.query<Idea>({
    name: 'change-idea',
    text: `UPDATE codex_kb.ideas SET priority = coalesce($2, priority), status = coalesce($3, status),
        risk_flags = coalesce($4::jsonb, risk_flags), updated_at = now()
      WHERE id = $1 RETURNING ${IDEA}`,
    values: [ideaId, priority ?? null, status ?? null, riskFlags === undefined ? null : JSON.stringify(riskFlags)],
  });
  return rows[0];
}
