-- no-transaction
-- Nearest neighbors by 1,536 bits instead of 1,536 numbers: an index of 100,000 reflections takes 58 MB instead of 780, and
-- comparing two entries reads 192 bytes instead of 6 kB. Bits only choose the candidates; the numbers decide. The bits stand
-- beside what searches filter by, so a filter reads no second table.
SET lock_timeout = '10s';

-- Sums and differences of an embedding's halves, one of them turned: a rotation, and every number of the result depends on
-- two. (As SQL standard functions, the names in them do not depend on a search path.)
CREATE OR REPLACE FUNCTION facteur.mix_halves(embedding vector, turn int) RETURNS vector
LANGUAGE sql IMMUTABLE STRICT PARALLEL SAFE
RETURN ((subvector(embedding, turn + 1, 768 - turn) || subvector(embedding, 1, turn)) + subvector(embedding, 769, 768))
  || ((subvector(embedding, turn + 1, 768 - turn) || subvector(embedding, 1, turn)) - subvector(embedding, 769, 768));

-- In memory once, instead of once for each function that reads it.
CREATE OR REPLACE FUNCTION facteur.unit_embedding(embedding vector) RETURNS vector
LANGUAGE sql IMMUTABLE STRICT PARALLEL SAFE RETURN l2_normalize(embedding);

CREATE OR REPLACE FUNCTION facteur.quantized(embedding vector) RETURNS bit
LANGUAGE sql IMMUTABLE STRICT PARALLEL SAFE RETURN binary_quantize(embedding);

-- The signs of an embedding after a rotation that spreads every number over 512 others. The share of signs in which two
-- embeddings differ is their angle divided by 180°, more or less. Without the rotation this would not hold for embeddings
-- with many zeros: n-grams, and models with fewer numbers.
CREATE OR REPLACE FUNCTION facteur.embedding_signs(embedding vector) RETURNS bit
LANGUAGE plpgsql IMMUTABLE STRICT PARALLEL SAFE SET search_path = pg_catalog, pg_temp AS $$
BEGIN
  embedding := facteur.unit_embedding(embedding);
  embedding := facteur.mix_halves(embedding, 384);
  embedding := facteur.mix_halves(embedding, 192);
  embedding := facteur.mix_halves(embedding, 96);
  embedding := facteur.mix_halves(embedding, 48);
  embedding := facteur.mix_halves(embedding, 24);
  embedding := facteur.mix_halves(embedding, 12);
  embedding := facteur.mix_halves(embedding, 6);
  embedding := facteur.mix_halves(embedding, 3);
  embedding := facteur.mix_halves(embedding, 1);
  RETURN facteur.quantized(embedding);
END
$$;

-- Both null without an embedding.
ALTER TABLE facteur.reflection_standing ADD COLUMN IF NOT EXISTS signs bit(1536),
  ADD COLUMN IF NOT EXISTS embedding_version text;

-- As before, and the signs follow the embedding of any writer.
CREATE OR REPLACE FUNCTION facteur.keep_standing() RETURNS trigger
LANGUAGE plpgsql SECURITY DEFINER SET search_path = pg_catalog, pg_temp AS $$
DECLARE
  version CONSTANT text := CASE WHEN NEW.embedding IS NOT NULL THEN NEW.embedding_version END;
BEGIN
  IF TG_OP = 'INSERT' THEN
    INSERT INTO facteur.reflection_standing (reflection_id, repository, reflection_type, terms, signs, embedding_version)
    VALUES (NEW.id, coalesce(facteur.run_repository(NEW.task_run_id), ''), NEW.reflection_type,
      facteur.reflection_terms(NEW.content), facteur.embedding_signs(NEW.embedding), version)
    ON CONFLICT (reflection_id) DO NOTHING;
  ELSIF OLD.content IS DISTINCT FROM NEW.content THEN
    UPDATE facteur.reflection_standing SET terms = facteur.reflection_terms(NEW.content), updated_at = now(),
      signs = facteur.embedding_signs(NEW.embedding), embedding_version = version,
      state = CASE state WHEN 'retired' THEN state ELSE 'quarantined' END,
      reason = CASE state WHEN 'retired' THEN reason ELSE 'the text changed' END,
      decided_by = CASE state WHEN 'retired' THEN decided_by ELSE 'facteur' END
    WHERE reflection_id = NEW.id;
  ELSE
    UPDATE facteur.reflection_standing SET signs = facteur.embedding_signs(NEW.embedding), embedding_version = version
    WHERE reflection_id = NEW.id;
  END IF;
  RETURN NULL;
END
$$;

