/**
 * The data in the examples of the routes: one run of `/plan` and everything that belongs to it. A test checks every example
 * against the schemas of its route, and sends every request.
 */
const RUN_ID = '3f0c2a9e-5b7d-4f6a-9c1e-8d2b4a6c0e13';
const IDEA_ID = '7a1d9c52-0e4b-4c38-a6f5-2b9e8d7c6f01';
const TASK_ID = 'c58e2f74-9d3a-4b16-8f0c-1a2b3c4d5e6f';
const OTHER_TASK_ID = 'd69f3085-ae4b-4c27-9a1d-2b3c4d5e6f70';
const AT = '2026-11-28T12:00:00.000Z';

export const RUN_PARAMS = { runId: RUN_ID };
export const IDEA_PARAMS = { ideaId: IDEA_ID };
export const TASK_PARAMS = { taskId: TASK_ID };
export const DEPENDENCY_PARAMS = { taskId: TASK_ID, dependsOnTaskId: OTHER_TASK_ID };
export const LETTER_PARAMS = { letterId: '17' };

export const A_RUN = {
  runId: RUN_ID,
  deliveryId: 'nightly-2026-11-28',
  kind: 'command',
  command: 'plan',
  title: 'Measure the tank',
  door: 'api',
  state: 'running',
  reason: '',
  progress: '1/3',
  namespace: 'argo',
  workflowName: 'plan-20261128-120000-4f9a1c',
  workflowUid: '0b6f7c1d-2e3a-4b5c-8d9e-0f1a2b3c4d5e',
  correlationId: 'plan-20261128-120000-4f9a1c',
  userId: '',
  attempts: 1,
  retryCount: 0,
  retryOf: '',
  cancelRequestedBy: '',
  acceptedAt: AT,
  submittedAt: '2026-11-28T12:00:00.120Z',
  startedAt: '2026-11-28T12:00:02.000Z',
  finishedAt: null,
  revision: 3,
};

export const APPROVAL_PARAMS = { ...RUN_PARAMS, key: '9c1e8d2b4a6c0e13' };

export const AN_APPROVAL = {
  ...APPROVAL_PARAMS,
  command: 'release',
  namespace: 'argo',
  workflowName: 'release-20261128-120000-4f9a1c',
  workflowUid: A_RUN.workflowUid,
  runState: 'running',
  node: 'approve',
  template: 'approve',
  state: 'waiting',
  fields: [{ name: 'version', description: '', preset: null, choices: null }],
  rules: {
    approvers: ['500000000000000001'],
    message: 'Deploy to production?',
    timeoutSeconds: 14_400,
    onTimeout: 'reject',
    selfApproval: false,
    quorum: 2,
    reason: 'optional',
    channel: '',
    problem: '',
    timeoutOutputs: {},
  },
  requestedAt: AT,
  expiresAt: '2026-11-28T16:00:00.000Z',
  votes: { '200000000000000002': { name: 'ada', at: AT } },
  verdict: null,
  decidedBy: '',
  decidedAt: null,
  reason: '',
  outputs: {},
  problem: '',
};

export const AN_EVENT = { at: AT, type: 'state.change', actor: 'api ops', payload: { to: 'queued', door: 'api' } };

export const A_SUBMITTED_RUN = {
  runId: RUN_ID,
  deliveryId: 'nightly-2026-11-28',
  namespace: 'argo',
  workflowName: 'plan-20261128-120000-4f9a1c',
  correlationId: 'plan-20261128-120000-4f9a1c',
  state: 'submitted',
  reason: '',
  acceptedAt: AT,
  duplicate: false,
};

export const AN_ARTIFACT = {
  artifactId: '5d2e8f10-6c3b-4a79-b8d1-9e0f1a2b3c4d',
  type: 'diff',
  uri: 's3://builds/42/change.diff',
  checksum: 'sha256:9f86d081',
  metadata: {},
  createdAt: AT,
};

export const A_REFLECTION = {
  reflectionId: '6e3f9021-7d4c-4b8a-89e2-0f1a2b3c4d5e',
  type: 'failure_postmortem',
  author: `run ${RUN_ID}`,
  content: 'The migration needs pgvector 0.8.',
  embeddingVersion: null,
  metadata: {},
  createdAt: AT,
  updatedAt: AT,
};

export const A_FOUND_REFLECTION = {
  reflectionId: A_REFLECTION.reflectionId,
  runId: RUN_ID,
  repository: 'acme/rocket',
  type: 'failure_postmortem',
  author: A_REFLECTION.author,
  content: A_REFLECTION.content,
  state: 'trusted',
  createdAt: AT,
};

export const A_CHECK = {
  checkId: '8f50b143-9f6e-4dac-9b04-2b3c4d5e6f70',
  policyKey: 'tests.required',
  status: 'pass',
  evidenceUri: 'https://ci.example/builds/42',
  metadata: {},
  createdAt: AT,
};

export const METRICS_NOW = {
  queueLatencyMs: '120',
  runtimeMs: '61000',
  retryLatencyMs: null,
  resourceUsage: { cpuSeconds: 1250 },
};

export const AN_IDEA = {
  ideaId: IDEA_ID,
  sourceType: 'roadmap',
  sourceRef: '2027-Q1/engine',
  priority: 5,
  status: 'received',
  riskFlags: {},
  payload: { title: 'A quieter engine' },
  createdAt: AT,
  updatedAt: AT,
};

export const A_TASK = {
  taskId: TASK_ID,
  ideaId: IDEA_ID,
  stage: 'review',
  state: 'planned',
  assignee: 'ada',
  slaDeadline: '2026-12-24T17:00:00.000Z',
  metadata: {},
  createdAt: AT,
  updatedAt: AT,
};

export const A_DEPENDENCY = { ...DEPENDENCY_PARAMS, type: 'hard' };

export const A_DEAD_LETTER = {
  id: '17',
  door: 'http',
  deliveryId: 'gh-1',
  reason: 'forbidden: none of your roles may run this command',
  attempts: 1,
  bytes: 62,
  createdAt: AT,
  outcome: '',
  runId: '',
};

export const A_REFUSAL = {
  id: '4',
  door: 'discord',
  deliveryId: '1000000000000000000',
  command: 'deploy',
  userId: '42',
  reason: 'the command deploy requires a role that 42 does not have',
  createdAt: AT,
};

export const A_COMMAND = {
  name: 'plan',
  description: 'Plan a change',
  origin: 'built in',
  runs: true,
  roles: [],
  options: [{ name: 'objective', description: 'Goal of the work', type: 'string', required: true }],
  form: null,
  ephemeral: false,
  reports: true,
  target: { namespace: 'argo', workflowTemplate: 'facteur-dispatch', serviceAccount: 'facteur' },
};
