import { afterAll, beforeAll, beforeEach, describe, expect, test } from 'vitest';
import type { Database } from '../../src/clients/postgres/database.ts';
import type { Exchange } from '../../src/sandbox/discord/people.ts';
import { createTestDatabase, type TestDatabase } from '../support/database.ts';
import { openDiscordDoor, ROLE, whispered } from '../support/discord-door.ts';
import { unavailable } from '../support/faulty-database.ts';
import { countRuns, created, emptyLedger, expectRun, requests, runOf } from '../support/ledger.ts';

let database: TestDatabase;
let db: Database;
beforeAll(async () => {
  database = await createTestDatabase();
  ({ db } = database);
});
afterAll(() => database.close());
beforeEach(() => emptyLedger(db));

const OBJECTIVE = [{ name: 'objective', value: 'x' }];

/** The simulated Discord gives up after 3 seconds, as the real one does. */
function expectInTime(exchange: Exchange): void {
  expect(exchange).toMatchObject({ outcome: 'acknowledged', status: 200 });
  expect(exchange.milliseconds).toBeLessThan(3000);
}

describe('while Postgres', () => {
  test('is down, the user is told at once and nothing is half done', async () => {
    const { discord, facteur } = await openDiscordDoor({ db });
    facteur.faults.before = unavailable;
    const exchange = await discord.people.command('plan', OBJECTIVE);
    expect(whispered(exchange)).toContain('nothing was started. Please try again');
    expect(exchange.milliseconds).toBeLessThan(1500);
    facteur.faults.before = () => undefined;
    expect(await countRuns(db)).toBe(0);
    expect((await discord.people.command('plan', OBJECTIVE)).answer).toEqual({ type: 5 });
  });

  test('has not come up yet, probes pass and people are told to try again', async () => {
    const { discord, facteur } = await openDiscordDoor({ db, awaitReady: false });
    facteur.faults.before = unavailable;
    await discord.people.saveEndpoint(`${facteur.url}/discord/interactions`);
    expect(whispered(await discord.people.command('plan', OBJECTIVE))).toContain('try again');
    facteur.faults.before = () => undefined;
  });

  test('is slow, the answer is deferred within the limit', async () => {
    const { discord, facteur } = await openDiscordDoor({ db });
    facteur.faults.before = () => new Promise((resolve) => setTimeout(resolve, 700));
    const exchange = await discord.people.command('plan', OBJECTIVE);
    expectInTime(exchange);
    expect(exchange.answer).toEqual({ type: 5 });
  });

  test('is too slow, the user is told in time, and what is recorded all the same is canceled', async () => {
    const { discord, facteur } = await openDiscordDoor({ db });
    const { promise: held, resolve: letGo } = Promise.withResolvers<void>();
    facteur.faults.before = (statement) => (statement === 'record-runs' ? held : undefined);
    const exchange = await discord.people.command('plan', OBJECTIVE);
    expectInTime(exchange);
    expect(whispered(exchange)).toContain('could not record this in time');
    facteur.faults.before = () => undefined;
    letGo();
    const run = await expectRun(db, exchange.interactionId, 'canceled');
    expect(run.cancel_requested_by).toContain('its sender was told');
    expect(created(facteur.cluster)).toEqual([]);
    // Whoever tries again gets one run.
    const again = await discord.people.command('plan', OBJECTIVE);
    await expectRun(db, again.interactionId, 'submitted');
    expect(created(facteur.cluster)).toHaveLength(1);
  });

  test('loses the answer of a record that was made, the user is told, and the run is canceled', async () => {
    const { discord, facteur } = await openDiscordDoor({ db });
    facteur.faults.after = (statement) => (statement === 'record-runs' ? unavailable() : undefined);
    const exchange = await discord.people.command('plan', OBJECTIVE);
    expect(whispered(exchange)).toContain('nothing was started');
    await expectRun(db, exchange.interactionId, 'canceled');
    expect(created(facteur.cluster)).toEqual([]);
  });

  test('fails at the second of two deliveries of one interaction, the run of the first goes on', async () => {
    const { discord, facteur } = await openDiscordDoor({ db });
    const exchange = await discord.people.command('plan', OBJECTIVE);
    await expectRun(db, exchange.interactionId, 'submitted');
    const withdrawn = Promise.withResolvers<void>();
    facteur.faults.after = (statement) => {
      if (statement === 'withdraw-run') {
        withdrawn.resolve();
      }
      return statement === 'record-runs' ? unavailable() : undefined;
    };
    await discord.people.again(exchange);
    await withdrawn.promise;
    expect(await runOf(db, exchange.interactionId)).toMatchObject({ state: 'submitted', cancel_requested_by: null });
    expect(await countRuns(db)).toBe(1);
  });

  test('is down, a form is shown, /status answers, and a press is answered', async () => {
    const yaml = `commands:\n  ask:\n    description: Ask\n    modal: { title: Ask, fields: [{ name: what, label: What }] }\n`;
    const { discord, facteur } = await openDiscordDoor({ db, yaml });
    const { interactionId } = await discord.people.command('plan', OBJECTIVE);
    const { run_id: runId } = await expectRun(db, interactionId, 'submitted');
    facteur.faults.before = unavailable;
    expect((await discord.people.command('ask')).answer).toMatchObject({ type: 9 });
    expect(whispered(await discord.people.command('status'))).toContain('is ready');
    const message = discord.messages().find((candidate) => candidate.interactionId === interactionId)!;
    const customId = `facteur:cancel:${runId}`;
    const components = [{ type: 1, components: [{ type: 2, custom_id: customId }] }];
    const versions = message.versions.map((version) => ({ ...version, components }));
    expect(whispered(await discord.people.press({ ...message, versions }, customId))).toContain('try again');
  });

  test('cannot keep a refusal, the refusal is still the answer', async () => {
    const { discord, facteur } = await openDiscordDoor({ db });
    facteur.faults.before = unavailable;
    expect(whispered(await discord.people.command('plan', []))).toContain('objective: is required');
    expect(facteur.log.join('\n')).toContain('a refusal could not be recorded');
  });
});