CREATE OR REPLACE TRIGGER reflection_rewritten AFTER UPDATE OF content, embedding, embedding_version ON codex_kb.reflections
  FOR EACH ROW WHEN (OLD.content IS DISTINCT FROM NEW.content OR OLD.embedding IS DISTINCT FROM NEW.embedding
    OR OLD.embedding_version IS DISTINCT FROM NEW.embedding_version)
  EXECUTE FUNCTION facteur.keep_standing();

-- After the trigger: from here on every new embedding brings its own signs. Few rows at a time, since somebody may be about
-- to decide about one of them.
DO $$
DECLARE
  passed uuid := '00000000-0000-0000-0000-000000000000';
  batch uuid[];
BEGIN
  LOOP
    batch := ARRAY(SELECT id FROM codex_kb.reflections WHERE id > passed ORDER BY id LIMIT 500);
    EXIT WHEN cardinality(batch) = 0;
    UPDATE facteur.reflection_standing s SET signs = facteur.embedding_signs(r.embedding), embedding_version = r.embedding_version
    FROM codex_kb.reflections r
    WHERE r.id = ANY (batch) AND s.reflection_id = r.id AND s.signs IS NULL AND r.embedding IS NOT NULL;
    COMMIT;
    passed := batch[cardinality(batch)];
  END LOOP;
END
$$;

SET lock_timeout = 0;
-- A build that does not fit into memory takes ten times as long; 100,000 reflections need 100 MB.
SELECT set_config('maintenance_work_mem', '256MB', false)
WHERE pg_size_bytes(current_setting('maintenance_work_mem')) < pg_size_bytes('256MB');
DROP INDEX CONCURRENTLY IF EXISTS facteur.reflection_standing_signs;
CREATE INDEX CONCURRENTLY reflection_standing_signs ON facteur.reflection_standing USING hnsw (signs bit_hamming_ops)
  WITH (m = 24, ef_construction = 400);

-- All that a search compares stands in this index: a repository's reflections are read from neighboring pages.
DROP INDEX CONCURRENTLY IF EXISTS facteur.reflection_standing_compared;
CREATE INDEX CONCURRENTLY reflection_standing_compared ON facteur.reflection_standing (repository, state, embedding_version)
  INCLUDE (signs, reflection_id, reflection_type);

-- How many reflections pass, as the planner estimates it from its statistics. Volatile, because EXPLAIN is.
CREATE OR REPLACE FUNCTION facteur.expected_reflections(only_repository text, only_types text[], only_states text[]) RETURNS float8
LANGUAGE plpgsql VOLATILE AS $$
DECLARE
  plan json;
BEGIN
  EXECUTE 'EXPLAIN (FORMAT JSON) SELECT FROM facteur.reflection_standing s
    WHERE ($1 IS NULL OR s.repository = $1) AND ($2 IS NULL OR s.reflection_type = ANY ($2)) AND ($3 IS NULL OR s.state = ANY ($3))'
    INTO plan USING only_repository, only_types, only_states;
  RETURN (plan -> 0 -> 'Plan' ->> 'Plan Rows')::float8;
END
$$;

-- The reflections that differ in the fewest signs, by comparing all that pass. The difference is no plain operator in the
-- order, so that no index answers it.
CREATE OR REPLACE FUNCTION facteur.candidates_by_scan(
  wanted bit,
  query_version text,
  only_repository text,
  only_types text[],
  only_states text[],
  excluded uuid[],
  row_limit int
) RETURNS uuid[]
LANGUAGE plpgsql STABLE
SET plan_cache_mode = force_custom_plan
AS $$
BEGIN
  RETURN ARRAY(
    SELECT s.reflection_id FROM facteur.reflection_standing s
    WHERE s.embedding_version = query_version
      AND (only_repository IS NULL OR s.repository = only_repository)
      AND (only_types IS NULL OR s.reflection_type = ANY (only_types))
      AND (only_states IS NULL OR s.state = ANY (only_states))
      AND (excluded IS NULL OR s.reflection_id <> ALL (excluded))
    ORDER BY (s.signs <~> wanted) + 0 LIMIT row_limit);
END
$$;

