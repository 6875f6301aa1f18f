import { afterEach, expect, test } from 'vitest';
import { seededRandom } from '../../sandbox/cluster/random.ts';
import { check } from './checker.ts';
import type { Wire } from './replica.ts';
import type { Tripwire } from './wire-proxy.ts';
import { ChaosWorld } from './world.ts';

// Whatever is killed, and whenever: every delivery becomes one workflow, none is lost, and all answers agree.

const MINUTES = 60_000;

let world: ChaosWorld;
afterEach(async () => {
  await world.stop();
});

const CREATE = 'POST /apis/argoproj.io';

/** Every step of a run at which a process may be killed, and the wire on which it shows. */
const STEPS: readonly [string, Wire, Tripwire][] = (
  [
    ['recording', 'postgres', 'record-runs'],
    ['creating', 'cluster', CREATE],
    ['marking it submitted', 'postgres', 'mark-submitted'],
    ['writing down what was seen', 'postgres', 'observe-workflows'],
  ] as const
).flatMap(([step, wire, text]) =>
  (['before', 'sent', 'answered'] as const).map((phase): [string, Wire, Tripwire] => [
    `${step}: ${phase}`,
    wire,
    { text, phase },
  ]),
);

/** More for a long run: `FACTEUR_CHAOS_ACTS=200 npm run test:chaos`. */
const ACTS = Number(process.env['FACTEUR_CHAOS_ACTS'] ?? 12);
const SEED = Number(process.env['FACTEUR_CHAOS_SEED'] ?? Math.floor(Math.random() * 2 ** 31));

async function expectAllKept(): Promise<void> {
  await world.rest();
  expect(world.replicas.flatMap(({ crashes }) => crashes)).toEqual([]);
  const history = await world.history();
  expect(check(history)).toEqual([]);
  // No promise is broken, and nothing is missing: each request has its answer, each delivery its run.
  expect(history.answers).toHaveLength(history.deliveries.length * 3);
  expect(history.runs).toHaveLength(history.deliveries.length);
}

test('a process is killed at each step of a run', { timeout: 6 * MINUTES }, async () => {
  world = await ChaosWorld.start();
  for (const [, wire, tripwire] of STEPS) {
    const { replica } = await world.until(wire, tripwire);
    await replica.kill();
  }
  await expectAllKept();
});

test('a process is killed just after an answer', { timeout: 3 * MINUTES }, async () => {
  world = await ChaosWorld.start();
  for (const replica of world.replicas) {
    await world.answered();
    await replica.kill();
  }
  await expectAllKept();
});

test(
  'a process is paused during a create until its claims and its lease have expired',
  { timeout: 4 * MINUTES },
  async () => {
    world = await ChaosWorld.start();
    const { replica, hit } = await world.until('cluster', { text: CREATE, phase: 'answered' });
    replica.signal('SIGSTOP');
    // The other process has taken over the claims of this one, and the watch if this one had it.
    await world.overtaken();
    replica.signal('SIGCONT');
    hit.cut();
    world.send(3);
    await expectAllKept();
  },
);

/** What may happen at any time. */
const ACTIONS: readonly [string, () => Promise<void>][] = [
  ['a process is killed', () => world.replicas[0]!.kill()],
  ['the other process is killed', () => world.replicas[1]!.kill()],
  ['PostgreSQL dies and comes back', () => world.postgres.restart()],
  ['PostgreSQL is killed, with what it had not written to disk', () => world.postgres.crash()],
  ['all connections to PostgreSQL are ended', () => world.endBackends()],
  ['the cluster goes and comes back', () => world.cluster.disconnect().then(() => world.cluster.reconnect())],
  ['the cluster forgets its past and drops all watches', forgetThePast],
  ['the cluster does what it is asked and says that it did not', lie],
  ['the cluster loses an answer', () => lose('cluster', CREATE)],
  ['PostgreSQL loses an answer about a record', () => lose('postgres', 'record-runs')],
  ['PostgreSQL loses an answer about a mark', () => lose('postgres', 'mark-submitted')],
  ['PostgreSQL loses an answer about what was seen', () => lose('postgres', 'observe-workflows')],
];

/** Watches break and cannot be resumed: everything has to be listed again. */
async function forgetThePast(): Promise<void> {
  world.cluster.faults.apply({ op: 'compact' });
  world.cluster.faults.apply({ op: 'drop-watches', how: 'reset' });
}

/** Like a proxy in front of the cluster that times out. */
async function lie(): Promise<void> {
  const answer = { status: 504, reason: 'Timeout' };
  world.cluster.faults.requests.add({
    match: { verb: 'create' },
    action: { kind: 'commit-then-answer', answer },
    times: 3,
  });
}

/** The request is executed, but its answer is lost. */
async function lose(wire: Wire, text: string): Promise<void> {
  const { hit } = await world.until(wire, { text, phase: 'answered' });
  hit.cut();
}

test(`keeps every promise under random faults with seed ${SEED}`, { timeout: (2 + ACTS / 4) * MINUTES }, async () => {
  const random = seededRandom(SEED);
  world = await ChaosWorld.start();
  for (let act = 0; act < ACTS; act += 1) {
    world.send(4);
    const [name, action] = ACTIONS[Math.floor(random() * ACTIONS.length)]!;
    await action().catch((error: unknown) => {
      throw new Error(`act ${act} of seed ${SEED}: ${name}`, { cause: error });
    });
  }
  await expectAllKept();
});
