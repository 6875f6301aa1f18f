import { describe, expect, test } from 'vitest';
import { ArgoError, type ArgoErrorCode } from '../clients/argo/errors.ts';
import type { Workflow } from '../clients/argo/workflows.ts';
import { deliveryLabel } from '../domain/workflow-name.ts';
import type { ClaimedRun } from '../ledger/submission-queue.ts';
import { findOurs, judgeCreateFailure } from './creation.ts';

/** The first verdict, the verdict if a ready cluster keeps answering so, and whether other creates should wait too. */
const VERDICTS: Readonly<Record<ArgoErrorCode, readonly [string, string, boolean]>> = {
  'argo.already_exists': ['exists', 'exists', false],
  'argo.invalid': ['refuse', 'refuse', false],
  'argo.too_large': ['refuse', 'refuse', false],
  'argo.not_found': ['refuse', 'refuse', false],
  'argo.forbidden': ['retry', 'refuse', false],
  'argo.api_missing': ['retry', 'refuse', false],
  'argo.unauthorized': ['retry', 'refuse', true],
  'argo.quota': ['retry', 'retry', false],
  'argo.conflict': ['retry', 'retry', false],
  'argo.expired': ['retry', 'retry', false],
  'argo.aborted': ['retry', 'retry', false],
  'argo.too_many_requests': ['retry', 'retry', true],
  'argo.unavailable': ['retry', 'retry', true],
  'argo.timeout': ['retry', 'retry', true],
  'argo.connection': ['retry', 'retry', true],
  'argo.bad_answer': ['retry', 'retry', true],
  'argo.credentials': ['retry', 'retry', true],
};

describe('judgeCreateFailure', () => {
  test.each(Object.entries(VERDICTS) as [ArgoErrorCode, (typeof VERDICTS)[ArgoErrorCode]][])(
    '%s -> %j',
    (code, [first, believed, overloaded]) => {
      const error = new ArgoError(code, 'words that decide nothing');
      const verdict = judgeCreateFailure(error, false);
      expect([verdict.kind, judgeCreateFailure(error, true).kind]).toEqual([first, believed]);
      if (verdict.kind === 'retry') {
        expect(verdict).toMatchObject({ overloaded, doubtful: believed === 'refuse', full: code === 'argo.quota' });
      }
      expect(error.retryable).toBe(first === 'retry');
    },
  );

  test('uses the cluster’s message as the reason, and respects its Retry-After', () => {
    const error = new ArgoError('argo.too_many_requests', 'HTTP 429', { details: 'slow down', retryAfterMs: 3000 });
    expect(judgeCreateFailure(error, false)).toEqual({
      kind: 'retry',
      reason: 'slow down',
      overloaded: true,
      doubtful: false,
      full: false,
      afterMs: 3000,
    });
  });

  test('masks credentials in the reason', () => {
    const error = new ArgoError('argo.invalid', 'HTTP 422', { details: `denied: AKIA${'B'.repeat(16)}` });
    expect(judgeCreateFailure(error, false)).toMatchObject({ reason: 'denied: ***' });
  });

  test('retries after an unexpected error', () => {
    expect(judgeCreateFailure(new TypeError('boom'), true)).toMatchObject({ kind: 'retry', reason: 'boom' });
  });
});

describe('findOurs', () => {
  const [label, annotation] = ['facteur.proompteng.ai/delivery', 'facteur.proompteng.ai/run-id'];
  const ours = { [label]: deliveryLabel('d1') };

  test.each<[string, object, string | undefined]>([
    ['our label', { labels: ours }, 'uid'],
    ['our annotation, without labels', { annotations: { [annotation]: 'run' } }, 'uid'],
    ['our annotation and another label', { labels: { [label]: 'x' }, annotations: { [annotation]: 'run' } }, 'uid'],
    ['neither', { labels: { [label]: 'x' }, annotations: { [annotation]: 'another' } }, undefined],
    ['nothing', {}, undefined],
  ])('a workflow with %s', async (_what, metadata, uid) => {
    const run = { runId: 'run', deliveryId: 'd1', plan: { namespace: 'argo' } } as unknown as ClaimedRun;
    const getWorkflow = async () => ({ metadata: { uid: 'uid', ...metadata } }) as Workflow;
    expect(await findOurs(run, 'w', { getWorkflow })).toBe(uid);
  });
});
