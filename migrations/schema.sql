-- Written by "npm run db:dump" from the migrations: read it, but change those.

-- Schemas.
CREATE SCHEMA codex_kb;
CREATE SCHEMA facteur;

-- Functions may use what comes after them.
SET check_function_bodies = off;

-- Functions.
CREATE OR REPLACE FUNCTION facteur.candidates_by_scan(wanted bit, query_version text, only_repository text, only_types text[], only_states text[], excluded uuid[], row_limit integer)
 RETURNS uuid[]
 LANGUAGE plpgsql
 STABLE
 SET plan_cache_mode TO 'force_custom_plan'
AS $function$
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
$function$
;
CREATE OR REPLACE FUNCTION facteur.candidates_in_index(wanted bit, query_version text, only_repository text, only_types text[], only_states text[], excluded uuid[], row_limit integer)
 RETURNS uuid[]
 LANGUAGE plpgsql
 STABLE
 SET plan_cache_mode TO 'force_custom_plan'
 SET enable_sort TO 'off'
AS $function$
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
$function$
;
CREATE OR REPLACE FUNCTION facteur.embedding_signs(embedding vector)
 RETURNS bit
 LANGUAGE plpgsql
 IMMUTABLE PARALLEL SAFE STRICT
 SET search_path TO 'pg_catalog', 'pg_temp'
AS $function$
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
$function$
;
CREATE OR REPLACE FUNCTION facteur.expected_reflections(only_repository text, only_types text[], only_states text[])
 RETURNS double precision
 LANGUAGE plpgsql
AS $function$
DECLARE
  plan json;
BEGIN
  EXECUTE 'EXPLAIN (FORMAT JSON) SELECT FROM facteur.reflection_standing s
    WHERE ($1 IS NULL OR s.repository = $1) AND ($2 IS NULL OR s.reflection_type = ANY ($2)) AND ($3 IS NULL OR s.state = ANY ($3))'
    INTO plan USING only_repository, only_types, only_states;
  RETURN (plan -> 0 -> 'Plan' ->> 'Plan Rows')::float8;
END
$function$
;
CREATE OR REPLACE FUNCTION facteur.keep_standing()
 RETURNS trigger
 LANGUAGE plpgsql
 SECURITY DEFINER
 SET search_path TO 'pg_catalog', 'pg_temp'
AS $function$
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
$function$
;
CREATE OR REPLACE FUNCTION facteur.mix_halves(embedding vector, turn integer)
 RETURNS vector
 LANGUAGE sql
 IMMUTABLE PARALLEL SAFE STRICT
RETURN (((subvector(embedding, (turn + 1), (768 - turn)) || subvector(embedding, 1, turn)) + subvector(embedding, 769, 768)) || ((subvector(embedding, (turn + 1), (768 - turn)) || subvector(embedding, 1, turn)) - subvector(embedding, 769, 768)))
;
CREATE OR REPLACE FUNCTION facteur.nearest_in_index(query_embedding vector, query_version text, only_repository text, only_types text[], only_states text[], excluded_runs uuid[], excluded_reflections uuid[], row_limit integer, expected double precision)
 RETURNS uuid[]
 LANGUAGE plpgsql
 STABLE
AS $function$
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
$function$
;
CREATE OR REPLACE FUNCTION facteur.nearest_of(candidates uuid[], query_embedding vector, query_version text, excluded_runs uuid[], excluded_reflections uuid[], row_limit integer)
 RETURNS uuid[]
 LANGUAGE sql
 STABLE
AS $function$
  SELECT array_agg(near.id ORDER BY near.distance, near.id) FROM (
    SELECT r.id, (r.embedding <=> query_embedding) + 0 AS distance
    FROM unnest(candidates) AS candidate (id) JOIN codex_kb.reflections r ON r.id = candidate.id
    WHERE r.embedding_version = query_version AND r.embedding IS NOT NULL
      AND (excluded_runs IS NULL OR r.task_run_id <> ALL (excluded_runs))
      AND (excluded_reflections IS NULL OR r.id <> ALL (excluded_reflections))
    ORDER BY distance, r.id LIMIT row_limit
  ) near WHERE near.distance <> 'NaN'
$function$
;
CREATE OR REPLACE FUNCTION facteur.quantized(embedding vector)
 RETURNS bit
 LANGUAGE sql
 IMMUTABLE PARALLEL SAFE STRICT
RETURN binary_quantize(embedding)
;
CREATE OR REPLACE FUNCTION facteur.rarest_terms(content text, reach double precision)
 RETURNS tsquery
 LANGUAGE sql
 STABLE
AS $function$
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
$function$
;
CREATE OR REPLACE FUNCTION facteur.reflection_terms(content text)
 RETURNS tsvector
 LANGUAGE sql
 IMMUTABLE
AS $function$
  SELECT to_tsvector('pg_catalog.english', left(content, 65536))
$function$
;
CREATE OR REPLACE FUNCTION facteur.run_repository(run uuid)
 RETURNS text
 LANGUAGE sql
 STABLE
