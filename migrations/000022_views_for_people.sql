-- For people with psql and for dashboards; facteur itself reads the tables.
--
-- Tasks that could begin: nothing has run for them yet, and all that they depend on has succeeded. A soft dependency only
-- says what would be better to have first.
CREATE VIEW facteur.task_ready_view AS
SELECT t.id AS task_id, t.idea_id, i.source_type, i.source_ref, i.priority, t.stage, t.state, t.assignee, t.sla_deadline,
  t.created_at,
  (SELECT count(*)::int FROM codex_kb.task_dependencies d JOIN codex_kb.tasks b ON b.id = d.depends_on_task_id
    WHERE d.task_id = t.id AND d.dependency_type = 'soft' AND b.state <> 'succeeded') AS soft_dependencies_open
FROM codex_kb.tasks t JOIN codex_kb.ideas i ON i.id = t.idea_id
WHERE t.state NOT IN ('succeeded', 'failed', 'error', 'canceled', 'lost', 'refused', 'skipped')
  AND NOT EXISTS (SELECT FROM codex_kb.task_runs r WHERE r.task_id = t.id)
  AND NOT EXISTS (SELECT FROM codex_kb.task_runs_history h WHERE h.task_id = t.id)
  AND NOT EXISTS (SELECT FROM codex_kb.task_dependencies d JOIN codex_kb.tasks b ON b.id = d.depends_on_task_id
    WHERE d.task_id = t.id AND d.dependency_type <> 'soft' AND b.state <> 'succeeded');

-- What became of each idea. facteur.runs is where the state of a run changes first. Runs count also when they are archived; what they reported counts while they are not.
CREATE VIEW facteur.idea_summary_view AS
SELECT i.id AS idea_id, i.source_type, i.source_ref, i.priority, i.status, i.created_at, i.updated_at,
  tasks.tasks, tasks.tasks_succeeded, runs.runs + archived.runs AS runs, archived.runs AS runs_archived, runs.runs_live,
  runs.last_run_at, last_run.status AS last_run_status, runs.reflections, runs.artifacts,
  (SELECT count(*)::int FROM codex_kb.policy_checks c WHERE c.idea_id = i.id AND c.status = 'fail') AS checks_failed
FROM codex_kb.ideas i
CROSS JOIN LATERAL (
  SELECT count(*)::int AS tasks, count(*) FILTER (WHERE t.state = 'succeeded')::int AS tasks_succeeded
  FROM codex_kb.tasks t WHERE t.idea_id = i.id
) tasks
CROSS JOIN LATERAL (
  SELECT count(*)::int AS runs, count(*) FILTER (WHERE coalesce(f.state, r.status) IN ('queued', 'submitted', 'running'))::int AS runs_live,
    max(r.created_at) AS last_run_at,
    coalesce(sum((SELECT count(*) FROM codex_kb.reflections e WHERE e.task_run_id = r.id)), 0)::int AS reflections,
    coalesce(sum((SELECT count(*) FROM codex_kb.artifacts a WHERE a.task_run_id = r.id)), 0)::int AS artifacts
  FROM codex_kb.tasks t JOIN codex_kb.task_runs r ON r.task_id = t.id LEFT JOIN facteur.runs f ON f.run_id = r.id
  WHERE t.idea_id = i.id
) runs
CROSS JOIN LATERAL (
  SELECT count(*)::int AS runs FROM codex_kb.tasks t JOIN codex_kb.task_runs_history h ON h.task_id = t.id WHERE t.idea_id = i.id
) archived
LEFT JOIN LATERAL (
  SELECT coalesce(f.state, r.status) AS status FROM codex_kb.tasks t JOIN codex_kb.task_runs r ON r.task_id = t.id
    LEFT JOIN facteur.runs f ON f.run_id = r.id
  WHERE t.idea_id = i.id
  ORDER BY r.created_at DESC, r.id DESC LIMIT 1
) last_run ON true;
