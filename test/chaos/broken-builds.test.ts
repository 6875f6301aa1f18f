import { afterEach, expect, onTestFinished, test } from 'vitest';
import { BROKEN_BUILDS, makeBrokenBuild } from './broken-builds.ts';
import { check, type Violation } from './checker.ts';
import { ChaosWorld } from './world.ts';

// Runs the checker against builds that break one promise each: it must find every one.

const MINUTES = 60_000;

let world: ChaosWorld;
afterEach(async () => {
  await world.stop();
});

async function startBroken(name: keyof typeof BROKEN_BUILDS): Promise<void> {
  const { executable, remove } = makeBrokenBuild(BROKEN_BUILDS[name]);
  onTestFinished(remove);
  world = await ChaosWorld.start(executable);
}

async function promisesBroken(): Promise<Violation['promise'][]> {
  await world.rest();
  const violations = check(await world.history());
  return [...new Set(violations.map(({ promise }) => promise))];
}

/** The steps that show each of the faults. */
const TRIALS = {
  'dedupe off': async () => world.send(2),
  'acknowledge before commit': async (patienceMs: number) => {
    world.replicas.forEach(({ wires }) => wires.postgres.deafen(true));
    world.send(1);
    // Nothing that is answered in this time can be in the ledger.
    await world.answeredWithin(patienceMs);
    await Promise.all(world.replicas.map((replica) => replica.kill()));
    world.replicas.forEach(({ wires }) => wires.postgres.deafen(false));
  },
  'no lease': async () => {
    world.send(2);
    await world.watchedFor(8_000);
  },
} as const satisfies Record<keyof typeof BROKEN_BUILDS, (patienceMs: number) => Promise<void>>;

test('finds a build without deduplication', { timeout: 3 * MINUTES }, async () => {
  await startBroken('dedupe off');
  await TRIALS['dedupe off']();
  expect(await promisesBroken()).toEqual(expect.arrayContaining(['one workflow', 'answers agree']));
});

test('finds a build that acknowledges before the commit', { timeout: 3 * MINUTES }, async () => {
  await startBroken('acknowledge before commit');
  // Long enough for an answer on a busy machine.
  await TRIALS['acknowledge before commit'](MINUTES);
  expect(await promisesBroken()).toContain('none lost');
});

test('finds a build without a lease', { timeout: 3 * MINUTES }, async () => {
  await startBroken('no lease');
  await TRIALS['no lease']();
  expect(await promisesBroken()).toEqual(['one follower']);
});

test('the unchanged build keeps every promise in the same trials', { timeout: 3 * MINUTES }, async () => {
  world = await ChaosWorld.start();
  await TRIALS['dedupe off']();
  await TRIALS['acknowledge before commit'](2_000);
  await TRIALS['no lease']();
  expect(await promisesBroken()).toEqual([]);
});