AS $function$
  SELECT lower(coalesce(nullif(t.metadata ->> 'repository', ''),
    CASE WHEN i.source_type IN ('github_issue', 'github.issue') THEN regexp_replace(i.source_ref, '#[^#]*$', '') END, ''))
  FROM codex_kb.task_runs r JOIN codex_kb.tasks t ON t.id = r.task_id JOIN codex_kb.ideas i ON i.id = t.idea_id
  WHERE r.id = run
$function$
;
CREATE OR REPLACE FUNCTION facteur.search_reflections(query_text text, query_embedding vector, query_version text, only_repository text, only_types text[], only_states text[], excluded_runs uuid[], excluded_reflections uuid[], row_limit integer, exact_below integer DEFAULT 1000)
 RETURNS TABLE(reflection_id uuid, similarity double precision, vector_place integer, word_place integer, score double precision)
 LANGUAGE plpgsql
 STABLE ROWS 10
 SET plan_cache_mode TO 'force_custom_plan'
AS $function$
#variable_conflict use_column
DECLARE
  depth CONSTANT int := greatest(50, row_limit);

  vector_depth CONSTANT int := CASE WHEN query_text IS NULL THEN row_limit ELSE depth END;

  most_ranked CONSTANT int := 4000;
  expected CONSTANT float8 := facteur.expected_reflections(only_repository, only_types, only_states);
  eligible uuid[];
  narrow boolean;
  by_vector uuid[] := '{}';
  by_words uuid[] := '{}';
  wanted tsquery;
BEGIN

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
$function$
;
CREATE OR REPLACE FUNCTION facteur.unit_embedding(embedding vector)
 RETURNS vector
 LANGUAGE sql
 IMMUTABLE PARALLEL SAFE STRICT
RETURN l2_normalize(embedding)
;

-- Sequences of serial columns (identity columns make their own).
CREATE SEQUENCE codex_kb.run_events_id_seq;

