-- pg_restore and pg_upgrade run with an empty search path, in which IS DISTINCT FROM finds no operator for vectors: they failed
-- here, or left the trigger out. As texts, embeddings are compared by an operator of pg_catalog.
CREATE OR REPLACE TRIGGER reflection_rewritten AFTER UPDATE OF content, embedding, embedding_version ON codex_kb.reflections
  FOR EACH ROW WHEN (OLD.content IS DISTINCT FROM NEW.content OR OLD.embedding::text IS DISTINCT FROM NEW.embedding::text
    OR OLD.embedding_version IS DISTINCT FROM NEW.embedding_version)
  EXECUTE FUNCTION facteur.keep_standing();

-- Only a superuser may give pgvector's settings to a function before pgvector is loaded, as when a dump is restored. They last
-- until the end of the transaction.
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
AS $$
BEGIN
  PERFORM set_config('hnsw.iterative_scan', 'relaxed_order', true), set_config('hnsw.ef_search', '80', true),
    set_config('hnsw.max_scan_tuples', '4000', true);
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
