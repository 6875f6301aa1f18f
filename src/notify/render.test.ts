import fc from 'fast-check';
import { describe, expect, test } from 'vitest';
import { RUN_STATES } from '../domain/run-state.ts';
import { after, CREATED, RUN, sceneOf, type MessageScene } from '../../test/support/message-scenes.ts';
import { applyMessage, NOTHING, pingsOf } from '../../sandbox/discord/message-rules.ts';
import { renderRun } from './render.ts';
import type { RenderOptions, ShownRun } from './shown-run.ts';

const EXAMPLES: readonly MessageScene[] = [
  ['accepted', {}],
  ['accepted, the cluster is away', { reason: 'the cluster did not answer' }],
  ['next in the queue', { queue: { ahead: 0, active: 0, heldUp: '' } }],
  ['in the queue, since the limit is reached', { queue: { ahead: 2, active: 5, heldUp: '' } }, { maxActive: 5 }],
  ['in the queue, since one workflow may run', { queue: { ahead: 1, active: 1, heldUp: '' } }, { maxActive: 1 }],
  [
    'far behind in the queue, since the cluster is away',
    { queue: { ahead: 101, active: 0, heldUp: 'the cluster did not answer' } },
    { maxActive: 5 },
  ],
  ['submitted', { ...CREATED, state: 'submitted', startedAt: null }],
  ['submitted, no Argo UI configured', { ...CREATED, state: 'submitted', startedAt: null }, { uiUrl: undefined }],
  ['running, before the first step is done', { ...CREATED, state: 'running', progress: '0/7' }],
  ['running', { ...CREATED, state: 'running', progress: '3/7' }],
  [
    'running, at a step, of a command that has run before',
    { ...CREATED, state: 'running', progress: '3/7', step: 'build' },
    { usualMs: 245_000 },
  ],
  [
    'submitted, and waiting for a lock',
    { ...CREATED, state: 'submitted', startedAt: null, step: 'Waiting for argo/Mutex/deploy lock' },
  ],
  [
    'a retry',
    { ...CREATED, state: 'running', progress: '1/7', retryOf: { guildId: '1', channelId: '2', messageId: '3' } },
  ],
  [
    'a retry that a client of the API requested',
    {
      ...CREATED,
      state: 'submitted',
      startedAt: null,
      door: 'api',
      actor: 'api ops',
      retryOf: { guildId: '1', channelId: '2', messageId: '3' },
    },
  ],
  ['requested by a relay', { ...CREATED, state: 'running', progress: '1/7', door: 'kafka', actor: 'facteur' }],
  [
    'failed and retried',
    {
      ...CREATED,
      state: 'failed',
      finishedAt: after(75),
      reason: 'exit code 1',
      retriedBy: { guildId: '1', channelId: '2', messageId: '4' },
    },
  ],
  [
    'succeeded, with results',
    {
      ...CREATED,
      state: 'succeeded',
      progress: '7/7',
      finishedAt: after(255),
      results: [
        { name: 'summary', value: 'Two services changed.\nNo migration.' },
        { name: 'pull_request_url', value: 'https://github.com/proompteng/lab/pull/12' },
        { name: 'url', value: 'http://internal/report' },
      ],
    },
  ],
  [
    'canceled by somebody',
    { ...CREATED, state: 'canceled', finishedAt: after(30), canceledBy: 'discord user 200000000000000002 (bob)' },
  ],
  ['canceled from a terminal', { ...CREATED, state: 'canceled', finishedAt: after(30), canceledBy: 'api ops' }],
  ['running, somebody pressed Cancel', { ...CREATED, state: 'running', progress: '3/7', cancelRequested: true }],
  ['succeeded', { ...CREATED, state: 'succeeded', progress: '7/7', finishedAt: after(255) }],
  [
    'failed',
    {
      ...CREATED,
      state: 'failed',
      progress: '3/7',
      finishedAt: after(75),
      reason: 'build: Error (exit code 2): make: *** [all] Error 2',
    },
  ],
  ['failed, and Argo retries it', { ...CREATED, state: 'running', progress: '4/7', retryCount: 1 }],
  ['error', { ...CREATED, state: 'error', finishedAt: after(4000), reason: 'pod deleted' }],
  ['canceled', { ...CREATED, state: 'canceled', finishedAt: after(30) }],
  ['refused', { state: 'refused', reason: 'workflowtemplates.argoproj.io "plan" not found' }],
  ['skipped', { state: 'skipped' }],
  ['lost', { ...CREATED, state: 'lost' }],
  [
    'failed, in a new message since the first one is gone',
    { ...CREATED, state: 'failed', finishedAt: after(75), reason: 'exit code 1' },
    { detached: true },
  ],
  [
    'for one person only, the last time it can be changed',
    { ...CREATED, state: 'running', progress: '3/7' },
    { last: true },
  ],
  [
    'succeeded, and taught something that waits for a decision',
    { ...CREATED, state: 'succeeded', finishedAt: after(255), reflectionsWaiting: 1 },
    { reviewed: true },
  ],
  [
    'taught something, where nobody may decide about it',
    { ...CREATED, state: 'succeeded', finishedAt: after(255), reflectionsWaiting: 1 },
  ],
  ['running, and has taught something', { ...CREATED, state: 'running', reflectionsWaiting: 1 }, { reviewed: true }],
];