-- Tables.
CREATE TABLE codex_kb.artifacts (
  id uuid DEFAULT gen_random_uuid() NOT NULL,
  task_run_id uuid NOT NULL,
  artifact_type text NOT NULL,
  uri text NOT NULL,
  checksum text,
  metadata jsonb DEFAULT '{}'::jsonb NOT NULL,
  created_at timestamp with time zone DEFAULT now() NOT NULL
);
CREATE TABLE codex_kb.ideas (
  id uuid DEFAULT gen_random_uuid() NOT NULL,
  source_type text NOT NULL,
  source_ref text NOT NULL,
  priority smallint DEFAULT 0 NOT NULL,
  status text NOT NULL,
  risk_flags jsonb DEFAULT '{}'::jsonb NOT NULL,
  payload jsonb NOT NULL,
  created_at timestamp with time zone DEFAULT now() NOT NULL,
  updated_at timestamp with time zone DEFAULT now() NOT NULL
);
CREATE TABLE codex_kb.policy_checks (
  id uuid DEFAULT gen_random_uuid() NOT NULL,
  idea_id uuid NOT NULL,
  task_run_id uuid,
  policy_key text NOT NULL,
  status text NOT NULL,
  evidence_uri text,
  metadata jsonb DEFAULT '{}'::jsonb NOT NULL,
  created_at timestamp with time zone DEFAULT now() NOT NULL
);
CREATE TABLE codex_kb.reflections (
  id uuid DEFAULT gen_random_uuid() NOT NULL,
  task_run_id uuid NOT NULL,
  author text,
  reflection_type text NOT NULL,
  content text NOT NULL,
  embedding vector(1536),
  embedding_version text,
  metadata jsonb DEFAULT '{}'::jsonb NOT NULL,
  created_at timestamp with time zone DEFAULT now() NOT NULL,
  updated_at timestamp with time zone DEFAULT now() NOT NULL
);
CREATE TABLE codex_kb.run_events (
  id bigint DEFAULT nextval('codex_kb.run_events_id_seq'::regclass) NOT NULL,
  task_run_id uuid NOT NULL,
  event_type text NOT NULL,
  actor text,
  payload jsonb DEFAULT '{}'::jsonb NOT NULL,
  emitted_at timestamp with time zone DEFAULT now() NOT NULL
);
CREATE TABLE codex_kb.run_metrics (
  task_run_id uuid NOT NULL,
  queue_latency_ms bigint,
  runtime_ms bigint,
  retry_latency_ms bigint,
  resource_usage jsonb DEFAULT '{}'::jsonb NOT NULL,
  created_at timestamp with time zone DEFAULT now() NOT NULL
);
CREATE TABLE codex_kb.task_dependencies (
  task_id uuid NOT NULL,
  depends_on_task_id uuid NOT NULL,
  dependency_type text DEFAULT 'hard'::text NOT NULL,
  created_at timestamp with time zone DEFAULT now() NOT NULL
);
CREATE TABLE codex_kb.task_runs (
  id uuid DEFAULT gen_random_uuid() NOT NULL,
  task_id uuid NOT NULL,
  external_run_id text,
  status text NOT NULL,
  queued_at timestamp with time zone DEFAULT now() NOT NULL,
  started_at timestamp with time zone,
  completed_at timestamp with time zone,
  input_ref text,
  output_ref text,
  retry_count smallint DEFAULT 0 NOT NULL,
  error_code text,
  metadata jsonb DEFAULT '{}'::jsonb NOT NULL,
  created_at timestamp with time zone DEFAULT now() NOT NULL,
  updated_at timestamp with time zone DEFAULT now() NOT NULL,
  delivery_id text NOT NULL
);
CREATE TABLE codex_kb.task_runs_history (
  archived_run_id uuid NOT NULL,
  task_id uuid NOT NULL,
  snapshot jsonb NOT NULL,
  archived_at timestamp with time zone DEFAULT now() NOT NULL,
  retention_class text DEFAULT 'default'::text NOT NULL
);
CREATE TABLE codex_kb.tasks (
  id uuid DEFAULT gen_random_uuid() NOT NULL,
  idea_id uuid NOT NULL,
  stage text NOT NULL,
  state text NOT NULL,
  assignee text,
  sla_deadline timestamp with time zone,
  metadata jsonb DEFAULT '{}'::jsonb NOT NULL,
  created_at timestamp with time zone DEFAULT now() NOT NULL,
  updated_at timestamp with time zone DEFAULT now() NOT NULL
);
CREATE TABLE facteur.approvals (
  run_id uuid NOT NULL,
  key text NOT NULL,
  kind text NOT NULL,
  workflow_uid text NOT NULL,
  node_id text NOT NULL,
  node text NOT NULL,
  template text NOT NULL,
  started_at text NOT NULL,
  fields jsonb NOT NULL,
  rules jsonb NOT NULL,
  seen_version bigint,
  state text DEFAULT 'waiting'::text NOT NULL,
  requested_at timestamp with time zone DEFAULT now() NOT NULL,
  expires_at timestamp with time zone,
  votes jsonb DEFAULT '{}'::jsonb NOT NULL,
  verdict text,
  decided_by text DEFAULT ''::text NOT NULL,
  decided_at timestamp with time zone,
  reason text DEFAULT ''::text NOT NULL,
  outputs jsonb DEFAULT '{}'::jsonb NOT NULL,
  applied_at timestamp with time zone,
  problem text DEFAULT ''::text NOT NULL,
  attempts integer DEFAULT 0 NOT NULL,
  claims integer DEFAULT 0 NOT NULL,
  due_at timestamp with time zone,
  ask_at timestamp with time zone,
  ask_claims integer DEFAULT 0 NOT NULL,
  ask_channel text DEFAULT ''::text NOT NULL,
  ask_message text DEFAULT ''::text NOT NULL,
  on_exit boolean DEFAULT false NOT NULL
);
CREATE TABLE facteur.command_syncs (
  application_id text NOT NULL,
  guild_id text NOT NULL,
  sha256 text NOT NULL,
  synced_at timestamp with time zone DEFAULT now() NOT NULL,
  due_at timestamp with time zone NOT NULL,
  problem text DEFAULT ''::text NOT NULL
);
CREATE TABLE facteur.dead_letters (
  id bigint GENERATED ALWAYS AS IDENTITY NOT NULL,
  door text NOT NULL,
  delivery_id text DEFAULT ''::text NOT NULL,
  reason text NOT NULL,
  attempts integer DEFAULT 1 NOT NULL,
  headers jsonb DEFAULT '{}'::jsonb NOT NULL,
  body bytea NOT NULL,
  created_at timestamp with time zone DEFAULT now() NOT NULL,
  source text DEFAULT ''::text NOT NULL,
  settled_at timestamp with time zone,
  outcome text DEFAULT ''::text NOT NULL,
  run_id uuid
);
CREATE TABLE facteur.goose_db_version (
  id integer GENERATED BY DEFAULT AS IDENTITY NOT NULL,
  version_id bigint NOT NULL,
  is_applied boolean NOT NULL,
  tstamp timestamp without time zone DEFAULT now() NOT NULL
);
CREATE TABLE facteur.leases (
  name text NOT NULL,
  holder text NOT NULL,
  expires_at timestamp with time zone NOT NULL
);
CREATE TABLE facteur.messages (
  run_id uuid NOT NULL,
  interaction_id text NOT NULL,
  channel_id text NOT NULL,
  message_id text DEFAULT ''::text NOT NULL,
  ephemeral boolean DEFAULT false NOT NULL,
  token_refused boolean DEFAULT false NOT NULL,
  posts smallint DEFAULT 0 NOT NULL,
  told_revision integer DEFAULT 0 NOT NULL,
  told_state text DEFAULT ''::text NOT NULL,
  told_at timestamp with time zone,
  abandoned text DEFAULT ''::text NOT NULL,
  claims integer DEFAULT 0 NOT NULL,
  attempts integer DEFAULT 0 NOT NULL,
  due_at timestamp with time zone,
  not_before timestamp with time zone DEFAULT now() NOT NULL,
  created_at timestamp with time zone DEFAULT now() NOT NULL,
  ping text DEFAULT ''::text NOT NULL,
  pinged_at timestamp with time zone,
  quiet boolean DEFAULT false NOT NULL,
  told_queue text DEFAULT ''::text NOT NULL
);
CREATE TABLE facteur.migrations (
  version integer NOT NULL,
  name text NOT NULL,
  sha256 text NOT NULL,
  breaking boolean DEFAULT false NOT NULL,
  applied_at timestamp with time zone DEFAULT now() NOT NULL
);
CREATE TABLE facteur.open_runs (
  run_id uuid NOT NULL,
  line text NOT NULL,
  in_cluster boolean NOT NULL,
  due_at timestamp with time zone,
  claimed_until timestamp with time zone
);
CREATE TABLE facteur.reflection_standing (
  reflection_id uuid NOT NULL,
  repository text DEFAULT ''::text NOT NULL,
  reflection_type text NOT NULL,
  state text DEFAULT 'quarantined'::text NOT NULL,
  reason text DEFAULT ''::text NOT NULL,
  decided_by text DEFAULT ''::text NOT NULL,
  terms tsvector NOT NULL,
  created_at timestamp with time zone DEFAULT now() NOT NULL,
  updated_at timestamp with time zone DEFAULT now() NOT NULL,
  signs bit(1536),
  embedding_version text
);
CREATE TABLE facteur.reflection_uses (
  run_id uuid NOT NULL,
  reflection_id uuid NOT NULL,
  place smallint NOT NULL,
  similarity real,
  decided_at timestamp with time zone DEFAULT now() NOT NULL
);
CREATE TABLE facteur.refusals (
  id bigint GENERATED ALWAYS AS IDENTITY NOT NULL,
  door text NOT NULL,
  delivery_id text NOT NULL,
  command text NOT NULL,
  user_id text NOT NULL,
  reason text NOT NULL,
  created_at timestamp with time zone DEFAULT now() NOT NULL
);
CREATE TABLE facteur.registered_commands (
  application_id text NOT NULL,
  guild_id text NOT NULL,
  name text NOT NULL,
  discord_id text DEFAULT ''::text NOT NULL,
  origin text NOT NULL,
  registered_at timestamp with time zone DEFAULT now() NOT NULL
);
CREATE TABLE facteur.retrievals (
  run_id uuid NOT NULL,
  strategy text NOT NULL,
  repository text NOT NULL,
  asked_by text NOT NULL,
  composition json,
  decided_at timestamp with time zone DEFAULT now() NOT NULL
);
CREATE TABLE facteur.runs (
  run_id uuid NOT NULL,
  accepted_at timestamp with time zone NOT NULL,
  retry_of uuid,
  taken_over boolean DEFAULT false NOT NULL,
  delivery_id text NOT NULL,
  delivery_key text NOT NULL,
  kind text NOT NULL,
  command text NOT NULL,
  title text DEFAULT ''::text NOT NULL,
  door text NOT NULL,
  namespace text NOT NULL,
  workflow_name text NOT NULL,
  correlation_id text NOT NULL,
  traceparent text NOT NULL,
  user_id text NOT NULL,
  guild_id text NOT NULL,
  channel_id text NOT NULL,
  plan json,
  workflow_uid text,
  submitted_at timestamp with time zone,
  started_at timestamp with time zone,
  finished_at timestamp with time zone,
  updated_at timestamp with time zone DEFAULT now() NOT NULL,
  resource_version bigint,
  revision integer DEFAULT 1 NOT NULL,
  attempts integer DEFAULT 0 NOT NULL,
  claims integer DEFAULT 0 NOT NULL,
  retry_count integer DEFAULT 0 NOT NULL,
  withdrawn boolean DEFAULT false NOT NULL,
  state text NOT NULL,
  previous_state text,
  failure text GENERATED ALWAYS AS (
CASE
    WHEN (state <> ALL (ARRAY['queued'::text, 'submitted'::text, 'running'::text, 'succeeded'::text])) THEN state
    ELSE NULL::text
END) STORED,
  progress text DEFAULT ''::text NOT NULL,
  step text DEFAULT ''::text NOT NULL,
  reason text DEFAULT ''::text NOT NULL,
  results jsonb DEFAULT '[]'::jsonb NOT NULL,
  cancel_requested_by text,
  refused_since timestamp with time zone
);

