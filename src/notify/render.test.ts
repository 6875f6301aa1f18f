import fc from 'fast-check';
import { describe, expect, test } from 'vitest';
import { RUN_STATES } from '../domain/run-state.ts';
import { applyMessage, NOTHING, pingsOf } from '../sandbox/discord/message-rules.ts';
import type { MessageBody } from '../clients/discord/message.ts';
import { renderRun } from './render.ts';
import type { RenderOptions, RunView } from './run-view.ts';

const ACCEPTED = new Date('2026-11-21T12:00:00Z');
const after = (seconds: number) => new Date(ACCEPTED.getTime() + seconds * 1000);

const RUN: RunView = {
  runId: '0b5e7d3c-1f2a-4b6c-8d9e-0f1a2b3c4d5e',
  command: 'plan',
  state: 'queued',
  namespace: 'argo-workflows',
  workflowName: 'plan-20261121-120000-k3x9q2',
  workflowUid: '',
  progress: '',
  reason: '',
  userId: '200000000000000001',
  retryCount: 0,
  cancelRequested: false,
  acceptedAt: ACCEPTED,
  startedAt: undefined,
  finishedAt: undefined,
};
const CREATED: Partial<RunView> = { workflowUid: '7a1c', startedAt: after(3) };
const OPTIONS: RenderOptions = { uiUrl: 'https://argo.example.com', detached: false, last: false };

/** As near to what a person sees as text gets: buttons in brackets, a link with its address. */
function readable({ content, components }: MessageBody): string {
  const rows = (components as unknown as { components: Record<string, string | boolean | undefined>[] }[]).map((row) =>
    row.components
      .map(({ label, url, custom_id: id, disabled }) =>
        url === undefined
          ? `[${String(label)}${disabled === true ? ' (off)' : ''}: ${String(id)}]`
          : `[${String(label)} -> ${String(url)}]`,
      )
      .join('\n'),
  );
  return [content, ...rows].join('\n');
}

const EXAMPLES: readonly [string, Partial<RunView>, Partial<RenderOptions>?][] = [
  ['accepted', {}],
  ['accepted, the cluster is away', { reason: 'the cluster did not answer' }],
  ['submitted', { ...CREATED, state: 'submitted', startedAt: undefined }],
  ['submitted, no Argo UI configured', { ...CREATED, state: 'submitted', startedAt: undefined }, { uiUrl: undefined }],
  ['running, before the first step is done', { ...CREATED, state: 'running', progress: '0/7' }],
  ['running', { ...CREATED, state: 'running', progress: '3/7' }],
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
];

test('every state has its message', async () => {
  const texts = EXAMPLES.map(
    ([title, run, options]) => `=== ${title}\n${readable(renderRun({ ...RUN, ...run }, { ...OPTIONS, ...options }))}\n`,
  );
  await expect(texts.join('\n')).toMatchFileSnapshot('../../test/fixtures/discord/run-messages.txt');
  expect(new Set(EXAMPLES.map(([, { state = 'queued' }]) => state))).toEqual(new Set(RUN_STATES));
});

/** What nobody should be able to do by choosing a text. */
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
const hostileRun: fc.Arbitrary<RunView> = fc.record({
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
  retryCount: fc.nat(),
  cancelRequested: fc.boolean(),
  acceptedAt: moment,
  startedAt: fc.option(moment, { nil: undefined }),
  finishedAt: fc.option(moment, { nil: undefined }),
});
const anyOptions: fc.Arbitrary<RenderOptions> = fc.record({
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
});

describe('whatever a run holds', () => {
  test('Discord takes the message, and it stays short', () => {
    fc.assert(
      fc.property(hostileRun, anyOptions, (run, options) => {
        const body = renderRun(run, options);
        expect(() => applyMessage(NOTHING, body)).not.toThrow();
        expect(body.content.length).toBeLessThan(1700);
        expect(body.content.isWellFormed()).toBe(true);
      }),
      { numRuns: 2000 },
    );
  });

  test('text of others is code and nothing else: it mentions, formats, links and reorders nothing', () => {
    fc.assert(
      fc.property(hostileRun, anyOptions, (run, options) => {
        const { content, allowed_mentions: mentions } = renderRun(run, options);
        expect(mentions).toEqual({ parse: [] });
        expect(content).not.toMatch(/[\u202a-\u202e\u2066-\u2069\u0000-\u0009\u000b-\u001f]/);
        const said = content.replaceAll(/```\n[^`]+\n```|`[^`\n]+`/g, '');
        // All that is left is made of our own words.
        expect(said).not.toContain('`');
        expect(said.replace(/ · for <@\d{1,20}>/, '')).not.toMatch(/@|<[^t]|https?:|\]\(|\|\||#(?! )/);
        expect(pingsOf({ content: content.replace(/<@\d{1,20}>$/m, '') })).toEqual([]);
      }),
      { numRuns: 2000 },
    );
  });
});
