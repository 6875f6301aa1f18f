import { readFileSync } from 'node:fs';
import { afterAll, expect, test } from 'vitest';
import { systemTimer } from '../../src/base/timer.ts';
import { createArgoClient } from '../../src/clients/argo/client.ts';
import { readStepLog } from '../../src/dispatch/step-log.ts';
import { findRun } from '../../src/ledger/find-runs.ts';
import { renderOverlay } from '../deploy/manifests.ts';
import { granted } from '../deploy/rights.ts';
import { expectRun, timePasses } from '../support/ledger.ts';
import { event } from '../support/messages.ts';
import { freshId, useBench } from './bench.ts';
import { OwnCluster } from './own-cluster.ts';
import { logIn } from './world.ts';

// Compares facteur's requests, from the audit log of the API server, with the rights in its Role.

const own = new OwnCluster();
const bench = useBench(() => own.start());
afterAll(() => own.stop(), 120_000);

const ACCOUNT = 'system:serviceaccount:facteur:facteur';

interface AuditEvent {
  readonly verb: string;
  readonly user: { readonly username: string };
  readonly objectRef?: { readonly namespace?: string; readonly resource: string; readonly subresource?: string };
  readonly annotations?: Readonly<Record<string, string>>;
}

function auditEvents(): readonly AuditEvent[] {
  const lines = readFileSync(own.local.auditLog, 'utf8').trim().split('\n');
  return lines.map((line) => JSON.parse(line) as AuditEvent).filter(({ user }) => user.username === ACCOUNT);
}

test('facteur uses exactly the rights in its Role', { timeout: 240_000 }, async () => {
  const { access } = await logIn(bench.world);
  // Templates may define commands: facteur watches them.
  const env = { FACTEUR_COMMANDS_FROM_TEMPLATES_NAMESPACES: 'argo-workflows' };
  const facteur = await bench.start('second-step-fails', { access, env });
  const client = createArgoClient(access);
  // Creates and follows a run that fails, and reads the log of the failed step.
  const failing = freshId('failing');
  await facteur.send(event({ interactionId: failing }));
  await expectRun(bench.db, failing, 'failed');
  const log = await readStepLog((await findRun(bench.db, failing))!, { workflows: client, timer: systemTimer });
  expect(log).toMatchObject({ lines: 'fuelling\nthe rocket is broken' });
  // Cancels a run.
  const ended = freshId('ended');
  const waiting = await bench.start('suspended', { access });
  await waiting.send(event({ interactionId: ended }));
  await expectRun(bench.db, ended, 'running');
  await waiting.cli('runs', 'cancel', ended);
  await timePasses(bench.db);
  await expectRun(bench.db, ended, 'canceled');
  // Reads what `/status` reads.
  await client.getWorkflowTemplate('argo-workflows', 'suspended');
  await client.close();

  const asked = auditEvents().flatMap(({ verb, objectRef }) => {
    const { namespace = '', resource = '', subresource } = objectRef ?? {};
    return resource === '' ? [] : [`${namespace}: ${verb} ${resource}${subresource ? `/${subresource}` : ''}`];
  });
  expect([...new Set(asked)].toSorted()).toEqual(granted(renderOverlay('kubernetes'), 'facteur'));
  expect(
    auditEvents().filter(({ annotations }) => annotations?.['authorization.k8s.io/decision'] === 'forbid'),
  ).toEqual([]);
});