-- Owners of sequences.
ALTER SEQUENCE codex_kb.run_events_id_seq OWNED BY codex_kb.run_events.id;

-- Constraints (NOT NULL stands with its column).
ALTER TABLE codex_kb.artifacts ADD CONSTRAINT artifacts_pkey PRIMARY KEY (id);
ALTER TABLE codex_kb.ideas ADD CONSTRAINT ideas_pkey PRIMARY KEY (id);
ALTER TABLE codex_kb.ideas ADD CONSTRAINT ideas_source_unique UNIQUE (source_type, source_ref);
ALTER TABLE codex_kb.policy_checks ADD CONSTRAINT policy_checks_pkey PRIMARY KEY (id);
ALTER TABLE codex_kb.reflections ADD CONSTRAINT reflections_pkey PRIMARY KEY (id);
ALTER TABLE codex_kb.reflections ADD CONSTRAINT reflections_task_run_type_unique UNIQUE (task_run_id, reflection_type);
ALTER TABLE codex_kb.run_events ADD CONSTRAINT run_events_pkey PRIMARY KEY (id);
ALTER TABLE codex_kb.run_metrics ADD CONSTRAINT run_metrics_pkey PRIMARY KEY (task_run_id);
ALTER TABLE codex_kb.task_dependencies ADD CONSTRAINT task_dependencies_pkey PRIMARY KEY (task_id, depends_on_task_id);
ALTER TABLE codex_kb.task_runs ADD CONSTRAINT task_runs_delivery_unique UNIQUE (delivery_id);
ALTER TABLE codex_kb.task_runs ADD CONSTRAINT task_runs_pkey PRIMARY KEY (id);
ALTER TABLE codex_kb.task_runs_history ADD CONSTRAINT task_runs_history_pkey PRIMARY KEY (archived_run_id);
ALTER TABLE codex_kb.tasks ADD CONSTRAINT tasks_idea_stage_unique UNIQUE (idea_id, stage);
ALTER TABLE codex_kb.tasks ADD CONSTRAINT tasks_pkey PRIMARY KEY (id);
ALTER TABLE facteur.approvals ADD CONSTRAINT approvals_kind CHECK ((kind = ANY (ARRAY['node'::text, 'suspended'::text, 'offloaded'::text])));
ALTER TABLE facteur.approvals ADD CONSTRAINT approvals_pkey PRIMARY KEY (run_id, key);
ALTER TABLE facteur.approvals ADD CONSTRAINT approvals_state CHECK ((state = ANY (ARRAY['waiting'::text, 'deciding'::text, 'approved'::text, 'rejected'::text, 'gone'::text])));
ALTER TABLE facteur.approvals ADD CONSTRAINT approvals_verdict CHECK ((verdict = ANY (ARRAY['approved'::text, 'rejected'::text])));
ALTER TABLE facteur.command_syncs ADD CONSTRAINT command_syncs_pkey PRIMARY KEY (application_id, guild_id);
ALTER TABLE facteur.dead_letters ADD CONSTRAINT dead_letters_outcome_check CHECK ((outcome = ANY (ARRAY[''::text, 'replayed'::text, 'dropped'::text])));
ALTER TABLE facteur.dead_letters ADD CONSTRAINT dead_letters_pkey PRIMARY KEY (id);
ALTER TABLE facteur.goose_db_version ADD CONSTRAINT goose_db_version_pkey PRIMARY KEY (id);
ALTER TABLE facteur.leases ADD CONSTRAINT leases_pkey PRIMARY KEY (name);
ALTER TABLE facteur.messages ADD CONSTRAINT messages_pkey PRIMARY KEY (run_id);
ALTER TABLE facteur.migrations ADD CONSTRAINT migrations_pkey PRIMARY KEY (version);
ALTER TABLE facteur.open_runs ADD CONSTRAINT open_runs_line_check CHECK ((line = ANY (ARRAY['create'::text, 'retry'::text, 'stop'::text])));
ALTER TABLE facteur.open_runs ADD CONSTRAINT open_runs_pkey PRIMARY KEY (run_id);
ALTER TABLE facteur.reflection_standing ADD CONSTRAINT reflection_standing_pkey PRIMARY KEY (reflection_id);
ALTER TABLE facteur.reflection_standing ADD CONSTRAINT reflection_standing_state_check CHECK ((state = ANY (ARRAY['quarantined'::text, 'trusted'::text, 'retired'::text])));
ALTER TABLE facteur.reflection_uses ADD CONSTRAINT reflection_uses_pkey PRIMARY KEY (run_id, reflection_id);
ALTER TABLE facteur.refusals ADD CONSTRAINT refusals_pkey PRIMARY KEY (id);
ALTER TABLE facteur.registered_commands ADD CONSTRAINT registered_commands_pkey PRIMARY KEY (application_id, guild_id, name);
ALTER TABLE facteur.retrievals ADD CONSTRAINT retrievals_pkey PRIMARY KEY (run_id);
ALTER TABLE facteur.retrievals ADD CONSTRAINT retrievals_strategy_check CHECK ((strategy = ANY (ARRAY['retrieve'::text, 'holdout'::text, 'disabled'::text, 'nothing_similar'::text, 'timed_out'::text])));
ALTER TABLE facteur.runs ADD CONSTRAINT runs_delivery_unique UNIQUE (delivery_id);
ALTER TABLE facteur.runs ADD CONSTRAINT runs_kind_check CHECK ((kind = ANY (ARRAY['command'::text, 'codex'::text])));
ALTER TABLE facteur.runs ADD CONSTRAINT runs_pkey PRIMARY KEY (run_id);
ALTER TABLE facteur.runs ADD CONSTRAINT runs_state_moves CHECK (
CASE
    WHEN (previous_state IS NULL) THEN (state = 'queued'::text)
    ELSE (((previous_state || '>'::text) || state) = ANY (ARRAY['queued>submitted'::text, 'queued>refused'::text, 'queued>skipped'::text, 'queued>canceled'::text, 'submitted>running'::text, 'submitted>succeeded'::text, 'submitted>failed'::text, 'submitted>error'::text, 'submitted>canceled'::text, 'submitted>lost'::text, 'running>succeeded'::text, 'running>failed'::text, 'running>error'::text, 'running>canceled'::text, 'running>lost'::text, 'succeeded>running'::text, 'failed>running'::text, 'error>running'::text, 'canceled>running'::text]))
END);
ALTER TABLE facteur.runs ADD CONSTRAINT runs_workflow_unique UNIQUE (workflow_name, namespace);
ALTER TABLE codex_kb.artifacts ADD CONSTRAINT artifacts_task_run_id_fkey FOREIGN KEY (task_run_id) REFERENCES codex_kb.task_runs(id) ON DELETE CASCADE;
ALTER TABLE codex_kb.policy_checks ADD CONSTRAINT policy_checks_idea_id_fkey FOREIGN KEY (idea_id) REFERENCES codex_kb.ideas(id) ON DELETE CASCADE;
ALTER TABLE codex_kb.policy_checks ADD CONSTRAINT policy_checks_task_run_id_fkey FOREIGN KEY (task_run_id) REFERENCES codex_kb.task_runs(id) ON DELETE SET NULL;
ALTER TABLE codex_kb.reflections ADD CONSTRAINT reflections_task_run_id_fkey FOREIGN KEY (task_run_id) REFERENCES codex_kb.task_runs(id) ON DELETE CASCADE;
ALTER TABLE codex_kb.run_events ADD CONSTRAINT run_events_task_run_id_fkey FOREIGN KEY (task_run_id) REFERENCES codex_kb.task_runs(id) ON DELETE CASCADE;
ALTER TABLE codex_kb.run_metrics ADD CONSTRAINT run_metrics_task_run_id_fkey FOREIGN KEY (task_run_id) REFERENCES codex_kb.task_runs(id) ON DELETE CASCADE;
ALTER TABLE codex_kb.task_dependencies ADD CONSTRAINT task_dependencies_depends_on_task_id_fkey FOREIGN KEY (depends_on_task_id) REFERENCES codex_kb.tasks(id) ON DELETE CASCADE;
ALTER TABLE codex_kb.task_dependencies ADD CONSTRAINT task_dependencies_task_id_fkey FOREIGN KEY (task_id) REFERENCES codex_kb.tasks(id) ON DELETE CASCADE;
ALTER TABLE codex_kb.task_runs ADD CONSTRAINT task_runs_task_id_fkey FOREIGN KEY (task_id) REFERENCES codex_kb.tasks(id) ON DELETE CASCADE;
ALTER TABLE codex_kb.task_runs_history ADD CONSTRAINT task_runs_history_task_id_fkey FOREIGN KEY (task_id) REFERENCES codex_kb.tasks(id) ON DELETE CASCADE;
ALTER TABLE codex_kb.tasks ADD CONSTRAINT tasks_idea_id_fkey FOREIGN KEY (idea_id) REFERENCES codex_kb.ideas(id) ON DELETE CASCADE;
ALTER TABLE facteur.approvals ADD CONSTRAINT approvals_run_id_fkey FOREIGN KEY (run_id) REFERENCES facteur.runs(run_id) ON DELETE CASCADE;
ALTER TABLE facteur.messages ADD CONSTRAINT messages_run_id_fkey FOREIGN KEY (run_id) REFERENCES facteur.runs(run_id) ON DELETE CASCADE;
ALTER TABLE facteur.reflection_standing ADD CONSTRAINT reflection_standing_reflection_id_fkey FOREIGN KEY (reflection_id) REFERENCES codex_kb.reflections(id) ON DELETE CASCADE;
ALTER TABLE facteur.reflection_uses ADD CONSTRAINT reflection_uses_reflection_id_fkey FOREIGN KEY (reflection_id) REFERENCES codex_kb.reflections(id) ON DELETE CASCADE;
ALTER TABLE facteur.reflection_uses ADD CONSTRAINT reflection_uses_run_id_fkey FOREIGN KEY (run_id) REFERENCES facteur.retrievals(run_id) ON DELETE CASCADE;
ALTER TABLE facteur.retrievals ADD CONSTRAINT retrievals_run_id_fkey FOREIGN KEY (run_id) REFERENCES facteur.runs(run_id) ON DELETE CASCADE;

