-- What facteur knows of a reflection beyond the row that it shares with others: whether runs may be given it, and its
-- words for full text search. And the search itself, as one function, so that its settings need no further statements.
DO $$
DECLARE
  found text := (SELECT extversion FROM pg_extension WHERE extname = 'vector');
BEGIN
  IF string_to_array(substring(coalesce(found, '0') FROM '^[0-9.]*[0-9]'), '.')::int[] < ARRAY[0, 8] THEN
    RAISE EXCEPTION 'pgvector 0.8 or newer is needed, found %: install it on the server and run ALTER EXTENSION vector UPDATE;', found;
  END IF;
END
$$;
-- Loads pgvector into this session, so that a role that is no superuser may give its settings to a function.
SELECT '[1]'::vector;

-- quarantined  waits for a decision; never given to a run
-- trusted      may be given to runs
-- retired      did harm or is out of date; never given to a run
CREATE TABLE facteur.reflection_standing (
  reflection_id uuid PRIMARY KEY REFERENCES codex_kb.reflections (id) ON DELETE CASCADE,
  -- In lower case; empty if the run has none.
  repository text NOT NULL DEFAULT '',
  -- As in codex_kb.reflections, where it never changes: a filter that is decided without reading the reflections.
  reflection_type text NOT NULL,
  state text NOT NULL DEFAULT 'quarantined' CHECK (state IN ('quarantined', 'trusted', 'retired')),
  reason text NOT NULL DEFAULT '',
  decided_by text NOT NULL DEFAULT '',
  terms tsvector NOT NULL,
  created_at timestamptz NOT NULL DEFAULT now(),
  updated_at timestamptz NOT NULL DEFAULT now()
);

-- Searched much more often than written, and a list of pending entries would be read by every search.
CREATE INDEX reflection_standing_terms ON facteur.reflection_standing USING gin (terms) WITH (fastupdate = off);
CREATE INDEX reflection_standing_repository ON facteur.reflection_standing (repository, state);
CREATE INDEX reflection_standing_type ON facteur.reflection_standing (reflection_type);
CREATE INDEX reflection_standing_state ON facteur.reflection_standing (state) WHERE state <> 'trusted';

-- The repository that a run is about, in lower case as GitHub compares names; empty if it has none.
CREATE FUNCTION facteur.run_repository(run uuid) RETURNS text
LANGUAGE sql STABLE AS $$
  SELECT lower(coalesce(nullif(t.metadata ->> 'repository', ''),
    CASE WHEN i.source_type IN ('github_issue', 'github.issue') THEN regexp_replace(i.source_ref, '#[^#]*$', '') END, ''))
  FROM codex_kb.task_runs r JOIN codex_kb.tasks t ON t.id = r.task_id JOIN codex_kb.ideas i ON i.id = t.idea_id
  WHERE r.id = run
$$;

-- The words of a text. Only its beginning counts, since a tsvector has a maximum size and a longer text is an error.
CREATE FUNCTION facteur.reflection_terms(content text) RETURNS tsvector
LANGUAGE sql IMMUTABLE AS $$
  SELECT to_tsvector('pg_catalog.english', left(content, 65536))
$$;

-- A reflection of any writer has its standing in the same transaction, also one that the Go service or a person writes:
-- hence a trigger, and with its owner's rights, since that writer may have none in this schema. Another text is another
-- reflection: what was trusted waits for a decision again.
CREATE FUNCTION facteur.keep_standing() RETURNS trigger
LANGUAGE plpgsql SECURITY DEFINER SET search_path = pg_catalog, pg_temp AS $$
BEGIN
  IF TG_OP = 'UPDATE' THEN
    UPDATE facteur.reflection_standing SET terms = facteur.reflection_terms(NEW.content), updated_at = now(),
      state = CASE state WHEN 'retired' THEN state ELSE 'quarantined' END,
      reason = CASE state WHEN 'retired' THEN reason ELSE 'the text changed' END,
      decided_by = CASE state WHEN 'retired' THEN decided_by ELSE 'facteur' END
    WHERE reflection_id = NEW.id;
  ELSE
    INSERT INTO facteur.reflection_standing (reflection_id, repository, reflection_type, terms)
    VALUES (NEW.id, coalesce(facteur.run_repository(NEW.task_run_id), ''), NEW.reflection_type, facteur.reflection_terms(NEW.content))
    ON CONFLICT (reflection_id) DO NOTHING;
  END IF;
  RETURN NULL;
