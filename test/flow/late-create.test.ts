import { describe, expect, onTestFinished } from 'vitest';
import type { RunReceipt } from '../../src/domain/run.ts';
import { withdrawRun } from '../../src/ledger/cancel-and-retry.ts';
import { CLAIM_SECONDS, recordRun } from '../../src/ledger/record-run.ts';
import { claimDueRuns } from '../../src/ledger/submission-queue.ts';
import type { Role } from '../../src/service/roles.ts';
import type { SimulatedCluster } from '../../sandbox/cluster/cluster.ts';
import { accessTo, manifest, NAMESPACE, seed, startCluster } from '../support/cluster.ts';
import { startFacteur, type Facteur } from '../support/facteur.ts';
import { unavailable } from '../support/faulty-database.ts';
import { startHttpGate, type Held, type HttpGate } from '../support/http-gate.ts';
import { created, expectRun, runOf, timePasses } from '../support/ledger.ts';
import { newRun } from '../support/runs.ts';
import { db, test } from '../support/ledger-fixture.ts';

// A run is canceled while another process is creating its workflow. Whichever comes first, nothing keeps running that
// users were told had not started.

/** A process that is paused at one step of creating a workflow, and the cluster behind a gate. */
interface World {
  readonly cluster: SimulatedCluster;
  readonly gate: HttpGate;
  readonly creator: Facteur;
  readonly acceptedAt: Date;
  readonly name: string;
}

type Hold = (world: Pick<World, 'gate' | 'creator'>) => Pick<Held, 'arrived' | 'letGo'>;
type Ask = (world: World) => Promise<unknown>;

/** Holds the creator's first statement of this name that meets `wanted`, before it runs or before its answer. */
function atStatement(when: 'before' | 'after', name: string, wanted = async () => true): Hold {
  return ({ creator }) => {
    const arrived = Promise.withResolvers<void>();
    const open = Promise.withResolvers<void>();
    creator.faults[when] = async (statement) => {
      if (statement === name && (await wanted())) {
        creator.faults[when] = () => undefined;
        arrived.resolve();
        await open.promise;
      }
    };
    return { arrived: arrived.promise, letGo: open.resolve };
  };
}

/** Excludes the claim that a submitter makes when it starts, which finds no work. */
const isClaimed = async (): Promise<boolean> => ((await runOf(db, 'd1'))?.claimed_until ?? null) !== null;

const STEPS: readonly [string, Hold][] = [
  ['claimed, its create not sent yet', atStatement('after', 'claim-due-runs', isClaimed)],
  ['on its way to the cluster', ({ gate }) => gate.holdCreate('request')],
  ['created, its response not received yet', ({ gate }) => gate.holdCreate('answer')],
];

const ASKS: readonly [string, Ask][] = [
  [
    'withdrawn by the process that recorded it',
    ({ acceptedAt }) => withdrawRun(db, { deliveryId: 'd1', family: 'command', acceptedAt, claimed: false }, 'facteur'),
  ],
  ['canceled by a person', ({ creator }) => creator.cli('runs', 'cancel', 'd1')],
];

const CASES = STEPS.flatMap(([step, hold]) => ASKS.map(([asked, ask]) => ({ step, asked, hold, ask })));

/** Records a run that is not due until time passes: no process claims it while the test still prepares. */
const recordForLater = (): Promise<RunReceipt> =>
  db.transaction(async (tx) => {
    const receipt = await recordRun(tx, { run: newRun({ deliveryId: 'd1' }), claim: false });
    await tx.query({ text: `UPDATE facteur.open_runs SET due_at = now() + interval '1 hour'` });
    return receipt;
  });

/** Another process recorded a run, and the creator is paused while it submits it. */
async function heldUp(
  hold: Hold,
  roles: readonly Role[],
  { foreignName = false, wake = () => timePasses(db) }: { foreignName?: boolean; wake?: () => Promise<void> } = {},
): Promise<World & { letGo(): void }> {
  const cluster = await startCluster();
  const gate = await startHttpGate(cluster.url);
  const context = { clusterAccess: async () => accessTo(gate.url) };
  const creator = await startFacteur({ db, cluster, roles, context });
  const { acceptedAt, workflowName } = await recordForLater();
  if (foreignName) {
    seed(cluster, manifest(workflowName));
  }
  const { arrived, letGo } = hold({ gate, creator });
  onTestFinished(letGo);
  await wake();
  await arrived;
  const { workflow_name: name } = await runOf(db, 'd1');
  return { cluster, gate, creator, acceptedAt, name, letGo };
}

const notifySubmitters = async (): Promise<void> =>
  void (await db.query({ text: `SELECT pg_notify('facteur_submit', '')` }));

/** Another process, which ends the run. */
const another = (cluster: SimulatedCluster): Promise<Facteur> => startFacteur({ db, cluster, roles: ['submit'] });

/** The workflows of facteur that were not told to stop. */
function running(cluster: SimulatedCluster): string[] {
  return created(cluster).filter((name) => {
    const { metadata, spec } = cluster.store.get('workflows', NAMESPACE, name).object;
    return metadata.labels?.['facteur.proompteng.ai/delivery'] !== undefined && spec['shutdown'] !== 'Stop';
  });
}