test('the message of every state matches its snapshot', async () => {
  await expect(EXAMPLES.map(sceneOf).join('\n')).toMatchFileSnapshot('../../test/fixtures/discord/run-messages.txt');
  expect(new Set(EXAMPLES.map(([, { state = 'queued' }]) => state))).toEqual(new Set(RUN_STATES));
});

/** Texts that try to mention, format, link or break out of code. */
const nasty = fc.oneof(
  fc.constantFrom(
    '@everyone <@1> <@&2> <#3> </plan:4> <t:0:R> <:a:5>',
    '`` ` ``` ```js\nend\n``` @here',
    '[click](https://evil.example) https://evil.example <https://evil.example>',
    '# big\n-# small\n> quote\n||spoiler|| **bold** __u__ ~~s~~ *i*',
    '\ud800lone \udc00',
    '\u202eevil\u202c\u0000\u0007\u2028\u2066',
    '👩‍👩‍👧‍👦'.repeat(500),
    '\u0300'.repeat(3000),
    '\n'.repeat(3000),
    '',
  ),
  fc.string({ unit: 'binary', maxLength: 3000 }),
  fc.string({ unit: fc.constantFrom('`', '@', '<', '>', '\n', '\ud83d', 'x'), maxLength: 3000 }),
);
const moment = fc.date({ min: new Date(0), max: new Date(8_000_000_000_000), noInvalidDate: true });
const hostileApproval: fc.Arbitrary<ShownRun['approvals'][number]> = fc.record({
  key: fc.stringMatching(/^[0-9a-f]{16}$/),
  kind: fc.constantFrom('node', 'suspended', 'offloaded'),
  node: nasty,
  state: fc.constantFrom('waiting', 'deciding', 'approved', 'rejected', 'gone'),
  fields: fc.array(fc.record({ name: nasty, description: nasty, preset: nasty, choices: fc.array(nasty) })),
  rules: fc.record({
    approvers: fc.array(nasty),
    message: nasty,
    timeoutSeconds: fc.nat(),
    onTimeout: fc.constantFrom('reject', 'approve', 'leave'),
    selfApproval: fc.boolean(),
    quorum: fc.nat({ max: 99 }),
    reason: fc.constantFrom('required', 'optional', 'none'),
    channel: nasty,
    problem: nasty,
    timeoutOutputs: fc.constant({}),
  }),
  votes: fc.dictionary(fc.string(), fc.record({ name: nasty, at: nasty }), { maxKeys: 9 }),
  verdict: fc.constantFrom(null, 'approved', 'rejected'),
  decidedBy: nasty,
  problem: nasty,
  expiresAt: fc.option(
    moment.map((date) => date.toISOString()),
    { nil: null },
  ),
});
const hostileRun: fc.Arbitrary<ShownRun> = fc.record({
  runId: fc.uuid(),
  command: nasty,
  state: fc.constantFrom(...RUN_STATES),
  namespace: nasty,
  workflowName: nasty,
  workflowUid: nasty,
  progress: fc.oneof(
    nasty,
    fc.tuple(fc.nat(), fc.nat()).map(([done, total]) => `${done}/${total}`),
  ),
  reason: nasty,
  userId: fc.oneof(nasty, fc.constant('200000000000000001')),
  door: fc.oneof(nasty, fc.constantFrom('http', 'api', 'cli')),
  actor: fc.oneof(
    nasty,
    nasty.map((name) => `api ${name}`),
  ),
  retryCount: fc.nat(),
  cancelRequested: fc.boolean(),
  canceledBy: fc.oneof(nasty, fc.constant('discord user 200000000000000001 (ada)')),
  title: nasty,
  step: nasty,
  results: fc.array(
    fc.record({
      name: nasty,
      value: fc.oneof(nasty, fc.constant('https://example.com/a b'), fc.constant('https://example.com/x')),
    }),
    { maxLength: 4 },
  ),
  queue: fc.option(fc.record({ ahead: fc.nat(101), active: fc.nat(), heldUp: nasty }), { nil: null }),
  retryOf: fc.option(fc.record({ guildId: nasty, channelId: fc.constant('2'), messageId: fc.constantFrom('3', '') }), {
    nil: null,
  }),
  retriedBy: fc.constantFrom(null, { guildId: '1', channelId: '2', messageId: '3' }),
  acceptedAt: moment,
  startedAt: fc.option(moment, { nil: null }),
  finishedAt: fc.option(moment, { nil: null }),
  approvals: fc.uniqueArray(hostileApproval, { maxLength: 20, selector: ({ key }) => key }),
  reflectionsWaiting: fc.nat({ max: 20 }),
});
const anyOptions: fc.Arbitrary<RenderOptions> = fc
  .record({
    uiUrl: fc.oneof(
      fc.constantFrom(
        undefined,
        'https://argo.example.com',
        'http://argo-server:2746',
        'https://a.b/'.padEnd(600, 'x'),
        'javascript:alert(1)',
        'x',
      ),
      nasty,
    ),
    detached: fc.boolean(),
    last: fc.boolean(),
    reviewed: fc.boolean(),
    usualMs: fc.option(fc.integer({ min: 0, max: 10 ** 12 })),
    maxActive: fc.constantFrom(undefined, 1, 5, 10 ** 6),
  })
  .map(({ usualMs, ...options }) => (usualMs === null ? options : { ...options, usualMs }));

