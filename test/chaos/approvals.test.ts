import { expect, onTestFinished, test } from 'vitest';
import type { SimulatedCluster } from '../../sandbox/cluster/cluster.ts';
import { startSimulatedDiscord, type SimulatedDiscord } from '../../sandbox/discord/discord.ts';
import type { Who } from '../../sandbox/discord/people.ts';
import { SAY } from '../../src/entry/discord/wording.ts';
import { ADA, approvalOf, askedRun, startGatedCluster, type AskedRun, type Gate } from '../support/approvals.ts';
import { NAMESPACE } from '../support/cluster.ts';
import { createTestDatabase, type TestDatabase } from '../support/database.ts';
import { discordEnv, ROLE, whispered } from '../support/discord-door.ts';
import { Replica } from './replica.ts';
import type { Tripwire } from './wire-proxy.ts';

// A decision is made once and written once, with any number of processes, and even if one of them is killed.

const PEOPLE = 100;
/** The approvers in the template: without a configuration file nobody else may decide. */
const APPROVERS = { approvers: ROLE, reason: 'none' };

interface World {
  readonly db: TestDatabase['db'];
  readonly cluster: SimulatedCluster;
  readonly discord: SimulatedDiscord;
  readonly replicas: readonly Replica[];
}

/** Real processes on one PostgreSQL, with a Discord that talks to the first. They end with the test. */
async function startWorld(count: number, gate: Gate): Promise<World> {
  const { db, dsn, close } = await createTestDatabase();
  onTestFinished(close);
  const cluster = await startGatedCluster(gate);
  // This test does not measure how fast the processes answer.
  const discord = await startSimulatedDiscord({ answerMs: 60_000 });
  onTestFinished(() => discord.close());
  const { FACTEUR_TEST_REDIS_URL: redis = '' } = process.env;
  // Any of them may write the message, and needs the token of the interaction for it.
  const env = { ...discordEnv(discord), FACTEUR_REDIS_URL: redis };
  const replicas = await Promise.all(Array.from({ length: count }, () => Replica.start({ dsn, cluster, env })));
  onTestFinished(async () => {
    await Promise.all(replicas.map((replica) => replica.stop()));
  });
  await Promise.all(replicas.map((replica) => replica.ready()));
  discord.people.pointAt(interactionsOf(replicas[0]));
  return { db, cluster, discord, replicas };
}

function interactionsOf(replica: Replica | undefined): string {
  return `${replica?.url}/discord/interactions`;
}

/** How often the cluster accepted a change of the workflow that was not from its controller. */
function patchesOf({ history }: SimulatedCluster, { workflow }: AskedRun): number {
  return history.entries.filter(({ kind, name }) => kind === 'patch' && name === workflow).length;
}

async function eventsOf({ db }: World, { runId }: AskedRun): Promise<readonly string[]> {
  const { rows } = await db.query<{ event: string }>({
    text: `SELECT event_type AS event FROM codex_kb.run_events
      WHERE task_run_id = $1 AND event_type LIKE 'approval.%' ORDER BY id`,
    values: [runId],
  });
  return rows.map(({ event }) => event);
}

async function expectOnce(world: World, run: AskedRun, steps: readonly string[]): Promise<void> {
  expect(patchesOf(world.cluster, run)).toBe(1);
  expect(world.cluster.controller.completionsOf(NAMESPACE, run.workflow)).toEqual(steps);
  expect(await eventsOf(world, run)).toEqual(['approval.requested', 'approval.decided', 'approval.applied']);
}

test(`of ${PEOPLE} people who press at once, on three processes, one decides, and all others see who it was`, async () => {
  const world = await startWorld(3, { rules: APPROVERS });
  const { db, discord, replicas } = world;
  const run = await askedRun(world);
  const button = run.message();
  /** Presses again if an answer says so: on a busy machine it may come too late. */
  const press = async (who: Who, index: number): Promise<string> => {
    for (;;) {
      discord.people.pointAt(interactionsOf(replicas[index % replicas.length]));
      const id = `facteur:${index % 2 === 0 ? 'approve' : 'reject'}:${run.runId}:${run.key}`;
      const answer = whispered(await discord.people.press(button, id, who));
      if (answer !== SAY.pressTooSlow && answer !== SAY.tryAgain) {
        return answer;
      }
    }
  };
  const people = Array.from({ length: PEOPLE }, (_, index) => {
    const id = `3000000000000000${String(index).padStart(2, '0')}`;
    return { id, username: `p${index}`, roles: [ROLE] };
  });
  const answers = await Promise.all(people.map(press));

  const { decided_by: by, verdict } = await approvalOf(db, run.runId);
  const late = `Step \`approve\` was already ${verdict} by \`${by}\` <t:`;
  const others = answers.filter((_answer, index) => people[index]?.username !== by);
  expect(others.filter((answer) => answer.startsWith(late))).toHaveLength(PEOPLE - 1);
  expect(others).toHaveLength(PEOPLE - 1);
  const own = answers[people.findIndex(({ username }) => username === by)];
  expect(own?.startsWith(late) === true || own?.startsWith(`Step \`approve\` is ${verdict}.`) === true).toBe(true);

  await expect.poll(run.shown).toContain(verdict === 'approved' ? 'Succeeded' : 'Failed');
  await expect.poll(() => approvalOf(db, run.runId)).toMatchObject({ state: verdict });
  expect(run.node('approve').message).toBe(`${verdict} by ${by}`);
  await expectOnce(world, run, verdict === 'approved' ? ['build', 'approve', 'deploy'] : ['build']);
});

/** When a process is killed, and the phase of the node at that moment. */
const DEATHS: readonly [Tripwire['phase'], RegExp][] = [
  ['before', /^Running$/],
  ['sent', /^(Running|Succeeded)$/],
  ['answered', /^Succeeded$/],
];

test('if a process is killed while it writes a decision, another takes over, and the decision is applied once', async ({
  annotate,
}) => {
  const world = await startWorld(2, { rules: APPROVERS });
  const { db, discord, replicas } = world;
  const runs: AskedRun[] = [];
  for (const _death of DEATHS) {
    runs.push(await askedRun(world));
  }
  for (const [index, [phase, reached]] of DEATHS.entries()) {
    const run = runs[index]!;
    const text = `PATCH /apis/argoproj.io/v1alpha1/namespaces/${NAMESPACE}/workflows/${run.workflow}`;
    const hits = replicas.map(async (replica) => {
      await replica.arm('cluster', { text, phase });
      return replica;
    });
    await run.press('approve', ADA);
    const victim = await Promise.race(hits);
    expect(run.node('approve').phase).toMatch(reached);
    replicas.forEach((replica) => replica.disarm());
    await victim.kill();
    expect(await approvalOf(db, run.runId)).toMatchObject({ verdict: 'approved', decided_by: 'ada' });
    await victim.ready();
    discord.people.pointAt(interactionsOf(victim));
  }
  for (const [index, run] of runs.entries()) {
    await expect.poll(() => approvalOf(db, run.runId)).toMatchObject({ state: 'approved' });
    const { attempts, decided_at: decidedAt, applied_at: appliedAt } = await approvalOf(db, run.runId);
    expect(attempts).toBeGreaterThan(1);
    await annotate(`killed ${DEATHS[index]?.[0]}: applied ${(appliedAt - decidedAt) / 1000} s after the decision`);
    await expect.poll(() => world.cluster.controller.completionsOf(NAMESPACE, run.workflow)).toHaveLength(3);
    await expectOnce(world, run, ['build', 'approve', 'deploy']);
  }
  expect(replicas.flatMap(({ crashes }) => crashes)).toEqual([]);
});
