// Written by `npm run openapi` from docs/openapi.json.

export type Problem = { readonly type: string; readonly title: string; readonly status: number; readonly code: string; readonly detail: string; readonly errors?: readonly ({ readonly field: string; readonly message: string })[] | undefined };

export type SubmittedRun = { readonly runId: string; readonly deliveryId: string; readonly namespace: string; readonly workflowName: string; readonly correlationId: string; readonly state: "queued" | "submitted" | "running" | "succeeded" | "failed" | "error" | "canceled" | "refused" | "skipped" | "lost"; readonly reason: string; readonly acceptedAt: string; readonly duplicate: boolean };

export type RunDetails = { readonly runId: string; readonly deliveryId: string; readonly kind: "command" | "codex"; readonly command: string; readonly title: string; readonly door: string; readonly state: "queued" | "submitted" | "running" | "succeeded" | "failed" | "error" | "canceled" | "refused" | "skipped" | "lost"; readonly reason: string; readonly progress: string; readonly namespace: string; readonly workflowName: string; readonly workflowUid: string; readonly correlationId: string; readonly userId: string; readonly attempts: number; readonly retryCount: number; readonly retryOf: string; readonly cancelRequestedBy: string; readonly acceptedAt: string; readonly submittedAt: string | null; readonly startedAt: string | null; readonly finishedAt: string | null; readonly revision: number; readonly request: { readonly workflowTemplate: string; readonly serviceAccount: string; readonly parameters: { readonly [name: string]: string } } | null; readonly approvals: readonly (Approval)[]; readonly events: readonly (RunEvent)[]; readonly retriedBy: string; readonly traceId: string; readonly links: { readonly workflow?: string | undefined; readonly message?: string | undefined; readonly trace?: string | undefined; readonly retryOf?: string | undefined; readonly retriedBy?: string | undefined } };

export type Approval = { readonly runId: string; readonly key: string; readonly command: string; readonly namespace: string; readonly workflowName: string; readonly workflowUid: string; readonly runState: "queued" | "submitted" | "running" | "succeeded" | "failed" | "error" | "canceled" | "refused" | "skipped" | "lost"; readonly node: string; readonly template: string; readonly state: "waiting" | "deciding" | "approved" | "rejected" | "gone"; readonly fields: readonly (ApprovalField)[]; readonly rules: ApprovalRules; readonly requestedAt: string; readonly expiresAt: string | null; readonly votes: { readonly [name: string]: { readonly name: string; readonly at: string } }; readonly verdict: "approved" | "rejected" | null; readonly decidedBy: string; readonly decidedAt: string | null; readonly reason: string; readonly outputs: { readonly [name: string]: string }; readonly problem: string };

export type ApprovalField = { readonly name: string; readonly description: string; readonly preset: string | null; readonly choices: readonly (string)[] | null };

export type ApprovalRules = { readonly approvers: readonly (string)[]; readonly message: string; readonly timeoutSeconds: number | null; readonly onTimeout: "reject" | "approve" | "leave"; readonly selfApproval: boolean; readonly quorum: number; readonly reason: "required" | "optional" | "none"; readonly channel: string; readonly problem: string; readonly timeoutOutputs: { readonly [name: string]: string } };

export type RunEvent = { readonly at: string; readonly type: string; readonly actor: string; readonly payload: { readonly [name: string]: unknown } };

export type RunLog = { readonly step: string; readonly lines: string; readonly problem: "disabled" | "gone" | "no_step" | "denied" | "silent" | null };

export type Artifact = { readonly artifactId: string; readonly type: string; readonly uri: string; readonly checksum: string | null; readonly metadata: { readonly [name: string]: unknown }; readonly createdAt: string };

export type Reflection = { readonly reflectionId: string; readonly type: string; readonly author: string; readonly content: string; readonly embeddingVersion: string | null; readonly metadata: { readonly [name: string]: unknown }; readonly createdAt: string; readonly updatedAt: string; readonly embedding?: readonly (number)[] | null | undefined };