-- The same by reading the index in the order of difference. Sorting is off because the planner would rather compare all.
CREATE OR REPLACE FUNCTION facteur.candidates_in_index(
  wanted bit,
  query_version text,
  only_repository text,
  only_types text[],
  only_states text[],
  excluded uuid[],
  row_limit int
) RETURNS uuid[]
LANGUAGE plpgsql STABLE
SET plan_cache_mode = force_custom_plan
SET enable_sort = off
SET hnsw.iterative_scan = relaxed_order
SET hnsw.ef_search = 80
SET hnsw.max_scan_tuples = 4000
AS $$
BEGIN
  RETURN ARRAY(
    SELECT s.reflection_id FROM facteur.reflection_standing s
    WHERE s.embedding_version = query_version
      AND (only_repository IS NULL OR s.repository = only_repository)
      AND (only_types IS NULL OR s.reflection_type = ANY (only_types))
      AND (only_states IS NULL OR s.state = ANY (only_states))
      AND (excluded IS NULL OR s.reflection_id <> ALL (excluded))
    ORDER BY s.signs <~> wanted LIMIT row_limit);
END
$$;

-- The nearest reflections that pass the filters, of several times as many by their signs: the farther all of them are, the more
-- it takes, and behind a filter they are farther. Comparing the signs of 25,000 rows takes about as long as reading the
-- index, and misses nothing.
CREATE OR REPLACE FUNCTION facteur.nearest_in_index(
  query_embedding vector,
  query_version text,
  only_repository text,
  only_types text[],
  only_states text[],
  excluded_runs uuid[],
  excluded_reflections uuid[],
  row_limit int,
  expected float8
) RETURNS uuid[]
LANGUAGE plpgsql STABLE AS $$
DECLARE
  wanted CONSTANT bit(1536) := facteur.embedding_signs(query_embedding);
  excluded CONSTANT uuid[] := excluded_reflections || CASE WHEN excluded_runs IS NOT NULL THEN
    ARRAY(SELECT r.id FROM codex_kb.reflections r WHERE r.task_run_id = ANY (excluded_runs)) END;
  candidates uuid[];
BEGIN
  IF expected <= 25000 THEN
    candidates := facteur.candidates_by_scan(wanted, query_version, only_repository, only_types, only_states, excluded,
      greatest(100, 3 * row_limit));
  ELSE
    candidates := facteur.candidates_in_index(wanted, query_version, only_repository, only_types, only_states, excluded,
      greatest(50, 2 * row_limit));
  END IF;
  RETURN facteur.nearest_of(candidates, query_embedding, query_version, NULL, NULL, row_limit);
END
$$;

-- As before, but it does not look how many pass the filters where many are expected.
CREATE OR REPLACE FUNCTION facteur.search_reflections(
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
  expected CONSTANT float8 := facteur.expected_reflections(only_repository, only_types, only_states);
  eligible uuid[];
  narrow boolean;
  by_vector uuid[] := '{}';
  by_words uuid[] := '{}';
  wanted tsquery;
BEGIN
  -- The estimate may be old, but not so old that tens of thousands are a few.
  narrow := expected <= 10 * exact_below;
  IF narrow THEN
    SELECT array_agg(s.reflection_id) INTO eligible FROM (
      SELECT s.reflection_id FROM facteur.reflection_standing s
      WHERE (only_repository IS NULL OR s.repository = only_repository)
        AND (only_types IS NULL OR s.reflection_type = ANY (only_types))
        AND (only_states IS NULL OR s.state = ANY (only_states))
      LIMIT exact_below + 1
    ) s;
    narrow := coalesce(cardinality(eligible), 0) <= exact_below;
  END IF;

  IF query_embedding IS NOT NULL AND narrow THEN
    by_vector := facteur.nearest_of(eligible, query_embedding, query_version, excluded_runs, excluded_reflections, vector_depth);
  ELSIF query_embedding IS NOT NULL THEN
    by_vector := facteur.nearest_in_index(
      query_embedding, query_version, only_repository, only_types, only_states, excluded_runs, excluded_reflections, vector_depth,
      expected);
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

  -- The fusion of two rankings takes longer to plan than one ranking takes to return.
  IF query_text IS NULL THEN
    RETURN QUERY
      SELECT r.id, CASE WHEN r.embedding_version = query_version THEN nullif(1 - (r.embedding <=> query_embedding), 'NaN') END,
        near.place::int, NULL::int, 1.0::float8 / (60 + near.place)
      FROM unnest(by_vector) WITH ORDINALITY AS near (id, place) JOIN codex_kb.reflections r ON r.id = near.id
      ORDER BY near.place LIMIT row_limit;
    RETURN;
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

DROP FUNCTION IF EXISTS facteur.nearest_in_index(vector, text, text, text[], text[], uuid[], uuid[], int);
DROP INDEX CONCURRENTLY IF EXISTS codex_kb.idx_reflections_nearest;
DROP INDEX CONCURRENTLY IF EXISTS facteur.reflection_standing_repository;
