/**
 * Every span of facteur; `docs/metrics.md` explains them. Names are a contract. The span of a database statement has the
 * statement's name.
 */
export const SPANS = {
  /** A command from any door, until it is answered. */
  command: 'facteur.consumer.process_event',
  /** `POST /codex/tasks`, and the task itself. */
  codexRequest: 'facteur.server.codex_tasks',
  codexTask: 'facteur.orchestrator.implement',
  retry: 'facteur.dispatch.retry',
  status: 'facteur.bridge.status',
  create: 'facteur.bridge.dispatch',
  stop: 'facteur.bridge.stop',
  saveReflection: 'knowledge.save_reflection',
  fetchReflections: 'knowledge.fetch_reflections',
  move: 'facteur.follow.move',
  tell: 'facteur.notify.tell',
  /** An incoming request, by route pattern. */
  request: (method: string, route: string | undefined) => (route === undefined ? method : `${method} ${route}`),
  /** An outgoing request, by purpose. */
  call: (method: string, purpose: string) => `${method} ${purpose}`,
  record: (topic: string) => `process ${topic}`,
} as const;