export type SavedReflection = { readonly reflectionId: string; readonly type: string; readonly author: string; readonly content: string; readonly embeddingVersion: string | null; readonly metadata: { readonly [name: string]: unknown }; readonly createdAt: string; readonly updatedAt: string };

export type RunMetrics = { readonly queueLatencyMs: string | null; readonly runtimeMs: string | null; readonly retryLatencyMs: string | null; readonly resourceUsage: { readonly [name: string]: unknown } };

export type FoundReflection = { readonly reflectionId: string; readonly runId: string; readonly repository: string; readonly type: string; readonly author: string; readonly content: string; readonly state: "quarantined" | "trusted" | "retired"; readonly createdAt: string; readonly rank: number; readonly similarity: number | null; readonly vectorRank: number | null; readonly wordRank: number | null };

export type KnownReflection = { readonly reflectionId: string; readonly runId: string; readonly repository: string; readonly type: string; readonly author: string; readonly content: string; readonly state: "quarantined" | "trusted" | "retired"; readonly createdAt: string; readonly reason: string; readonly decidedBy: string; readonly embeddingVersion: string | null; readonly metadata: { readonly [name: string]: unknown }; readonly updatedAt: string };

export type PolicyCheck = { readonly checkId: string; readonly policyKey: string; readonly status: string; readonly evidenceUri: string | null; readonly metadata: { readonly [name: string]: unknown }; readonly createdAt: string };

export type Idea = { readonly ideaId: string; readonly sourceType: string; readonly sourceRef: string; readonly priority: number; readonly status: string; readonly riskFlags: { readonly [name: string]: unknown }; readonly payload: { readonly [name: string]: unknown }; readonly createdAt: string; readonly updatedAt: string };

export type IdeaDetails = { readonly ideaId: string; readonly sourceType: string; readonly sourceRef: string; readonly priority: number; readonly status: string; readonly riskFlags: { readonly [name: string]: unknown }; readonly payload: { readonly [name: string]: unknown }; readonly createdAt: string; readonly updatedAt: string; readonly tasks: readonly (Task)[] };

export type Task = { readonly taskId: string; readonly ideaId: string; readonly stage: string; readonly state: string; readonly assignee: string | null; readonly slaDeadline: string | null; readonly metadata: { readonly [name: string]: unknown }; readonly createdAt: string; readonly updatedAt: string };

export type TaskDetails = { readonly taskId: string; readonly ideaId: string; readonly stage: string; readonly state: string; readonly assignee: string | null; readonly slaDeadline: string | null; readonly metadata: { readonly [name: string]: unknown }; readonly createdAt: string; readonly updatedAt: string; readonly dependencies: readonly (TaskDependency)[] };

export type TaskDependency = { readonly taskId: string; readonly dependsOnTaskId: string; readonly type: string };

export type ReflectionStanding = { readonly reflectionId: string; readonly runId: string; readonly type: string; readonly repository: string; readonly previousState: "quarantined" | "trusted" | "retired"; readonly state: "quarantined" | "trusted" | "retired"; readonly reason: string; readonly decidedBy: string; readonly isDescendant: boolean };

export type LearningStats = { readonly groups: readonly (LearningGroup)[]; readonly complete: boolean; readonly reflections: { readonly quarantined: number; readonly trusted: number; readonly retired: number } };

export type LearningGroup = { readonly command: string; readonly repository: string; readonly with: SuccessRate; readonly heldOut: SuccessRate; readonly without: SuccessRate; readonly difference: { readonly value: number; readonly low: number; readonly high: number } | null };

export type SuccessRate = { readonly runs: number; readonly succeeded: number; readonly rate: number | null; readonly low: number; readonly high: number };

export type DeadLetter = { readonly id: string; readonly door: string; readonly deliveryId: string; readonly reason: string; readonly attempts: number; readonly bytes: number; readonly createdAt: string; readonly outcome: "" | "replayed" | "dropped"; readonly runId: string };