END
$$;

CREATE TRIGGER reflection_written AFTER INSERT ON codex_kb.reflections
  FOR EACH ROW EXECUTE FUNCTION facteur.keep_standing();
CREATE TRIGGER reflection_rewritten AFTER UPDATE OF content ON codex_kb.reflections
  FOR EACH ROW WHEN (OLD.content IS DISTINCT FROM NEW.content) EXECUTE FUNCTION facteur.keep_standing();

-- After the triggers: from here on every new row brings its own.
INSERT INTO facteur.reflection_standing (reflection_id, repository, reflection_type, terms)
SELECT id, facteur.run_repository(task_run_id), reflection_type, facteur.reflection_terms(content) FROM codex_kb.reflections;

-- The words of a text that are worth looking up: the rarest first, as many as will probably be in no more than 2,000 of
-- `reach` rows, and one at least; null if the text has none. All words of a long text would match nearly every row, and
-- ranking those takes seconds.
-- How often a word occurs is known from ANALYZE; a word that is in no statistics is rarer than all that are. Without
-- statistics the longest words are the rarest.
CREATE FUNCTION facteur.rarest_terms(content text, reach float8) RETURNS tsquery
LANGUAGE sql STABLE AS $$
  WITH stats AS MATERIALIZED (
    SELECT * FROM pg_catalog.pg_stats,
      LATERAL unnest(most_common_elems::text::text[], most_common_elem_freqs) AS common (lexeme, frequency)
    WHERE schemaname = 'facteur' AND tablename = 'reflection_standing' AND attname = 'terms' AND common.lexeme IS NOT NULL
  ), words AS (
    SELECT word.lexeme, coalesce(stats.frequency, (SELECT min(frequency) / 2 FROM stats), 0.01) AS frequency
    FROM unnest(facteur.reflection_terms(content)) AS word LEFT JOIN stats USING (lexeme)
  ), ordered AS (
    SELECT lexeme, row_number() OVER rarest AS place, sum(frequency) OVER rarest * reach AS matches FROM words
    WINDOW rarest AS (ORDER BY frequency, length(lexeme) DESC, lexeme)
  )
  SELECT string_agg('''' || replace(replace(lexeme, '\', '\\'), '''', '''''') || '''', ' | ')::tsquery
  FROM ordered WHERE place <= 32 AND (place = 1 OR matches <= 2000)
$$;

-- The nearest reflections that pass the filters, by reading the index in the order of distance. Sorting is off because the
-- planner does not know that embeddings are stored beside their rows: it would rather fetch and compare all of them.
CREATE FUNCTION facteur.nearest_in_index(
  query_embedding vector,
  query_version text,
  only_repository text,
  only_types text[],
  only_states text[],
  excluded_runs uuid[],
  excluded_reflections uuid[],
  row_limit int
) RETURNS uuid[]
LANGUAGE plpgsql STABLE
SET plan_cache_mode = force_custom_plan
SET enable_sort = off
SET hnsw.iterative_scan = relaxed_order
SET hnsw.ef_search = 160
SET hnsw.max_scan_tuples = 4000
AS $$
#variable_conflict use_column
BEGIN
  RETURN (SELECT array_agg(near.id ORDER BY near.distance, near.id) FROM (
    SELECT r.id, r.embedding <=> query_embedding AS distance FROM codex_kb.reflections r
      CROSS JOIN LATERAL (
        SELECT FROM facteur.reflection_standing s WHERE s.reflection_id = r.id
          AND (only_repository IS NULL OR s.repository = only_repository)
          AND (only_types IS NULL OR s.reflection_type = ANY (only_types))
          AND (only_states IS NULL OR s.state = ANY (only_states))
        OFFSET 0
      ) s
    WHERE r.embedding_version = query_version
      AND (excluded_runs IS NULL OR r.task_run_id <> ALL (excluded_runs))
      AND (excluded_reflections IS NULL OR r.id <> ALL (excluded_reflections))
    ORDER BY r.embedding <=> query_embedding LIMIT row_limit
  ) near WHERE near.distance <> 'NaN');
END
$$;

-- The nearest of some reflections, compared one by one. The distance is no plain operator in the order, so that no index
-- answers it.
CREATE FUNCTION facteur.nearest_of(
  candidates uuid[],
  query_embedding vector,
  query_version text,
  excluded_runs uuid[],
  excluded_reflections uuid[],
  row_limit int
) RETURNS uuid[]
LANGUAGE sql STABLE AS $$
  SELECT array_agg(near.id ORDER BY near.distance, near.id) FROM (
    SELECT r.id, (r.embedding <=> query_embedding) + 0 AS distance
    FROM unnest(candidates) AS candidate (id) JOIN codex_kb.reflections r ON r.id = candidate.id
    WHERE r.embedding_version = query_version AND r.embedding IS NOT NULL
      AND (excluded_runs IS NULL OR r.task_run_id <> ALL (excluded_runs))
      AND (excluded_reflections IS NULL OR r.id <> ALL (excluded_reflections))
    ORDER BY distance, r.id LIMIT row_limit
  ) near WHERE near.distance <> 'NaN'
$$;

-- Reflections that resemble a text, an embedding, or both: two rankings (cosine distance, and words), of which each gives
-- a row 1 / (60 + its place), because their values cannot be compared. A filter that is null lets everything pass.
--
-- Only embeddings of `query_version` are compared with the query's: numbers of different models mean nothing to each
-- other. Where the filters leave no more than `exact_below` rows, all of them are compared; otherwise the index is read
-- until it has given enough that pass, or 4,000 rows, which take a tenth of a second.
CREATE FUNCTION facteur.search_reflections(
  query_text text,
  query_embedding vector,
  query_version text,
  only_repository text,
  only_types text[],
  only_states text[],
  excluded_runs uuid[],
  excluded_reflections uuid[],
  row_limit int,
  exact_below int DEFAULT 1000
) RETURNS TABLE (reflection_id uuid, similarity float8, vector_place int, word_place int, score float8)
LANGUAGE plpgsql STABLE
-- Not the thousand that the planner assumes, for which it would join whole tables.
ROWS 10
SET plan_cache_mode = force_custom_plan
AS $$
#variable_conflict use_column
DECLARE
  depth CONSTANT int := greatest(50, row_limit);
  -- Alone, a ranking needs no more than is asked for, and fewer rows behind a filter are found much sooner.
  vector_depth CONSTANT int := CASE WHEN query_text IS NULL THEN row_limit ELSE depth END;
  -- Bounds the time of a search whose words are more common than the statistics say.
  most_ranked CONSTANT int := 4000;
  eligible uuid[];
  narrow boolean;
  by_vector uuid[] := '{}';
  by_words uuid[] := '{}';
  wanted tsquery;
BEGIN
  SELECT array_agg(s.reflection_id) INTO eligible FROM (
    SELECT s.reflection_id FROM facteur.reflection_standing s
    WHERE (only_repository IS NULL OR s.repository = only_repository)
      AND (only_types IS NULL OR s.reflection_type = ANY (only_types))
      AND (only_states IS NULL OR s.state = ANY (only_states))
    LIMIT exact_below + 1
  ) s;
  narrow := coalesce(cardinality(eligible), 0) <= exact_below;

  IF query_embedding IS NOT NULL AND narrow THEN
    by_vector := facteur.nearest_of(eligible, query_embedding, query_version, excluded_runs, excluded_reflections, vector_depth);
  ELSIF query_embedding IS NOT NULL THEN
    by_vector := facteur.nearest_in_index(
      query_embedding, query_version, only_repository, only_types, only_states, excluded_runs, excluded_reflections, vector_depth);
    -- Few rows have this version yet, or the query is far from all that pass: some of these are better than none.
    IF coalesce(cardinality(by_vector), 0) < row_limit THEN
      SELECT by_vector || array_agg(more.id) INTO by_vector FROM (
        SELECT r.id FROM codex_kb.reflections r JOIN facteur.reflection_standing s ON s.reflection_id = r.id
        WHERE r.embedding_version = query_version AND r.id <> ALL (coalesce(by_vector, '{}'))
          AND (only_repository IS NULL OR s.repository = only_repository)
          AND (only_types IS NULL OR s.reflection_type = ANY (only_types))
          AND (only_states IS NULL OR s.state = ANY (only_states))
        LIMIT greatest(exact_below, 1000)
      ) more;
      by_vector := facteur.nearest_of(by_vector, query_embedding, query_version, excluded_runs, excluded_reflections, vector_depth);
    END IF;
  END IF;

  IF query_text IS NOT NULL THEN
    wanted := facteur.rarest_terms(query_text, CASE WHEN narrow THEN coalesce(cardinality(eligible), 0) ELSE (
      SELECT CASE WHEN reltuples < 1 THEN 40000 ELSE reltuples END FROM pg_class WHERE oid = 'facteur.reflection_standing'::regclass) END);
  END IF;
  IF wanted IS NOT NULL THEN
    SELECT array_agg(best.id ORDER BY best.place) INTO by_words FROM (
      SELECT matching.id, row_number() OVER (ORDER BY ts_rank(matching.terms, wanted) DESC, matching.id) AS place FROM (
        SELECT s.reflection_id AS id, s.terms FROM facteur.reflection_standing s
        WHERE s.terms @@ wanted
          AND (NOT narrow OR s.reflection_id = ANY (eligible))
          AND (only_repository IS NULL OR s.repository = only_repository)
          AND (only_types IS NULL OR s.reflection_type = ANY (only_types))
          AND (only_states IS NULL OR s.state = ANY (only_states))
          AND (excluded_reflections IS NULL OR s.reflection_id <> ALL (excluded_reflections))
          AND (excluded_runs IS NULL OR NOT EXISTS (
            SELECT FROM codex_kb.reflections r WHERE r.id = s.reflection_id AND r.task_run_id = ANY (excluded_runs)))
        LIMIT most_ranked
      ) matching
      ORDER BY place LIMIT depth
    ) best;
  END IF;

  RETURN QUERY
    SELECT fused.id, fused.similarity, fused.vector_place::int, fused.word_place::int, fused.score FROM (
      SELECT r.id, CASE WHEN r.embedding_version = query_version
          THEN nullif(1 - (r.embedding <=> query_embedding), 'NaN') END AS similarity,
        places.vector_place, places.word_place,
        coalesce(1.0::float8 / (60 + places.vector_place), 0) + coalesce(1.0::float8 / (60 + places.word_place), 0) AS score
      FROM (
        SELECT id, min(vector_place) AS vector_place, min(word_place) AS word_place FROM (
          SELECT id, place AS vector_place, NULL::bigint AS word_place FROM unnest(by_vector) WITH ORDINALITY AS v (id, place)
          UNION ALL
          SELECT id, NULL, place FROM unnest(by_words) WITH ORDINALITY AS w (id, place)
        ) legs GROUP BY id
      ) places JOIN codex_kb.reflections r ON r.id = places.id
    ) fused
    ORDER BY fused.score DESC, fused.similarity DESC NULLS LAST, fused.id
    LIMIT row_limit;
END
$$;
