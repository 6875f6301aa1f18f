import { describe, expect, onTestFinished, vi } from 'vitest';
import { systemTimer } from '../../src/base/timer.ts';
import { commandsCommand } from '../../src/cli/commands.ts';
import { runCommandLine, type CliRun } from '../support/cli.ts';
import type { Json } from '../support/cluster.ts';
import { MINIMAL_ENV } from '../support/config.ts';
import { turnableClock } from '../support/database-clock.ts';
import { discordEnv, openDiscordDoor } from '../support/discord-door.ts';
import { startFacteur } from '../support/facteur.ts';
import { faultyDatabase, unavailable } from '../support/faulty-database.ts';
import { db, test } from '../support/ledger-fixture.ts';
import { expectNames, expectSynced, RegistrationWorld } from '../support/registration-world.ts';
import { applyTemplate, deleteTemplate } from '../support/templates.ts';

/** Runs `facteur commands list` against the same ledger. */
function listCommands({ discord }: RegistrationWorld): Promise<CliRun> {
  const command = commandsCommand({
    version: 'test',
    timer: systemTimer,
    clusterAccess: async () => Promise.reject(new Error('no cluster here')),
    openLedger: async () => ({ ...db, query: (statement) => db.query(statement), close: async () => undefined }),
  });
  const env = { ...MINIMAL_ENV, ...discordEnv(discord), FACTEUR_DISCORD_REGISTER_COMMANDS: 'true' };
  return runCommandLine(['commands', 'list'], [command], { env });
}