export type DeadLetterDetails = { readonly id: string; readonly door: string; readonly deliveryId: string; readonly reason: string; readonly attempts: number; readonly bytes: number; readonly createdAt: string; readonly outcome: "" | "replayed" | "dropped"; readonly runId: string; readonly headers: { readonly [name: string]: string }; readonly body: string };

export type Refusal = { readonly id: string; readonly door: string; readonly deliveryId: string; readonly command: string; readonly userId: string; readonly reason: string; readonly createdAt: string };

export type Command = { readonly name: string; readonly description: string; readonly origin: "built in" | "configured" | "template"; readonly runs: boolean; readonly roles: readonly (string)[]; readonly options: readonly ({ readonly name: string; readonly description: string; readonly type: "string" | "integer" | "number" | "boolean"; readonly required: boolean; readonly format?: "date" | undefined; readonly parameter?: string | undefined; readonly meanings?: { readonly [name: string]: string } | undefined; readonly choices?: readonly ({ readonly name: string; readonly value: string })[] | undefined; readonly min?: number | undefined; readonly max?: number | undefined; readonly minLength?: number | undefined; readonly maxLength?: number | undefined; readonly autocomplete?: readonly (string)[] | undefined })[]; readonly form: { readonly title: string; readonly fields: readonly ({ readonly name: string; readonly label: string; readonly style: "short" | "paragraph"; readonly required: boolean; readonly minLength?: number | undefined; readonly maxLength?: number | undefined; readonly placeholder?: string | undefined })[] } | null; readonly ephemeral: boolean; readonly reports: boolean; readonly target: { readonly namespace: string; readonly workflowTemplate: string; readonly serviceAccount: string } };

export type RunCounts = { readonly since: string; readonly counts: { readonly queued: number; readonly submitted: number; readonly running: number; readonly succeeded: number; readonly failed: number; readonly error: number; readonly canceled: number; readonly refused: number; readonly skipped: number; readonly lost: number }; readonly complete: boolean };

export type Run = { readonly runId: string; readonly deliveryId: string; readonly kind: "command" | "codex"; readonly command: string; readonly title: string; readonly door: string; readonly state: "queued" | "submitted" | "running" | "succeeded" | "failed" | "error" | "canceled" | "refused" | "skipped" | "lost"; readonly reason: string; readonly progress: string; readonly namespace: string; readonly workflowName: string; readonly workflowUid: string; readonly correlationId: string; readonly userId: string; readonly attempts: number; readonly retryCount: number; readonly retryOf: string; readonly cancelRequestedBy: string; readonly acceptedAt: string; readonly submittedAt: string | null; readonly startedAt: string | null; readonly finishedAt: string | null; readonly revision: number };