async function nobodyRuns(cluster: SimulatedCluster): Promise<void> {
  await expect.poll(() => running(cluster)).toEqual([]);
}

test.each(ASKS)('a run that nobody has claimed, %s: it never reaches the cluster', async (_asked, ask) => {
  const world = await heldUp(atStatement('before', 'claim-due-runs'), ['http', 'submit'], { wake: notifySubmitters });
  // Not earlier: a claim that was already on its way when the test began to hold them would take the run.
  await timePasses(db);
  await ask(world);
  await another(world.cluster);
  await expectRun(db, 'd1', 'canceled');
  world.letGo();
  await timePasses(db);
  expect((await claimDueRuns(db, { limit: 1, maxActive: undefined })).runs).toEqual([]);
  expect(created(world.cluster)).toEqual([]);
});

describe('while its creator has the claim', () => {
  test.each(CASES)('$step, $asked: no other process decides, and the workflow is stopped', async ({ hold, ask }) => {
    const world = await heldUp(hold, ['http', 'submit', 'follow']);
    await ask(world);
    expect((await claimDueRuns(db, { limit: 1, maxActive: undefined })).runs).toEqual([]);
    world.letGo();
    await expectRun(db, 'd1', 'canceled');
    expect(created(world.cluster)).toEqual([world.name]);
    await nobodyRuns(world.cluster);
  });
});

describe('when the claim of its creator has expired', () => {
  test.each(CASES)('$step, $asked: a workflow that is still created is stopped', async ({ step, hold, ask }) => {
    const world = await heldUp(hold, ['http', 'submit']);
    await ask(world);
    await another(world.cluster);
    await timePasses(db);
    const isThere = step.startsWith('created');
    const run = await expectRun(db, 'd1', isThere ? 'submitted' : 'canceled');
    expect(run.reason).toEqual(isThere ? '' : expect.stringContaining('before it was submitted'));
    world.letGo();
    await expect.poll(() => created(world.cluster)).toEqual([world.name]);
    await nobodyRuns(world.cluster);
    await expect.poll(async () => (await runOf(db, 'd1')).due_at).toBeNull();
    expect(world.creator.log.join('\n').includes('created after its run had ended')).toBe(!isThere);
  });

  test('and the workflow that another process created is deleted: it creates no second one', async () => {
    const world = await heldUp(atStatement('after', 'claim-due-runs', isClaimed), ['http', 'submit']);
    await another(world.cluster);
    await timePasses(db);
    await expectRun(db, 'd1', 'submitted');
    world.cluster.faults.apply({ op: 'delete', namespace: NAMESPACE, name: world.name });
    world.creator.timer.advance(CLAIM_SECONDS * 1000);
    const { promise: isOver, resolve: over } = Promise.withResolvers<void>();
    world.creator.faults.after = async (statement) =>
      statement === 'postpone-run' || statement === 'find-foreign' ? over() : undefined;
    world.letGo();
    await isOver;
    expect(created(world.cluster)).toEqual([world.name]);
  });

  test('and the creator has died: the follower sees the workflow, and it is stopped', async () => {
    const dying = Promise.withResolvers<void>();
    const hold: Hold = ({ gate, creator }) => {
      const held = gate.holdCreate('request');
      void dying.promise.then(() => {
        creator.faults.before = unavailable;
        held.cut();
      });
      return held;
    };
    const world = await heldUp(hold, ['http', 'submit']);
    await world.creator.cli('runs', 'cancel', 'd1');
    dying.resolve();
    const other = await startFacteur({ db, cluster: world.cluster, roles: ['http', 'submit', 'follow'] });
    await timePasses(db);
    await expectRun(db, 'd1', 'canceled');
    world.letGo();
    await expect.poll(() => created(world.cluster)).toEqual([world.name]);
    await nobodyRuns(world.cluster);
    expect(other.log.join('\n')).toContain('a workflow appeared after its run had ended');
    await expect.poll(async () => (await runOf(db, 'd1')).due_at).toBeNull();
    expect(await runOf(db, 'd1')).toMatchObject({ state: 'canceled', retry_count: 0 });
  });

  test.each([
    ['its first name is taken, before it has the next', atStatement('before', 'rename-run'), 0],
    ['its next name is reserved, its create not sent yet', atStatement('after', 'rename-run'), 1],
    ['its create with the next name is on its way', ({ gate }) => gate.holdCreate('request', 1), 1],
  ] as readonly [string, Hold, number][])('%s: no workflow of it keeps running', async (_step, hold, workflows) => {
    const world = await heldUp(hold, ['http', 'submit'], { foreignName: true });
    await world.creator.cli('runs', 'cancel', 'd1');
    await another(world.cluster);
    await timePasses(db);
    await expectRun(db, 'd1', 'canceled');
    world.letGo();
    await expect.poll(() => created(world.cluster).length).toBe(1 + workflows);
    await nobodyRuns(world.cluster);
    await expect.poll(async () => (await runOf(db, 'd1')).due_at).toBeNull();
  });
});