describe('registering', () => {
  test('follows the catalogue, and leaves the commands of others alone', async () => {
    const world = await RegistrationWorld.open();
    await world.others(['theirs']);
    world.start();
    world.apply(['deploy', 'db backup']);
    await expectNames(world, ['theirs', 'plan', 'deploy', 'db']);
    world.apply(['deploy'], 2);
    await expectNames(world, ['theirs', 'plan', 'deploy']);
    const deploy = ((await world.api('GET')) as Json[]).find(({ name }) => name === 'deploy');
    expect(deploy.description).toBe('Version 2');
    world.apply([]);
    await expectNames(world, ['theirs', 'plan']);
    const { rows } = await db.query({ text: 'SELECT name FROM facteur.registered_commands' });
    expect(rows).toEqual([{ name: 'plan' }]);
  });

  test('sends nothing on restarts if nothing has changed', async () => {
    const world = await RegistrationWorld.open();
    world.apply(['deploy']);
    const first = world.start();
    await expectSynced(world, 1);
    await first();
    const before = world.discord.history.entries.length;
    for (let restart = 1; restart <= 5; restart += 1) {
      const stop = world.start();
      const skipped = () => world.log.filter((line) => line.includes('have not changed')).length;
      await vi.waitFor(() => expect(skipped()).toBe(restart), 20_000);
      await stop();
    }
    expect(world.discord.history.entries.slice(before)).toEqual([]);
  });

  test('a server that the bot is not in does not prevent registration in others', async () => {
    const world = await RegistrationWorld.open();
    world.apply(['aaa', 'deploy'], 1, { aaa: '300000000000000999', deploy: world.discord.guildId });
    world.start(world.discord.applicationId, {});
    await expect.poll(() => world.discord.commands().map(({ name }) => name)).toContain('deploy');
    await expect
      .poll(async () => (await db.query({ text: 'SELECT problem FROM facteur.command_syncs ORDER BY 1' })).rows)
      .toEqual([
        { problem: '' },
        { problem: '' },
        { problem: expect.stringMatching(/^\/aaa: cannot .*: Missing Access \(HTTP 403, code 50001\)$/) },
      ]);
  });

  test('clears the problem of a server that no longer needs commands', async () => {
    const world = await RegistrationWorld.open();
    const { applicationId } = world.discord;
    const text = `INSERT INTO facteur.command_syncs (application_id, guild_id, sha256, due_at, problem) VALUES ($1, '300000000000000999', '', now(), '/plan: Missing Access')`;
    await db.query({ text, values: [applicationId] });
    expect((await listCommands(world)).stderr).toContain('/plan: Missing Access');
    world.apply([]);
    world.start();
    await expectSynced(world, 1);
    expect((await listCommands(world)).stderr).toBe('');
  });

  test('moves with the server that is configured', async () => {
    const world = await RegistrationWorld.open();
    world.apply(['deploy', 'local'], 1, { local: world.discord.guildId });
    const { applicationId, guildId } = world.discord;
    // In turn: global, in one server, global, in another server.
    for (const place of [{}, { guildId }, {}, { guildId: '300000000000000999' }]) {
      const stop = world.start(applicationId, place);
      const expected = 'guildId' in place && place.guildId !== guildId ? [] : ['deploy', 'local', 'plan'];
      const names = () => world.discord.commands().map(({ name }) => name);
      await expect.poll(() => names().toSorted(), { timeout: 20_000 }).toEqual(expected);
      await stop();
    }
    const warnings = world.log.filter((line) => line.includes('removing the commands of another place'));
    expect(warnings.map((line): unknown => JSON.parse(line))).toContainEqual(
      expect.objectContaining({ level: 'warn', guildId, configuredGuildId: '300000000000000999' }),
    );
  });

  test('logs that it cannot remove its commands from a server that the bot has left', async () => {
    const world = await RegistrationWorld.open();
    const text = `INSERT INTO facteur.registered_commands (application_id, guild_id, name, discord_id, origin) VALUES ($1, $2, 'plan', '1', '')`;
    await db.query({ text, values: [world.discord.applicationId, '300000000000000999'] });
    world.apply([]);
    world.start();
    await expectSynced(world, 1);
    await vi.waitFor(() => {
      const line = world.log.find(
        (one) => one.includes('"guildId":"300000000000000999"') && one.includes('"commands":0'),
      );
      expect(line).toContain('Missing Access');
    });
  });

  test('keeps the translations of options that others set', async () => {
    const world = await RegistrationWorld.open();
    world.apply(['db backup', 'deploy']);
    const stop = world.start();
    await expectSynced(world, 1);
    await stop();
    const read = async () => ((await world.api('GET', undefined, '?with_localizations=true')) as Json[])[1];
    const { id, name, options } = await read();
    const name_localizations = { de: 'sichern' };
    await world.api('PATCH', { options: options.map((one: Json) => ({ ...one, name_localizations })) }, id);
    world.apply(['db backup', 'deploy'], 2);
    world.start();
    await expectSynced(world, 2);
    expect([name, (await read()).options]).toEqual([
      'db',
      [expect.objectContaining({ description: 'Version 2', name_localizations })],
    ]);
  });

  test('a thousand changes in a row cause one or two syncs', async () => {
    const world = await RegistrationWorld.open();
    world.apply([]);
    world.start();
    await expectSynced(world, 1);
    for (let version = 1; version <= 1000; version += 1) {
      world.apply(['deploy'], version);
    }
    const last = async () => ((await world.api('GET')) as Json[]).find(({ name }) => name === 'deploy')?.description;
    await expect.poll(last, { timeout: 20_000 }).toBe('Version 1000');
    expect(world.synced()).toBeLessThanOrEqual(3);
  });

  test('deletes nothing before the templates are read', async () => {
    const world = await RegistrationWorld.open();
    world.apply(['deploy']);
    const stop = world.start();
    await expectNames(world, ['plan', 'deploy']);
    await stop();
    world.catalogue.replace([], false);
    world.start();
    for (let question = 0; question < 5; question += 1) {
      expect(await world.names()).toEqual(['deploy', 'plan']);
    }
    world.apply(['deploy', 'build']);
    await expectNames(world, ['plan', 'deploy', 'build']);
    expect(world.changes()).not.toContain('delete deploy');
  });

  test('continues where it stopped when Discord asks to wait, and deletes only at the end', async () => {
    const world = await RegistrationWorld.open();
    world.apply(['old', 'kept']);
    const stop = world.start();
    await expectNames(world, ['plan', 'old', 'kept']);
    await stop();
    const action = { kind: 'answer', answer: { status: 429, retryAfterMs: 7000 } } as const;
    await world.discord.faults.apply({ op: 'add', rule: { route: 'command.create', action, times: 3 } });
    world.apply(['kept', 'new1', 'new2'], 2);
    world.start();
    await expectNames(world, ['plan', 'kept', 'new1', 'new2']);
    expect(world.log.join('')).toContain('Discord asks to wait');
    expect(world.changes().slice(3)).toEqual(['put kept', 'put new1', 'put new2', 'delete old']);
  });

  test('at the daily limit, keeps existing commands and still deletes removed ones', async () => {
    const world = await RegistrationWorld.open({ creationsADay: 3 });
    world.apply(['a', 'b']);
    const stop = world.start();
    await expectNames(world, ['plan', 'a', 'b']);
    await stop();
    world.apply(['b', 'c', 'd'], 2);
    world.start();
    await expectNames(world, ['plan', 'b']);
    await expectSynced(world, 2);
    expect(world.log.join('')).toMatch(/"problem":"\/c: .*"message":"not all commands could be registered/);
    const { rows } = await db.query<Json>({
      text: `SELECT problem, due_at > now() + interval '23 hours' AS tomorrow FROM facteur.command_syncs`,
    });
    expect(rows).toEqual([{ problem: expect.stringMatching(/^\/c: .*30034.*; \/d: .* today$/), tomorrow: true }]);
  });

  test('with a hundred commands of others, deletes none of them and reports which commands do not fit', async () => {
    const world = await RegistrationWorld.open();
    await world.api(
      'PUT',
      Array.from({ length: 100 }, (_, index) => ({ name: `x${index}`, description: 'Theirs' })),
    );
    world.apply(['deploy']);
    world.start();
    await expectSynced(world, 1);
    expect(await world.names()).toHaveLength(100);
    expect(world.changes().some((change) => change.startsWith('delete'))).toBe(false);
    const { rows } = await db.query<Json>({ text: 'SELECT problem FROM facteur.command_syncs' });
    expect(rows).toEqual([
      { problem: '/plan: Discord takes only 100 commands; /deploy: Discord takes only 100 commands' },
    ]);
    expect((await listCommands(world)).stderr).toBe(
      'facteur: warning: not registered with Discord: /plan: Discord takes only 100 commands\n' +
        'facteur: warning: not registered with Discord: /deploy: Discord takes only 100 commands\n',
    );
  });

  test('a crash between Discord and the ledger leaves no command behind', async () => {
    const world = await RegistrationWorld.open();
    const { applicationId, guildId } = world.discord;
    await world.others(['lost']);
    const text = `INSERT INTO facteur.registered_commands (application_id, guild_id, name, origin) VALUES ($1, $2, $3, '')`;
    await db.query({ text, values: [applicationId, guildId, 'lost'] });
    await db.query({ text, values: [applicationId, guildId, 'never'] });
    world.apply([]);
    world.start();
    await expectNames(world, ['plan']);
    const { rows } = await db.query({ text: 'SELECT name FROM facteur.registered_commands' });
    expect(rows).toEqual([{ name: 'plan' }]);
  });

  test('a command whose creation could not be recorded is still ours', async () => {
    const world = await RegistrationWorld.open();
    world.apply(['deploy']);
    const going = faultyDatabase(db);
    going.faults.before = async (statement) => {
      if (statement === 'record-command' && (await world.names()).includes('deploy')) {
        unavailable();
      }
    };
    const stop = world.start(world.discord.applicationId, { guildId: world.discord.guildId, db: going });
    await expect.poll(() => world.names()).toContain('deploy');
    await stop();
    world.apply([]);
    world.start();
    await expectNames(world, ['plan']);
  });

  test('a command of ours that somebody replaced is no longer ours', async () => {
    const world = await RegistrationWorld.open();
    world.apply(['deploy']);
    const stop = world.start();
    await expectNames(world, ['plan', 'deploy']);
    await stop();
    const { id } = ((await world.api('GET')) as Json[]).find(({ name }) => name === 'deploy');
    await world.api('DELETE', undefined, id);
    await world.others(['deploy']);
    world.apply([]);
    world.start();
    await expectSynced(world, 2);
    expect(await world.names()).toEqual(['deploy', 'plan']);
  });
});

