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
CREATE INDEX CONCURRENTLY reflection_standing_compared ON facteur.reflection_standing (repository, state)
  INCLUDE (reflection_type, embedding_version, signs, reflection_id);

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
  row_limit int
) RETURNS uuid[]
LANGUAGE plpgsql STABLE AS $$
DECLARE
  wanted CONSTANT bit(1536) := facteur.embedding_signs(query_embedding);
  excluded CONSTANT uuid[] := excluded_reflections || CASE WHEN excluded_runs IS NOT NULL THEN
    ARRAY(SELECT r.id FROM codex_kb.reflections r WHERE r.task_run_id = ANY (excluded_runs)) END;
  candidates uuid[];
BEGIN
  IF facteur.expected_reflections(only_repository, only_types, only_states) <= 25000 THEN
    candidates := facteur.candidates_by_scan(wanted, query_version, only_repository, only_types, only_states, excluded,
      greatest(100, 3 * row_limit));
  ELSE
    candidates := facteur.candidates_in_index(wanted, query_version, only_repository, only_types, only_states, excluded,
      greatest(50, 2 * row_limit));
  END IF;
  RETURN facteur.nearest_of(candidates, query_embedding, query_version, NULL, NULL, row_limit);
END
$$;

DROP INDEX CONCURRENTLY IF EXISTS codex_kb.idx_reflections_nearest;
DROP INDEX CONCURRENTLY IF EXISTS facteur.reflection_standing_repository;