/** By `operationId`. */
export interface Operations {
  readonly listRuns: { readonly request: { readonly query?: { readonly state?: string | undefined; readonly command?: string | undefined; readonly user?: string | undefined; readonly reference?: string | undefined; readonly since?: string | undefined; readonly door?: string | undefined; readonly text?: string | undefined; readonly limit?: string | undefined; readonly cursor?: string | undefined } }; readonly answer: { readonly runs: readonly (Run)[]; readonly next: string | null } };
  readonly submitRun: { readonly request: { readonly body: { readonly command?: string | undefined; readonly options?: { readonly [name: string]: string } | undefined; readonly user?: { readonly id: string; readonly username?: string | undefined; readonly roles?: readonly (string)[] | undefined } | undefined; readonly correlationId?: string | undefined; readonly codexTask?: { readonly [name: string]: unknown } | undefined } }; readonly answer: SubmittedRun };
  readonly getRun: { readonly request: { readonly path: { readonly runId: string } }; readonly answer: RunDetails };
  readonly getRunLog: { readonly request: { readonly path: { readonly runId: string }; readonly query?: { readonly step?: string | undefined } }; readonly answer: RunLog };
  readonly cancelRun: { readonly request: { readonly path: { readonly runId: string } }; readonly answer: { readonly runId: string; readonly state: "queued" | "submitted" | "running" | "succeeded" | "failed" | "error" | "canceled" | "refused" | "skipped" | "lost" } };
  readonly retryRun: { readonly request: { readonly path: { readonly runId: string } }; readonly answer: { readonly runId: string; readonly workflowName: string; readonly duplicate: boolean } };
  readonly listApprovals: { readonly request: { readonly query?: { readonly state?: string | undefined; readonly run?: string | undefined; readonly command?: string | undefined; readonly limit?: string | undefined; readonly cursor?: string | undefined } }; readonly answer: { readonly approvals: readonly (Approval)[]; readonly next: string | null } };
  readonly approve: { readonly request: { readonly path: { readonly runId: string; readonly key: string }; readonly body: { readonly outputs?: { readonly [name: string]: string } | undefined; readonly reason?: string | undefined } }; readonly answer: Approval };
  readonly reject: { readonly request: { readonly path: { readonly runId: string; readonly key: string }; readonly body: { readonly reason?: string | undefined } }; readonly answer: Approval };
  readonly streamRuns: { readonly request: {}; readonly answer: undefined };
  readonly listRunEvents: { readonly request: { readonly path: { readonly runId: string } }; readonly answer: { readonly events: readonly (RunEvent)[] } };
  readonly addRunEvent: { readonly request: { readonly path: { readonly runId: string }; readonly body: { readonly type: string; readonly payload?: { readonly [name: string]: unknown } | undefined } }; readonly answer: { readonly at: string } };
  readonly listArtifacts: { readonly request: { readonly path: { readonly runId: string }; readonly query?: { readonly type?: string | undefined } }; readonly answer: { readonly artifacts: readonly (Artifact)[] } };
  readonly addArtifact: { readonly request: { readonly path: { readonly runId: string }; readonly body: { readonly type: string; readonly uri: string; readonly checksum?: string | undefined; readonly metadata?: { readonly [name: string]: unknown } | undefined } }; readonly answer: Artifact };
  readonly listReflections: { readonly request: { readonly path: { readonly runId: string }; readonly query?: { readonly include?: "embedding" | undefined } }; readonly answer: { readonly reflections: readonly (Reflection)[] } };
  readonly saveReflection: { readonly request: { readonly path: { readonly runId: string; readonly type: string }; readonly body: { readonly content: string; readonly author?: string | undefined; readonly metadata?: { readonly [name: string]: unknown } | undefined; readonly embedding?: readonly (number)[] | undefined; readonly embeddingVersion?: string | undefined } }; readonly answer: SavedReflection };
  readonly addSsfoPair: { readonly request: { readonly path: { readonly runId: string }; readonly body: { readonly retrievedAnswer: string; readonly nonRetrievedAnswer: string; readonly promptContext: string } }; readonly answer: Artifact };
  readonly putRetrievalLog: { readonly request: { readonly path: { readonly runId: string }; readonly body: { readonly [name: string]: unknown } }; readonly answer: Artifact };
  readonly getRunMetrics: { readonly request: { readonly path: { readonly runId: string } }; readonly answer: RunMetrics };
  readonly putRunMetrics: { readonly request: { readonly path: { readonly runId: string }; readonly body: { readonly queueLatencyMs?: number | undefined; readonly runtimeMs?: number | undefined; readonly retryLatencyMs?: number | undefined; readonly resourceUsage?: { readonly [name: string]: unknown } | undefined } }; readonly answer: RunMetrics };
  readonly searchReflections: { readonly request: { readonly body: { readonly text?: string | undefined; readonly embedding?: readonly (number)[] | undefined; readonly embeddingVersion?: string | undefined; readonly repository?: string | undefined; readonly types?: readonly (string)[] | undefined; readonly states?: readonly ("quarantined" | "trusted" | "retired")[] | undefined; readonly excludeRuns?: readonly (string)[] | undefined; readonly excludeReflections?: readonly (string)[] | undefined; readonly limit?: number | undefined } }; readonly answer: { readonly embeddingVersion: string | null; readonly reflections: readonly (FoundReflection)[] } };
  readonly getReflection: { readonly request: { readonly path: { readonly reflectionId: string } }; readonly answer: KnownReflection };
  readonly listPolicyChecks: { readonly request: { readonly path: { readonly runId: string }; readonly query?: { readonly policyKey?: string | undefined } }; readonly answer: { readonly checks: readonly (PolicyCheck)[] } };
  readonly addPolicyCheck: { readonly request: { readonly path: { readonly runId: string }; readonly body: { readonly policyKey: string; readonly status: "pass" | "fail" | "waived"; readonly evidenceUri?: string | undefined; readonly metadata?: { readonly [name: string]: unknown } | undefined } }; readonly answer: PolicyCheck };
  readonly recordRouterDecision: { readonly request: { readonly path: { readonly runId: string }; readonly body: { readonly strategy: string; readonly retrievalUsed: boolean; readonly notes?: string | undefined } }; readonly answer: PolicyCheck };
  readonly recordAnomalyResult: { readonly request: { readonly path: { readonly runId: string }; readonly body: { readonly kind: string; readonly outcome: "pass" | "fail" | "waived"; readonly payload?: { readonly [name: string]: unknown } | undefined } }; readonly answer: PolicyCheck };
  readonly listIdeaChecks: { readonly request: { readonly path: { readonly ideaId: string }; readonly query?: { readonly policyKey?: string | undefined; readonly limit?: string | undefined; readonly cursor?: string | undefined } }; readonly answer: { readonly checks: readonly (PolicyCheck)[]; readonly next: string | null } };
  readonly recordPromotionGate: { readonly request: { readonly path: { readonly ideaId: string }; readonly body: { readonly candidateVersion: string; readonly faithfulnessDelta: number; readonly retrievalGain: number; readonly approved: boolean } }; readonly answer: PolicyCheck };
  readonly listIdeas: { readonly request: { readonly query?: { readonly sourceType?: string | undefined; readonly sourceRef?: string | undefined; readonly limit?: string | undefined; readonly cursor?: string | undefined } }; readonly answer: { readonly ideas: readonly (Idea)[]; readonly next: string | null } };
  readonly addIdea: { readonly request: { readonly body: { readonly sourceType: string; readonly sourceRef: string; readonly status?: string | undefined; readonly priority?: number | undefined; readonly riskFlags?: { readonly [name: string]: unknown } | undefined; readonly payload?: { readonly [name: string]: unknown } | undefined } }; readonly answer: Idea };
  readonly getIdea: { readonly request: { readonly path: { readonly ideaId: string } }; readonly answer: IdeaDetails };
  readonly changeIdea: { readonly request: { readonly path: { readonly ideaId: string }; readonly body: { readonly status?: string | undefined; readonly priority?: number | undefined; readonly riskFlags?: { readonly [name: string]: unknown } | undefined } }; readonly answer: Idea };
  readonly listTasks: { readonly request: { readonly query: { readonly state: string; readonly limit?: string | undefined; readonly cursor?: string | undefined } }; readonly answer: { readonly tasks: readonly (Task)[]; readonly next: string | null } };
  readonly addTask: { readonly request: { readonly path: { readonly ideaId: string }; readonly body: { readonly stage: string; readonly state?: string | undefined; readonly assignee?: string | undefined; readonly slaDeadline?: string | undefined; readonly metadata?: { readonly [name: string]: unknown } | undefined } }; readonly answer: Task };
  readonly getTask: { readonly request: { readonly path: { readonly taskId: string } }; readonly answer: TaskDetails };
  readonly changeTask: { readonly request: { readonly path: { readonly taskId: string }; readonly body: { readonly state?: string | undefined; readonly assignee?: string | null | undefined; readonly slaDeadline?: string | null | undefined; readonly metadata?: { readonly [name: string]: unknown } | undefined } }; readonly answer: Task };
  readonly putDependency: { readonly request: { readonly path: { readonly taskId: string; readonly dependsOnTaskId: string }; readonly body: { readonly type?: "hard" | "soft" | "approval" | "artifact" | undefined } }; readonly answer: TaskDependency };
  readonly deleteDependency: { readonly request: { readonly path: { readonly taskId: string; readonly dependsOnTaskId: string } }; readonly answer: undefined };
  readonly trustReflections: { readonly request: { readonly body: { readonly reflectionIds: readonly (string)[]; readonly reason?: string | undefined } }; readonly answer: { readonly reflections: readonly (ReflectionStanding)[] } };
  readonly retireReflections: { readonly request: { readonly body: { readonly reflectionIds: readonly (string)[]; readonly reason?: string | undefined; readonly withDescendants?: boolean | undefined } }; readonly answer: { readonly reflections: readonly (ReflectionStanding)[]; readonly descendants: number } };
  readonly getLearningStats: { readonly request: { readonly query?: { readonly days?: string | undefined } }; readonly answer: LearningStats };
  readonly scheduleEmbeddingRefresh: { readonly request: { readonly body: { readonly version: string; readonly notes?: string | undefined } }; readonly answer: SubmittedRun };
  readonly listDeadLetters: { readonly request: { readonly query?: { readonly limit?: string | undefined; readonly after?: string | undefined } }; readonly answer: { readonly deadLetters: readonly (DeadLetter)[] } };
  readonly getDeadLetter: { readonly request: { readonly path: { readonly letterId: string } }; readonly answer: DeadLetterDetails };
  readonly replayDeadLetter: { readonly request: { readonly path: { readonly letterId: string } }; readonly answer: SubmittedRun };
  readonly dropDeadLetter: { readonly request: { readonly path: { readonly letterId: string } }; readonly answer: { readonly id: string; readonly outcome: "dropped" } };
  readonly listRefusals: { readonly request: { readonly query?: { readonly limit?: string | undefined; readonly before?: string | undefined; readonly command?: string | undefined; readonly user?: string | undefined } }; readonly answer: { readonly refusals: readonly (Refusal)[] } };
  readonly listCommands: { readonly request: {}; readonly answer: { readonly commands: readonly (Command)[] } };
  readonly countRuns: { readonly request: { readonly query?: { readonly since?: string | undefined } }; readonly answer: RunCounts };
  readonly getDocument: { readonly request: {}; readonly answer: { readonly [name: string]: unknown } };
}

