import { expect } from 'vitest';
import { db, test } from '../../test/support/ledger-fixture.ts';
import { newRun } from '../../test/support/runs.ts';
import { TurnableTimer } from '../../test/support/turnable-timer.ts';
import { ArgoError } from '../clients/argo/errors.ts';
import type { ArgoClient } from '../clients/argo/workflows.ts';
import { CLAIM_SECONDS, recordRun } from '../ledger/record-run.ts';
import { claimDueRuns } from '../ledger/submission-queue.ts';
import { createOnce } from './create-once.ts';

const CLAIM_MS = CLAIM_SECONDS * 1000;

/** When each create of an attempt had to end, counted from the start of the claim, and the outcome of the attempt. */
async function creates({ heldUpMs, foreignMs = 0 }: { heldUpMs: number; foreignMs?: number }) {
  await recordRun(db, { run: newRun(), claim: false });
  const { runs } = await claimDueRuns(db, { limit: 1, maxActive: undefined });
  const timer = new TurnableTimer();
  const claimedAtMs = timer.elapsedMs();
  const ends: number[] = [];
  const createWorkflow: ArgoClient['createWorkflow'] = async (namespace, _manifest, options) => {
    ends.push(timer.elapsedMs() - claimedAtMs + (options?.timeoutMs ?? Infinity));
    if (foreignMs > 0 && ends.length === 1) {
      timer.advance(foreignMs);
      throw new ArgoError('argo.already_exists', 'taken');
    }
    return { metadata: { name: 'w', namespace, uid: 'u' } };
  };
  const getWorkflow = async () => ({ metadata: { name: 'w', uid: 'other' } }) as never;
  const isReady = async (): Promise<never> => {
    throw new Error('nothing was refused');
  };
  timer.advance(heldUpMs);
  const workflows = { createWorkflow, getWorkflow, isReady };
  const elapsedMs = (): number => timer.elapsedMs();
  const { kind } = await createOnce(runs[0]!, { db, workflows, elapsedMs, claimedAtMs });
  return { kind, ends };
}

test.each([
  ['at once', 0, 12_000],
  ['after half of its claim', 7500, CLAIM_MS],
  ['near the end of its claim', CLAIM_MS - 1000, CLAIM_MS],
])(
  'a create that starts %s ends before its claim expires: no other process tries it at the same time',
  async (...given) => {
    const [, heldUpMs, end] = given;
    expect(await creates({ heldUpMs })).toEqual({ kind: 'created', ends: [end] });
  },
);

test('does not start a create at the end of the claim: its outcome would be lost', async () => {
  expect(await creates({ heldUpMs: CLAIM_MS - 100 })).toEqual({ kind: 'postponed', ends: [] });
});

test('a rename renews the claim', async () => {
  const { kind, ends } = await creates({ heldUpMs: 4000, foreignMs: 9000 });
  expect({ kind, ends }).toEqual({ kind: 'created', ends: [CLAIM_MS, 13_000 + 12_000] });
});