describe('the daily check', () => {
  const MINUTE_MS = 60_000;
  const DAY_MS = 24 * 60 * MINUTE_MS;

  /** Changes that anybody with access to the application may make at any time. */
  async function drift(world: RegistrationWorld): Promise<void> {
    const { rows } = await db.query<Json>({ text: 'SELECT name, discord_id AS id FROM facteur.registered_commands' });
    const idOf = (name: string): string => rows.find((one) => one.name === name).id;
    await world.api('PATCH', { description: 'Theirs' }, idOf('build'));
    await world.api('DELETE', undefined, idOf('deploy'));
  }

  test('restores commands that were deleted or edited in Discord, and otherwise writes nothing', async () => {
    const clock = await turnableClock(db);
    onTestFinished(() => clock.remove());
    const world = await RegistrationWorld.open();
    world.apply(['build', 'deploy', 'kept']);
    const first = world.start();
    await expectSynced(world, 1);
    await first();
    await drift(world);
    const [changesBefore, readsBefore] = [world.changes().length, world.reads()];
    const changes = (): readonly string[] => world.changes().slice(changesBefore);

    await clock.setAhead(DAY_MS - MINUTE_MS);
    const early = world.start();
    await vi.waitFor(() => expect(world.log.join('')).toContain('have not changed'));
    await early();
    expect([changes(), world.reads()]).toEqual([[], readsBefore]);

    await clock.setAhead(DAY_MS + MINUTE_MS);
    const due = world.start();
    await expectSynced(world, 2);
    await due();
    expect([changes(), world.reads()]).toEqual([['put build', 'put deploy'], readsBefore + 1]);
    const repaired = ((await world.api('GET')) as Json[]).map(({ name, description }) => `${name}: ${description}`);
    expect(repaired.toSorted()).toEqual(['build: Version 1', 'deploy: Version 1', 'kept: Version 1', 'plan: Plan']);

    await clock.setAhead(2 * DAY_MS + 2 * MINUTE_MS);
    world.start();
    await expectSynced(world, 3);
    expect(changes()).toEqual(['put build', 'put deploy']);

    // Restored commands are still its own.
    world.apply(['build', 'kept']);
    await expectSynced(world, 4);
    expect(changes().slice(2)).toEqual(['delete deploy']);
  });

  test('runs without a restart or a change of the commands', async () => {
    const world = await RegistrationWorld.open({}, { settleMs: 20, spacingMs: 60, checkMs: 100 });
    world.apply(['build', 'deploy']);
    world.start();
    await expectSynced(world, 1);
    const before = world.changes().length;
    await drift(world);
    const byIt = (): readonly string[] => world.changes().slice(before).toSorted();
    await expect.poll(byIt).toEqual(['delete deploy', 'put build', 'put build', 'put deploy']);
    const synced = world.synced();
    await expectSynced(world, synced + 3);
    expect(byIt()).toHaveLength(4);
  });
});

test('one of two processes registers the commands, each command once', async () => {
  const env = { FACTEUR_DISCORD_REGISTER_COMMANDS: 'true' };
  const yaml = 'commands_from_templates: { namespaces: [argo-workflows] }';
  const door = await openDiscordDoor({ db, yaml, env });
  const { discord, facteur } = door;
  await startFacteur({ db, cluster: facteur.cluster, yaml, env: { ...discordEnv(discord), ...env } });
  await applyTemplate(facteur.cluster, 'deploy');
  const registered = async (): Promise<readonly string[]> =>
    discord.history.entries.filter(({ kind }) => kind === 'command.changed').map(({ by, text }) => `${by} ${text}`);
  await expect.poll(registered, { timeout: 30_000 }).toEqual(expect.arrayContaining(['put plan', 'put status']));
  expect(new Set(await registered()).size).toBe((await registered()).length);
  await deleteTemplate(facteur.cluster, 'deploy');
});