-- Indices (those of constraints stand with them).
CREATE INDEX idx_artifacts_run_type ON codex_kb.artifacts USING btree (task_run_id, artifact_type);
CREATE UNIQUE INDEX idx_artifacts_uri ON codex_kb.artifacts USING btree (uri);
CREATE INDEX idx_policy_checks_idea_policy_created ON codex_kb.policy_checks USING btree (idea_id, policy_key, created_at DESC);
CREATE INDEX idx_policy_checks_run ON codex_kb.policy_checks USING btree (task_run_id) WHERE (task_run_id IS NOT NULL);
CREATE INDEX idx_reflections_version ON codex_kb.reflections USING btree (embedding_version);
CREATE INDEX idx_run_events_emitted ON codex_kb.run_events USING btree (emitted_at);
CREATE INDEX idx_run_events_run_emitted ON codex_kb.run_events USING btree (task_run_id, emitted_at);
CREATE INDEX idx_run_metrics_queue ON codex_kb.run_metrics USING btree (queue_latency_ms);
CREATE INDEX idx_run_metrics_runtime ON codex_kb.run_metrics USING btree (runtime_ms);
CREATE INDEX idx_task_runs_external_run ON codex_kb.task_runs USING btree (external_run_id);
CREATE INDEX idx_task_runs_history_task ON codex_kb.task_runs_history USING btree (task_id);
CREATE INDEX idx_task_runs_status_updated ON codex_kb.task_runs USING btree (status, updated_at DESC);
CREATE INDEX idx_task_runs_task_created ON codex_kb.task_runs USING btree (task_id, created_at DESC);
CREATE INDEX idx_tasks_state_updated ON codex_kb.tasks USING btree (state, updated_at DESC);
CREATE UNIQUE INDEX run_events_key ON codex_kb.run_events USING btree (task_run_id, ((payload ->> 'idempotencyKey'::text))) WHERE (payload ? 'idempotencyKey'::text);
CREATE INDEX approvals_ask ON facteur.approvals USING btree (ask_at) WHERE (ask_at IS NOT NULL);
CREATE INDEX approvals_due ON facteur.approvals USING btree (due_at) WHERE (due_at IS NOT NULL);
CREATE INDEX approvals_open ON facteur.approvals USING btree (requested_at) WHERE (state = ANY (ARRAY['waiting'::text, 'deciding'::text]));
CREATE INDEX dead_letters_created ON facteur.dead_letters USING btree (created_at);
CREATE INDEX dead_letters_open ON facteur.dead_letters USING btree (id) WHERE (settled_at IS NULL);
CREATE INDEX dead_letters_settled ON facteur.dead_letters USING btree (settled_at) WHERE (settled_at IS NOT NULL);
CREATE UNIQUE INDEX dead_letters_source ON facteur.dead_letters USING btree (source) WHERE (source <> ''::text);
CREATE INDEX messages_due ON facteur.messages USING btree (due_at) WHERE (due_at IS NOT NULL);
CREATE INDEX open_runs_due ON facteur.open_runs USING btree (due_at) WHERE (due_at IS NOT NULL);
CREATE INDEX open_runs_in_cluster ON facteur.open_runs USING btree (run_id) WHERE in_cluster;
CREATE INDEX open_runs_line ON facteur.open_runs USING btree (line, due_at) WHERE ((due_at IS NOT NULL) AND (line <> 'create'::text));
CREATE INDEX reflection_standing_compared ON facteur.reflection_standing USING btree (repository, state, embedding_version) INCLUDE (signs, reflection_id, reflection_type);
CREATE INDEX reflection_standing_signs ON facteur.reflection_standing USING hnsw (signs bit_hamming_ops) WITH (m='24', ef_construction='400');
CREATE INDEX reflection_standing_state ON facteur.reflection_standing USING btree (state) WHERE (state <> 'trusted'::text);
CREATE INDEX reflection_standing_terms ON facteur.reflection_standing USING gin (terms) WITH (fastupdate=off);
CREATE INDEX reflection_standing_type ON facteur.reflection_standing USING btree (reflection_type);
CREATE INDEX reflection_standing_waiting ON facteur.reflection_standing USING btree (repository, updated_at DESC, reflection_id) WHERE ((state = 'quarantined'::text) AND (decided_by = ANY (ARRAY[''::text, 'facteur'::text])));
CREATE INDEX reflection_uses_latest ON facteur.reflection_uses USING btree (reflection_id, decided_at DESC, run_id DESC);
CREATE INDEX refusals_command ON facteur.refusals USING btree (command, id);
CREATE INDEX refusals_created ON facteur.refusals USING btree (created_at);
CREATE INDEX refusals_user ON facteur.refusals USING btree (user_id, id);
CREATE INDEX runs_accepted ON facteur.runs USING btree (accepted_at DESC, run_id DESC);
CREATE INDEX runs_command ON facteur.runs USING btree (command, accepted_at DESC, run_id DESC);
CREATE UNIQUE INDEX runs_delivery_key ON facteur.runs USING btree (delivery_key);
CREATE INDEX runs_failure ON facteur.runs USING btree (failure, accepted_at DESC, run_id DESC) WHERE (failure IS NOT NULL);
CREATE INDEX runs_updated ON facteur.runs USING brin (updated_at) WITH (pages_per_range='16', autosummarize='on');
CREATE INDEX runs_user ON facteur.runs USING btree (user_id, accepted_at DESC) WHERE (user_id <> ''::text);
CREATE INDEX runs_whole ON facteur.runs USING btree (accepted_at, run_id) WHERE (plan IS NOT NULL);
CREATE INDEX runs_withdrawn ON facteur.runs USING btree (retry_of) WHERE withdrawn;