test.each(['https://user@example.com/', 'https://:***@example.com/', 'javascript:alert(1)', 'https://a b.c/'])(
  'a result that is not just a public URL is text, not a button: %s',
  (value) => {
    const { content, components } = renderRun(
      { ...RUN, ...CREATED, state: 'succeeded', finishedAt: after(255), results: [{ name: 'url', value }] },
      { uiUrl: undefined, detached: false, last: false, reviewed: false },
    );
    expect(content).toContain(`\`\`\`\nurl: ${value}\n\`\`\``);
    expect(JSON.stringify(components)).not.toContain('"url"');
  },
);

test('a long result leaves room for the others', () => {
  const results = [
    { name: 'summary', value: 'x'.repeat(600) },
    { name: 'log', value: 'one\ntwo\n'.repeat(9) },
    { name: 'version', value: 'v4' },
  ];
  const { content } = renderRun(
    { ...RUN, ...CREATED, state: 'succeeded', finishedAt: after(255), results },
    { uiUrl: undefined, detached: false, last: false, reviewed: false },
  );
  expect(content).toMatch(/^summary: x+…$/m);
  expect(content).toMatch(/^log: one\n {2}two\n…$/m);
  expect(content).toMatch(/^version: v4$/m);
});

describe('for any content of a run', () => {
  test('Discord accepts the message, and it stays short', () => {
    fc.assert(
      fc.property(hostileRun, anyOptions, (run, options) => {
        const body = renderRun(run, options);
        expect(() => applyMessage(NOTHING, body)).not.toThrow();
        expect(body.content.length).toBeLessThanOrEqual(1700);
        expect(body.content.isWellFormed()).toBe(true);
      }),
      { numRuns: 2000 },
    );
  });

  test.each(RUN_STATES)('%s: stays short with the maximum of approvals and the longest texts', (state) => {
    const long = 'W'.repeat(2000);
    const voters = ['1', '2', '3', '4'].map((id): [string, { name: string; at: string }] => [
      id,
      { name: long, at: '' },
    ]);
    const approval = (index: number): ShownRun['approvals'][number] => ({
      key: index.toString(16).padStart(16, '0'),
      kind: 'node',
      node: `step-${index}`,
      state: index < 10 ? 'gone' : 'waiting',
      verdict: index < 10 ? 'approved' : null,
      decidedBy: long,
      problem: long,
      expiresAt: '2026-11-29T12:00:00.000Z',
      votes: Object.fromEntries(voters),
      fields: Array.from({ length: 6 }, (_, field) => ({
        name: `f${field}`,
        description: '',
        preset: '',
        choices: [],
      })),
      rules: {
        approvers: [],
        message: long,
        timeoutSeconds: 60,
        onTimeout: 'leave',
        selfApproval: false,
        quorum: 9,
        reason: 'none',
        channel: '',
        problem: long,
        timeoutOutputs: {},
      },
    });
    const run: ShownRun = {
      ...RUN,
      state,
      title: long,
      step: long,
      reason: long,
      retryCount: 9,
      progress: '3/9',
      retryOf: { guildId: '1', channelId: '2', messageId: '3' },
      approvals: Array.from({ length: 20 }, (_, index) => approval(index)),
    };
    const { content } = renderRun(run, {
      uiUrl: undefined,
      detached: true,
      last: true,
      reviewed: false,
      usualMs: 90_000,
    });
    expect(content.length).toBeLessThanOrEqual(1700);
    if (state === 'running') {
      expect(content).toContain('`step-10` is waiting for approval');
      expect(content).toContain('and 6 more');
    }
  });

  test('foreign text is only shown as code: it mentions, formats, links and reorders nothing', () => {
    fc.assert(
      fc.property(hostileRun, anyOptions, (run, options) => {
        const { content, allowed_mentions: mentions } = renderRun(run, options);
        expect(mentions).toEqual({ parse: [] });
        expect(content).not.toMatch(/[\u202a-\u202e\u2066-\u2069\u0000-\u0009\u000b-\u001f]/);
        const said = content.replaceAll(/```\n[^`]+\n```|`[^`\n]+`/g, '');
        // The rest is our own text.
        expect(said).not.toContain('`');
        const ours = said
          .replace(/ · for <@\d{1,20}>/, '')
          .replace(/Canceled by <@\d{1,20}>\./, '')
          .replaceAll(/\[an? (?:earlier|new) run\]\(https:\/\/discord\.com\/channels\/\d+\/\d+\/\d+\)/g, '');
        expect(ours).not.toMatch(/@|<[^t]|https?:|\]\(|\|\||#(?! )/);
        expect(pingsOf({ content: content.replaceAll(/(?:for|by) <@\d{1,20}>/g, '') })).toEqual([]);
      }),
      { numRuns: 2000 },
    );
  });
});
