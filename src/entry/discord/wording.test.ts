import fc from 'fast-check';
import { describe, expect, test } from 'vitest';
import type { ListedRun, StatusReport } from '../../dispatch/status.ts';
import type { StepLog } from '../../dispatch/step-log.ts';
import { Refusal, REFUSAL_TEXTS, type RefusalKind } from '../../domain/refusal.ts';
import { RUN_STATES, type RunState } from '../../domain/run-state.ts';
import type { RunView } from '../../ledger/find-runs.ts';
import { confirmText, pressText, refusalText, SAY, statusText, unreadableText } from './wording.ts';

const KINDS = Object.keys(REFUSAL_TEXTS) as RefusalKind[];
const LIMIT = 2000;

/** The part of a text outside of code, where Discord interprets markup. */
function outsideCode(text: string): string {
  return text.replaceAll(/```[^]*?```|`[^`\n]*`/g, '');
}

const run: RunView = {
  runId: '0b5e7d3c-1f2a-4b6c-8d9e-0f1a2b3c4d5e',
  deliveryId: 'd',
  kind: 'command',
  command: 'plan',
  title: 'Ship it',
  door: 'discord',
  state: 'failed',
  reason: 'step-1: boom',
  progress: '1/3',
  namespace: 'argo',
  workflowName: 'plan-20260203-040506-abc123',
  workflowUid: 'uid',
  correlationId: 'c',
  userId: '7',
  attempts: 1,
  retryCount: 0,
  retryOf: '',
  cancelRequestedBy: '',
  acceptedAt: new Date(0),
  submittedAt: null,
  startedAt: null,
  finishedAt: null,
  revision: 1,
};

const hostile = fc.oneof(
  fc.string({ unit: 'binary', maxLength: 3000 }),
  fc.constantFrom('@everyone `<@1>`', '```\n@here', '[x](https://example.test)', '**', '\ud800', ''),
);

interface Given {
  readonly name: string;
  readonly details: string;
  readonly kind: RefusalKind;
  readonly report: StatusReport;
  readonly state: RunState;
  readonly log: StepLog;
}

function outcomesOf({ name, details, state, log }: Omit<Given, 'kind' | 'report'>): Parameters<typeof pressText>[0][] {
  const theRun = { ...run, workflowName: name, command: name, state };
  const receipt = {
    ...run,
    workflowName: details,
    recordedId: null,
    takenOver: false,
    duplicate: true,
    namespace: name,
  };
  return [
    { kind: 'unknown' },
    { kind: 'forbidden', run: theRun, roles: [] },
    { kind: 'forbidden', run: theRun, roles: ['500000000000000001', name] },
    { kind: 'request', run: theRun, parameters: { [name]: details } },
    { kind: 'logs', run: { ...theRun, state: 'running' }, log: { ...log, step: details } },
    { kind: 'ending', run: theRun },
    { kind: 'over', run: theRun },
    { kind: 'not_retryable', run: theRun },
    { kind: 'not_retryable', run: theRun, changed: true },
    { kind: 'retried_before', run: theRun, receipt },
    { kind: 'logs', run: theRun, log },
    { kind: 'logs', run: theRun, log: { ...log, problem: 'denied' } },
  ];
}

function allTexts(given: Given): string[] {
  const { name, details, kind, report, state } = given;
  return [
    refusalText(new Refusal(kind, details, { roles: Array.from({ length: 30 }, () => '500000000000000001') }), name),
    unreadableText(new Refusal(kind, details)),
    statusText(report),
    confirmText({ ...run, workflowName: name, command: name, state, title: details }),
    ...outcomesOf(given).map(pressText),
  ];
}

const LISTED: ListedRun = {
  command: 'plan',
  title: 'Ship it',
  state: 'running',
  progress: '3/7',
  acceptedAt: new Date(0),
  waitsForApproval: true,
  url: 'https://discord.com/channels/1/2/3',
};
const REPORT: StatusReport = {
  namespace: 'argo-workflows',
  workflowTemplate: 'facteur-dispatch',
  template: 'ready',
  last: { ...run, state: 'running', progress: '3/7' },
  live: [LISTED, { ...LISTED, state: 'queued', progress: '', waitsForApproval: false }],
  ended: [{ ...LISTED, state: 'failed', waitsForApproval: false }],
  correlationId: 'corr-1',
};

test('every text matches its snapshot', async () => {
  const roles = ['500000000000000001', '500000000000000002'];
  const log: StepLog = { step: 'build', reason: 'build: Error (exit code 2)', lines: 'make: *** [all] Error 2' };
  const [name, details] = ['plan', 'plan-20260203-050000-d4e5f6'];
  const answers: readonly (readonly [string, string])[] = [
    ...Object.entries(SAY),
    ...KINDS.map((kind) => {
      const refusal = new Refusal(kind, 'objective: must not be longer than 100 characters', { roles });
      return [`refused: ${kind}`, refusalText(refusal, name)] as const;
    }),
    ['unreadable', unreadableText(new Refusal('invalid_payload', 'data: required'))],
    ...(['ready', 'missing', 'silent', 'disabled'] as const).map(
      (template) => [`status: template ${template}`, statusText({ ...REPORT, template })] as const,
    ),
    ['status of nobody', statusText({ ...REPORT, last: undefined, live: [], ended: [], correlationId: '' })],
    ['confirm', confirmText(run)],
    ...outcomesOf({ name, details, state: 'failed', log }).map(
      (outcome) => [`pressed: ${outcome.kind}`, pressText(outcome)] as const,
    ),
  ];
  const text = answers.map(([what, answer]) => `=== ${what}\n${answer}\n`).join('\n');
  await expect(text).toMatchFileSnapshot('../../../test/fixtures/discord/private-answers.txt');
});

describe('every text', () => {
  test('stays within Discord’s limit, and keeps any input inside code', () => {
    const state = fc.constantFrom(...RUN_STATES);
    const listed = fc.record<ListedRun>({
      command: hostile,
      title: hostile,
      state,
      progress: hostile,
      acceptedAt: fc.constant(new Date(0)),
      waitsForApproval: fc.boolean(),
      url: fc.constantFrom(undefined, 'https://discord.com/channels/1/2/3'),
    });
    const report = fc.record<StatusReport>({
      namespace: hostile,
      workflowTemplate: hostile,
      template: fc.constantFrom('ready', 'missing', 'silent', 'disabled'),
      last: fc.option(
        fc.record({ command: hostile, workflowName: hostile, namespace: hostile, state, progress: hostile }),
        { nil: undefined },
      ),
      live: fc.array(listed, { maxLength: 10 }),
      ended: fc.array(listed, { maxLength: 5 }),
      correlationId: hostile,
    });
    const log = fc.record<StepLog>({ reason: hostile, lines: hostile });
    const kinds = fc.constantFrom(...KINDS);
    const anything = fc.record({ name: hostile, details: hostile, kind: kinds, report, state, log });
    fc.assert(
      fc.property(anything, (given) => {
        for (const text of allTexts(given)) {
          expect(text.length).toBeLessThanOrEqual(LIMIT);
          expect(text.isWellFormed()).toBe(true);
          const ours = outsideCode(text)
            .replaceAll('[message](https://discord.com/channels/1/2/3)', '')
            .replaceAll('<@&500000000000000001>', '');
          expect(ours).not.toMatch(/@everyone|@here|<@|\]\(|\*\*/);
        }
      }),
    );
  });

  test('about the status stays within it with the longest names, and has no heading without a run', () => {
    const long = 'W'.repeat(300);
    const listed: ListedRun = { ...run, command: long, title: long, waitsForApproval: true };
    const last = { command: long, workflowName: long, namespace: long, state: 'skipped', progress: long } as const;
    for (const count of [0, 1, 5, 10]) {
      const live = Array.from({ length: count }, () => listed);
      const ended = [listed, listed];
      const [namespace, workflowTemplate, correlationId] = [long, long, long];
      const text = statusText({ namespace, workflowTemplate, template: 'disabled', last, live, ended, correlationId });
      expect(text.length).toBeLessThanOrEqual(LIMIT);
      expect(text).not.toMatch(/^(?:Live|Ended):\n(?!.* · )/m);
    }
  });

  test('about a refusal says what to do, and each kind has one', () => {
    for (const kind of KINDS) {
      expect(refusalText(new Refusal(kind), 'plan').length).toBeGreaterThan(20);
    }
    expect(refusalText(new Refusal('invalid_option', 'a: is required; b: must be a number'), 'plan')).toContain(
      '```\na: is required\nb: must be a number\n```',
    );
    // The text must not show the two braces themselves: the user might copy them.
    expect(refusalText(new Refusal('template_tag'), 'plan')).not.toContain('{{');
    expect(Object.values(SAY).every((text) => text.length > 20)).toBe(true);
  });

  test('about a log contains both the reason and the lines', () => {
    const text = pressText({ kind: 'logs', run, log: { reason: 'step-1: boom', lines: 'one\ntwo' } });
    expect(text).toBe('Workflow `plan-20260203-040506-abc123` failed:\n```\nstep-1: boom\n```\n```\none\ntwo\n```');
    expect(pressText({ kind: 'logs', run, log: { reason: '', lines: '' } })).toContain(
      'failed without giving a reason',
    );
  });
});

describe('the request of a run', () => {
  const shown = (parameters: Readonly<Record<string, string>>): string =>
    pressText({ kind: 'request', run, parameters });

  test('indents the lines of a value, so none looks like another parameter', () => {
    const lines = shown({ notes: 'Ship it\nenvironment: staging', environment: 'production' }).split('\n');
    expect(lines.slice(2, -1)).toEqual(['notes: Ship it', '  environment: staging', 'environment: production']);
  });

  test.each([
    ['long', 'x'.repeat(4000)],
    ['multi-line', 'x\n'.repeat(4000)],
  ])('a %s value leaves the others visible', (_, notes) => {
    const text = shown({ notes, project: 'facteur', environment: 'production' });
    expect(text).toMatch(/^notes: x[^]*…\nproject: facteur\nenvironment: production\n```$/m);
    expect(text.length).toBeLessThanOrEqual(2000);
  });

  test('shows each of many parameters', () => {
    const names = Array.from({ length: 30 }, (_, index) => `parameter${index}`);
    const text = shown(Object.fromEntries(names.map((name) => [name, 'line\n'.repeat(100)])));
    expect(text.match(/^parameter\d+: line …$/gm)).toHaveLength(30);
  });
});