-- Views.
CREATE VIEW facteur.idea_summary_view AS
 SELECT i.id AS idea_id,
    i.source_type,
    i.source_ref,
    i.priority,
    i.status,
    i.created_at,
    i.updated_at,
    tasks.tasks,
    tasks.tasks_succeeded,
    runs.runs + archived.runs AS runs,
    archived.runs AS runs_archived,
    runs.runs_live,
    runs.last_run_at,
    last_run.status AS last_run_status,
    runs.reflections,
    runs.artifacts,
    ( SELECT count(*)::integer AS count
           FROM codex_kb.policy_checks c
          WHERE c.idea_id = i.id AND c.status = 'fail'::text) AS checks_failed
   FROM codex_kb.ideas i
     CROSS JOIN LATERAL ( SELECT count(*)::integer AS tasks,
            count(*) FILTER (WHERE t.state = 'succeeded'::text)::integer AS tasks_succeeded
           FROM codex_kb.tasks t
          WHERE t.idea_id = i.id) tasks
     CROSS JOIN LATERAL ( SELECT count(*)::integer AS runs,
            count(*) FILTER (WHERE COALESCE(f.state, r.status) = ANY (ARRAY['queued'::text, 'submitted'::text, 'running'::text]))::integer AS runs_live,
            max(r.created_at) AS last_run_at,
            COALESCE(sum(( SELECT count(*) AS count
                   FROM codex_kb.reflections e
                  WHERE e.task_run_id = r.id)), 0::numeric)::integer AS reflections,
            COALESCE(sum(( SELECT count(*) AS count
                   FROM codex_kb.artifacts a
                  WHERE a.task_run_id = r.id)), 0::numeric)::integer AS artifacts
           FROM codex_kb.tasks t
             JOIN codex_kb.task_runs r ON r.task_id = t.id
             LEFT JOIN facteur.runs f ON f.run_id = r.id
          WHERE t.idea_id = i.id) runs
     CROSS JOIN LATERAL ( SELECT count(*)::integer AS runs
           FROM codex_kb.tasks t
             JOIN codex_kb.task_runs_history h ON h.task_id = t.id
          WHERE t.idea_id = i.id) archived
     LEFT JOIN LATERAL ( SELECT COALESCE(f.state, r.status) AS status
           FROM codex_kb.tasks t
             JOIN codex_kb.task_runs r ON r.task_id = t.id
             LEFT JOIN facteur.runs f ON f.run_id = r.id
          WHERE t.idea_id = i.id
          ORDER BY r.created_at DESC, r.id DESC
         LIMIT 1) last_run ON true;