describe('while the cluster', () => {
  test('hangs, commands are deferred at once and run when it is back', async () => {
    const { discord, facteur } = await openDiscordDoor({ db });
    facteur.cluster.faults.apply({ op: 'add', rule: { action: { kind: 'hang' } } });
    const exchanges = await Promise.all([1, 2, 3].map(() => discord.people.command('plan', OBJECTIVE)));
    for (const exchange of exchanges) {
      expectInTime(exchange);
      expect(exchange.answer).toEqual({ type: 5 });
      expect(exchange.milliseconds).toBeLessThan(1500);
    }
    await expect.poll(() => requests(facteur.cluster, 'create'), { timeout: 10_000 }).toBe(3);
    expect(await runOf(db, exchanges[0]!.interactionId)).toMatchObject({ state: 'queued' });
  });

  test('hangs, /status says so in time', async () => {
    const { discord, facteur } = await openDiscordDoor({ db });
    facteur.cluster.faults.apply({ op: 'add', rule: { match: { verb: 'get' }, action: { kind: 'hang' } } });
    const exchange = await discord.people.command('status');
    expectInTime(exchange);
    expect(whispered(exchange)).toContain('the cluster does not answer');
  });

  test('is gone, nothing changes for the person who asks', async () => {
    const { discord, facteur } = await openDiscordDoor({ db });
    await facteur.cluster.disconnect();
    expect((await discord.people.command('plan', OBJECTIVE)).answer).toEqual({ type: 5 });
    expect(whispered(await discord.people.command('status'))).toContain('the cluster does not answer');
  });
});

describe('while sessions', () => {
  test('are nowhere to be had, commands, reviews and /status answer in time', async () => {
    const env = { FACTEUR_REDIS_URL: 'redis://127.0.0.1:1/0' };
    const { discord } = await openDiscordDoor({ db, env });
    const review = [
      { name: 'project', value: 'p' },
      { name: 'artifact', value: 'a' },
    ];
    for (const exchange of [
      await discord.people.command('plan', OBJECTIVE),
      await discord.people.command('review', review),
      await discord.people.command('status'),
    ]) {
      expectInTime(exchange);
    }
    expect(await countRuns(db)).toBe(2);
  });
});

describe('while the event loop is held up', () => {
  test('the answer is deferred within the limit', async () => {
    const { discord } = await openDiscordDoor({ db });
    const asking = Promise.all([1, 2, 3, 4, 5].map(() => discord.people.command('plan', OBJECTIVE)));
    // Somebody else's work on this process's only thread, in turns of half a second.
    for (let turn = 0; turn < 4; turn += 1) {
      await new Promise((resolve) => setTimeout(resolve, 20));
      const until = performance.now() + 500;
      while (performance.now() < until) {
        // Held up.
      }
    }
    for (const exchange of await asking) {
      expectInTime(exchange);
      expect(exchange.answer).toEqual({ type: 5 });
    }
  });
});

test('with the dispatcher disabled a command is recorded and deferred', async () => {
  const { discord } = await openDiscordDoor({ db, env: { FACTEUR_DISABLE_DISPATCHER: 'true' } });
  const exchange = await discord.people.command('plan', OBJECTIVE);
  expect(exchange.answer).toEqual({ type: 5 });
  await expectRun(db, exchange.interactionId, 'skipped');
});

test('thirty people at once get an answer in time each, and a run each', async () => {
  const { discord } = await openDiscordDoor({ db, yaml: `role_map:\n  plan: ['${ROLE}']\n` });
  const people = Array.from({ length: 30 }, (_, index) => ({ id: String(200_000_000_000_000_000n + BigInt(index)) }));
  const exchanges = await Promise.all(
    people.map((who, index) =>
      discord.people.command('plan', OBJECTIVE, { ...who, roles: index % 2 === 0 ? [ROLE] : [] }),
    ),
  );
  exchanges.forEach(expectInTime);
  expect(await countRuns(db)).toBe(15);
});
