import { describe, expect } from 'vitest';
import type { Exchange } from '../../sandbox/discord/people.ts';
import { openDiscordDoor, ROLE, whispered } from '../support/discord-door.ts';
import { unavailable } from '../support/faulty-database.ts';
import { countRuns, created, expectRun, requests, runOf } from '../support/ledger.ts';
import { db, test } from '../support/ledger-fixture.ts';

const OBJECTIVE = [{ name: 'objective', value: 'x' }];

/** The simulated Discord gives up after 3 seconds, as the real one does. It and facteur both use the test's timer. */
function expectInTime(exchange: Exchange): void {
  expect(exchange).toMatchObject({ outcome: 'acknowledged', status: 200 });
  expect(exchange.milliseconds).toBeLessThan(2500);
}

/** The answer did not wait for any timeout. */
function expectAtOnce(exchange: Exchange): void {
  expect(exchange).toMatchObject({ outcome: 'acknowledged', status: 200, milliseconds: 0 });
}

describe('while Postgres', () => {
  test('is down, the user is told immediately and nothing is recorded', async () => {
    const { discord, facteur } = await openDiscordDoor({ db });
    facteur.faults.before = unavailable;
    const exchange = await discord.people.command('plan', OBJECTIVE);
    expect(whispered(exchange)).toContain('nothing was started. Please try again');
    expectAtOnce(exchange);
    facteur.faults.before = () => undefined;
    expect(await countRuns(db)).toBe(0);
    expect((await discord.people.command('plan', OBJECTIVE)).answer).toEqual({ type: 5 });
  });

  test('has not started yet, probes pass and users are told to try again', async () => {
    const { discord, facteur } = await openDiscordDoor({ db, awaitReady: false });
    facteur.faults.before = unavailable;
    await discord.people.saveEndpoint(`${facteur.url}/discord/interactions`);
    expect(whispered(await discord.people.command('plan', OBJECTIVE))).toContain('try again');
    facteur.faults.before = () => undefined;
  });

  test('is slow, the answer is deferred within the limit', async () => {
    const { discord, facteur, timer } = await openDiscordDoor({ db });
    const { promise: held, resolve: letGo } = Promise.withResolvers<void>();
    const arrived = Promise.withResolvers<void>();
    facteur.faults.before = (statement) => {
      arrived.resolve();
      return statement === 'record-runs' ? held : undefined;
    };
    const asked = discord.people.command('plan', OBJECTIVE);
    await arrived.promise;
    timer.advance(1900);
    letGo();
    const exchange = await asked;
    expectInTime(exchange);
    expect(exchange.answer).toEqual({ type: 5 });
  });

  test('is too slow, the user is told in time, and a run that is still recorded is canceled', async () => {
    const { discord, facteur, timer } = await openDiscordDoor({ db });
    const { promise: held, resolve: letGo } = Promise.withResolvers<void>();
    facteur.faults.before = (statement) => (statement === 'record-runs' ? held : undefined);
    const asked = discord.people.command('plan', OBJECTIVE);
    await timer.pass(2000);
    const exchange = await asked;
    expectInTime(exchange);
    expect(whispered(exchange)).toContain('could not record this in time');
    facteur.faults.before = () => undefined;
    letGo();
    const run = await expectRun(db, exchange.interactionId, 'canceled');
    expect(run.cancel_requested_by).toContain('its sender was told');
    expect(created(facteur.cluster)).toEqual([]);
    // A new attempt gets one run.
    const again = await discord.people.command('plan', OBJECTIVE);
    await expectRun(db, again.interactionId, 'submitted');
    expect(created(facteur.cluster)).toHaveLength(1);
  });

  test('loses the response after the commit, the user is told and the run is canceled', async () => {
    const { discord, facteur } = await openDiscordDoor({ db });
    facteur.faults.after = (statement) => (statement === 'record-runs' ? unavailable() : undefined);
    const exchange = await discord.people.command('plan', OBJECTIVE);
    expect(whispered(exchange)).toContain('nothing was started');
    await expectRun(db, exchange.interactionId, 'canceled');
    expect(created(facteur.cluster)).toEqual([]);
  });

  test('loses the response and is down for a moment, the run is still canceled', async () => {
    const { discord, facteur } = await openDiscordDoor({ db });
    let withdrawals = 0;
    facteur.faults.after = (statement) => (statement === 'record-runs' ? unavailable() : undefined);
    facteur.faults.before = (statement) => {
      withdrawals += statement === 'withdraw-run' ? 1 : 0;
      return statement === 'withdraw-run' && withdrawals === 1 ? unavailable() : undefined;
    };
    const exchange = await discord.people.command('plan', OBJECTIVE);
    expect(whispered(exchange)).toContain('nothing was started');
    await expectRun(db, exchange.interactionId, 'canceled');
    expect(withdrawals).toBe(2);
    expect(created(facteur.cluster)).toEqual([]);
  });

  test('fails on a redelivered interaction, the run of the first delivery continues', async () => {
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

  test('is down, forms, /status and buttons are still answered', async () => {
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

  test('cannot record a refusal, the refusal is still the answer', async () => {
    const { discord, facteur } = await openDiscordDoor({ db });
    facteur.faults.before = unavailable;
    expect(whispered(await discord.people.command('plan', []))).toContain('objective: is required');
    expect(facteur.log.join('\n')).toContain('could not record a refusal');
  });
});

describe('while the cluster', () => {
  test('hangs, commands are deferred at once and stay queued', async () => {
    const { discord, facteur } = await openDiscordDoor({ db });
    facteur.cluster.faults.apply({ op: 'add', rule: { action: { kind: 'hang' } } });
    const exchanges = await Promise.all([1, 2, 3].map(() => discord.people.command('plan', OBJECTIVE)));
    for (const exchange of exchanges) {
      expectAtOnce(exchange);
      expect(exchange.answer).toEqual({ type: 5 });
    }
    await expect.poll(() => requests(facteur.cluster, 'create')).toBe(3);
    expect(await runOf(db, exchanges[0]!.interactionId)).toMatchObject({ state: 'queued' });
  });

  test('hangs, /status says so in time', async () => {
    const { discord, facteur, timer } = await openDiscordDoor({ db });
    facteur.cluster.faults.apply({ op: 'add', rule: { match: { verb: 'get' }, action: { kind: 'hang' } } });
    const asked = discord.people.command('status');
    await timer.pass(1200);
    const exchange = await asked;
    expectInTime(exchange);
    expect(whispered(exchange)).toContain('the cluster does not respond');
  });

  test('is down, commands and /status are still answered', async () => {
    const { discord, facteur } = await openDiscordDoor({ db });
    await facteur.cluster.disconnect();
    expect((await discord.people.command('plan', OBJECTIVE)).answer).toEqual({ type: 5 });
    expect(whispered(await discord.people.command('status'))).toContain('the cluster does not respond');
  });
});

describe('while sessions', () => {
  test('are unavailable, commands, reviews and /status answer in time', async () => {
    const env = { FACTEUR_REDIS_URL: 'redis://127.0.0.1:1/0' };
    const { discord, timer } = await openDiscordDoor({ db, env });
    const review = [
      { name: 'project', value: 'p' },
      { name: 'artifact', value: 'a' },
    ];
    expectAtOnce(await discord.people.command('plan', OBJECTIVE));
    for (const asked of [discord.people.command('review', review), discord.people.command('status')]) {
      expectInTime(await timer.until(asked));
    }
    expect(await countRuns(db)).toBe(2);
  });
});

test('with the dispatcher disabled a command is recorded and deferred', async () => {
  const { discord } = await openDiscordDoor({ db, env: { FACTEUR_DISABLE_DISPATCHER: 'true' } });
  const exchange = await discord.people.command('plan', OBJECTIVE);
  expect(exchange.answer).toEqual({ type: 5 });
  await expectRun(db, exchange.interactionId, 'skipped');
});

test('thirty people at once each get an answer in time, and a run if they may', async () => {
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