CREATE VIEW facteur.task_ready_view AS
 SELECT t.id AS task_id,
    t.idea_id,
    i.source_type,
    i.source_ref,
    i.priority,
    t.stage,
    t.state,
    t.assignee,
    t.sla_deadline,
    t.created_at,
    ( SELECT count(*)::integer AS count
           FROM codex_kb.task_dependencies d
             JOIN codex_kb.tasks b ON b.id = d.depends_on_task_id
          WHERE d.task_id = t.id AND d.dependency_type = 'soft'::text AND b.state <> 'succeeded'::text) AS soft_dependencies_open
   FROM codex_kb.tasks t
     JOIN codex_kb.ideas i ON i.id = t.idea_id
  WHERE (t.state <> ALL (ARRAY['succeeded'::text, 'failed'::text, 'error'::text, 'canceled'::text, 'lost'::text, 'refused'::text, 'skipped'::text])) AND NOT (EXISTS ( SELECT
           FROM codex_kb.task_runs r
          WHERE r.task_id = t.id)) AND NOT (EXISTS ( SELECT
           FROM codex_kb.task_runs_history h
          WHERE h.task_id = t.id)) AND NOT (EXISTS ( SELECT
           FROM codex_kb.task_dependencies d
             JOIN codex_kb.tasks b ON b.id = d.depends_on_task_id
          WHERE d.task_id = t.id AND d.dependency_type <> 'soft'::text AND b.state <> 'succeeded'::text));

-- Triggers.
CREATE TRIGGER reflection_rewritten AFTER UPDATE OF content, embedding, embedding_version ON codex_kb.reflections FOR EACH ROW WHEN (old.content IS DISTINCT FROM new.content OR old.embedding::text IS DISTINCT FROM new.embedding::text OR old.embedding_version IS DISTINCT FROM new.embedding_version) EXECUTE FUNCTION facteur.keep_standing();
CREATE TRIGGER reflection_written AFTER INSERT ON codex_kb.reflections FOR EACH ROW EXECUTE FUNCTION facteur.keep_standing();