/** The method and path of each operation, and a field that its answers have; empty if unknown. */
export const OPERATIONS = {
  listRuns: { method: 'GET', path: '/v1/runs', answers: 'runs' },
  submitRun: { method: 'POST', path: '/v1/runs', answers: 'runId' },
  getRun: { method: 'GET', path: '/v1/runs/{runId}', answers: 'runId' },
  getRunLog: { method: 'GET', path: '/v1/runs/{runId}/log', answers: 'step' },
  cancelRun: { method: 'POST', path: '/v1/runs/{runId}/cancel', answers: 'runId' },
  retryRun: { method: 'POST', path: '/v1/runs/{runId}/retry', answers: 'runId' },
  listApprovals: { method: 'GET', path: '/v1/approvals', answers: 'approvals' },
  approve: { method: 'POST', path: '/v1/runs/{runId}/approvals/{key}/approve', answers: 'runId' },
  reject: { method: 'POST', path: '/v1/runs/{runId}/approvals/{key}/reject', answers: 'runId' },
  streamRuns: { method: 'GET', path: '/v1/runs/stream', answers: '' },
  listRunEvents: { method: 'GET', path: '/v1/runs/{runId}/events', answers: 'events' },
  addRunEvent: { method: 'POST', path: '/v1/runs/{runId}/events', answers: 'at' },
  listArtifacts: { method: 'GET', path: '/v1/runs/{runId}/artifacts', answers: 'artifacts' },
  addArtifact: { method: 'POST', path: '/v1/runs/{runId}/artifacts', answers: 'artifactId' },
  listReflections: { method: 'GET', path: '/v1/runs/{runId}/reflections', answers: 'reflections' },
  saveReflection: { method: 'PUT', path: '/v1/runs/{runId}/reflections/{type}', answers: 'reflectionId' },
  addSsfoPair: { method: 'POST', path: '/v1/runs/{runId}/ssfo-pairs', answers: 'artifactId' },
  putRetrievalLog: { method: 'PUT', path: '/v1/runs/{runId}/retrieval-log', answers: 'artifactId' },
  getRunMetrics: { method: 'GET', path: '/v1/runs/{runId}/metrics', answers: 'queueLatencyMs' },
  putRunMetrics: { method: 'PUT', path: '/v1/runs/{runId}/metrics', answers: 'queueLatencyMs' },
  searchReflections: { method: 'POST', path: '/v1/reflections/search', answers: 'embeddingVersion' },
  getReflection: { method: 'GET', path: '/v1/reflections/{reflectionId}', answers: 'reflectionId' },
  listPolicyChecks: { method: 'GET', path: '/v1/runs/{runId}/policy-checks', answers: 'checks' },
  addPolicyCheck: { method: 'POST', path: '/v1/runs/{runId}/policy-checks', answers: 'checkId' },
  recordRouterDecision: { method: 'POST', path: '/v1/runs/{runId}/router-decisions', answers: 'checkId' },
  recordAnomalyResult: { method: 'POST', path: '/v1/runs/{runId}/anomalies', answers: 'checkId' },
  listIdeaChecks: { method: 'GET', path: '/v1/ideas/{ideaId}/policy-checks', answers: 'checks' },
  recordPromotionGate: { method: 'POST', path: '/v1/ideas/{ideaId}/promotion-gates', answers: 'checkId' },
  listIdeas: { method: 'GET', path: '/v1/ideas', answers: 'ideas' },
  addIdea: { method: 'POST', path: '/v1/ideas', answers: 'ideaId' },
  getIdea: { method: 'GET', path: '/v1/ideas/{ideaId}', answers: 'ideaId' },
  changeIdea: { method: 'PATCH', path: '/v1/ideas/{ideaId}', answers: 'ideaId' },
  listTasks: { method: 'GET', path: '/v1/tasks', answers: 'tasks' },
  addTask: { method: 'POST', path: '/v1/ideas/{ideaId}/tasks', answers: 'taskId' },
  getTask: { method: 'GET', path: '/v1/tasks/{taskId}', answers: 'taskId' },
  changeTask: { method: 'PATCH', path: '/v1/tasks/{taskId}', answers: 'taskId' },
  putDependency: { method: 'PUT', path: '/v1/tasks/{taskId}/dependencies/{dependsOnTaskId}', answers: 'taskId' },
  deleteDependency: { method: 'DELETE', path: '/v1/tasks/{taskId}/dependencies/{dependsOnTaskId}', answers: '' },
  trustReflections: { method: 'POST', path: '/v1/reflections/trust', answers: 'reflections' },
  retireReflections: { method: 'POST', path: '/v1/reflections/retire', answers: 'reflections' },
  getLearningStats: { method: 'GET', path: '/v1/knowledge/stats', answers: 'groups' },
  scheduleEmbeddingRefresh: { method: 'POST', path: '/v1/embedding-refreshes', answers: 'runId' },
  listDeadLetters: { method: 'GET', path: '/v1/dead-letters', answers: 'deadLetters' },
  getDeadLetter: { method: 'GET', path: '/v1/dead-letters/{letterId}', answers: 'id' },
  replayDeadLetter: { method: 'POST', path: '/v1/dead-letters/{letterId}/replay', answers: 'runId' },
  dropDeadLetter: { method: 'POST', path: '/v1/dead-letters/{letterId}/drop', answers: 'id' },
  listRefusals: { method: 'GET', path: '/v1/refusals', answers: 'refusals' },
  listCommands: { method: 'GET', path: '/v1/commands', answers: 'commands' },
  countRuns: { method: 'GET', path: '/v1/run-counts', answers: 'since' },
  getDocument: { method: 'GET', path: '/v1/openapi.json', answers: '' },
} as const;
