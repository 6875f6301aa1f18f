import { describe, expect, onTestFinished, test } from 'vitest';
import { runCommandLine, type CliRun } from '../../test/support/cli.ts';
import { accessTo, startCluster } from '../../test/support/cluster.ts';
import { applyTemplate } from '../../test/support/templates.ts';
import type { SimulatedCluster } from '../../sandbox/cluster/cluster.ts';
import { startSimulatedDiscord, type SimulatedDiscord } from '../../sandbox/discord/discord.ts';
import { commandsCommand } from './commands.ts';
import { instantTimer } from '../../test/support/instant-timer.ts';

// An answer of Discord’s API, without a type: a wrong shape fails the next expectation.
type Json = ReturnType<typeof JSON.parse>;

/** Together with the four built-in commands, as many as Discord lets an application create in a row. */
const YAML = `
role_map: { deploy: ['500000000000000001'] }
commands:
  deploy:
    description: Roll a release out
    options:
      - { name: environment, description: Where, required: true, choices: [staging, { name: Production, value: prod }] }
      - { name: replicas, description: How many, type: integer, min: 1, max: 20 }
      - { name: size, description: Size, type: number, choices: ['0.5', '1.0'] }
      - { name: force, description: Anyway, type: boolean }
      - { name: version, description: Which, min_length: 1, max_length: 8, autocomplete: [latest] }
`;

const MORE = `${YAML}  service:
    description: Services
    options:
      - { name: start.name, description: Which, required: true }
      - { name: db.backup.name, description: Which, required: true }
      - { name: db.restore.name, description: Which, required: true }
  ask: { description: Ask, modal: { title: Ask, fields: [{ name: content, label: What }, { name: more, label: M, required: false }] } }
`;

/** Discord's limits and the waits of the command use one clock, which advances only during a wait. */
async function setUp(options: Parameters<typeof startSimulatedDiscord>[0] = {}, cluster?: SimulatedCluster) {
  const time = { ms: Date.parse('2026-11-21T12:00:00Z') };
  const discord = await startSimulatedDiscord({ clock: { now: () => new Date(time.ms) }, ...options });
  const timer = { ...instantTimer((ms) => void (time.ms += ms)), elapsedMs: () => time.ms };
  onTestFinished(() => discord.close());
  const run = (args: readonly string[], yaml = YAML, env: Record<string, string> = {}): Promise<CliRun> =>
    runCommandLine(
      ['commands', ...args, '--config', 'facteur.yaml'],
      [
        commandsCommand({
          version: '1.2.3',
          timer,
          clusterAccess: async () => accessTo(cluster?.url ?? 'http://127.0.0.1:9'),
          openLedger: async () => Promise.reject(new Error('no ledger here')),
        }),
      ],
      {
        readFile: async () => Buffer.from(yaml),
        env: {
          FACTEUR_DISCORD_API_BASE_URL: discord.apiBaseUrl,
          FACTEUR_DISCORD_APPLICATION_ID: discord.applicationId,
          FACTEUR_DISCORD_BOT_TOKEN: discord.botToken,
          FACTEUR_DISCORD_GUILD_ID: discord.guildId,
          ...env,
        },
      },
    );
  return { discord, run, time };
}

/** One request to Discord by the application's owner. */
async function api(discord: SimulatedDiscord, method: string, path: string, body?: object): Promise<Json> {
  const response = await fetch(`${discord.apiBaseUrl}/v10/applications/${discord.applicationId}${path}`, {
    method,
    headers: {
      authorization: `Bot ${discord.botToken}`,
      'user-agent': 'DiscordBot (https://example.test, 1.0)',
      'content-type': 'application/json',
    },
    ...(body === undefined ? {} : { body: JSON.stringify(body) }),
  });
  return response.status === 204 ? undefined : response.json();
}

const changes = (discord: SimulatedDiscord) => discord.history.entries.filter(({ kind }) => kind === 'command.changed');

describe('commands list', () => {
  test('shows each command, its source, and who may run it', async () => {
    const { run } = await setUp();
    const { code, stdout } = await run(['list'], MORE);
    expect(code).toBe(0);
    expect(stdout).toMatch(/\/plan +built in +anyone +Turn upcoming work into a plan +objective \[project\]$/m);
    expect(stdout).toMatch(/\/deploy +configured +500000000000000001 .*environment \[replicas\]/);
    expect(stdout).toMatch(/\/ask +configured +anyone +Ask +\(form: content \[more\]\)$/m);
    expect((await run(['list', '-o', 'name'], MORE)).stdout.split('\n')).toContain('deploy');
  });

  test('shows the commands of templates, and why some do not exist', async () => {
    const cluster = await startCluster();
    const { run } = await setUp({}, cluster);
    const yaml = `${MORE}commands_from_templates: { namespaces: [argo-workflows] }\n`;
    const { metadata } = await applyTemplate(cluster, 'build', { parameters: [{ name: 'Branch', value: 'main' }] });
    await applyTemplate(cluster, 'mine', { annotations: { command: 'deploy' } });
    await applyTemplate(cluster, 'silent', { annotations: { roles: null } });
    const { code, stdout, stderr } = await run(['list'], yaml);
    expect([code, stderr]).toEqual([0, '']);
    const version = `argo-workflows/build@${metadata.resourceVersion}`;
    expect(stdout).toMatch(
      new RegExp(`/build +template ${version} +500000000000000001 +Run the template build +\\[branch\\]`),
    );
    expect(stdout).toMatch(/\/deploy +configured +500/);
    expect(stdout).toMatch(/\/deploy +template .* +nobody +does not exist: \/deploy is a command of the configuration/);
    expect(stdout).toMatch(/\/silent +template .* +nobody +does not exist: .*roles: names no role/);
    expect((await run(['sync'], yaml)).stdout).toContain('  + /build\n');

    await cluster.disconnect();
    const without = await run(['list'], yaml);
    expect(without.stderr).toContain('warning: commands of templates are missing here');
    expect(without.stdout).toMatch(/\/plan +built in/);
    expect(without.stdout).not.toContain('/build');
    expect(await run(['sync', '--prune'], yaml)).toMatchObject({
      code: 1,
      stderr: expect.stringContaining('cannot list the workflow templates'),
    });
  });

  test('--json prints the commands as they are sent to Discord', async () => {
    const { run } = await setUp();
    const commands: Json = JSON.parse((await run(['list', '--json'], MORE)).stdout);
    const byName = Object.fromEntries(commands.map((command: Json) => [command.name, command]));
    expect(byName.deploy).toEqual({
      name: 'deploy',
      type: 1,
      description: 'Roll a release out',
      options: [
        {
          type: 3,
          name: 'environment',
          description: 'Where',
          required: true,
          choices: [
            { name: 'staging', value: 'staging' },
            { name: 'Production', value: 'prod' },
          ],
        },
        { type: 4, name: 'replicas', description: 'How many', min_value: 1, max_value: 20 },
        {
          type: 10,
          name: 'size',
          description: 'Size',
          choices: [
            { name: '0.5', value: 0.5 },
            { name: '1.0', value: 1 },
          ],
        },
        { type: 5, name: 'force', description: 'Anyway' },
        { type: 3, name: 'version', description: 'Which', min_length: 1, max_length: 8, autocomplete: true },
      ],
    });
    expect(byName.service.options).toMatchObject([
      { type: 1, name: 'start', options: [{ type: 3, name: 'name', required: true }] },
      {
        type: 2,
        name: 'db',
        options: [
          { type: 1, name: 'backup' },
          { type: 1, name: 'restore' },
        ],
      },
    ]);
    expect(byName.ask.options).toEqual([]);
  });
});

describe('commands sync', () => {
  test('registers missing commands, and is idempotent', async () => {
    const { discord, run } = await setUp();
    expect((await run(['sync', '--dry-run', '-o', 'json'])).stdout).toContain('{"name":"plan","action":"create"}\n');
    const first = await run(['sync']);
    expect(first).toMatchObject({ code: 0, stderr: '' });
    expect(first.stdout).toContain(`commands of server ${discord.guildId}\n  + /plan\n`);
    expect(first.stdout).toContain('5 changes made');
    const made = changes(discord).length;
    const second = await run(['sync']);
    expect(second.stdout).toContain('  = /plan\n');
    expect(second.stdout).toContain('nothing to change');
    expect(changes(discord)).toHaveLength(made);
    expect(await api(discord, 'GET', `/guilds/${discord.guildId}/commands`)).toHaveLength(5);
    expect(await api(discord, 'GET', '/commands')).toEqual([]);
  });

  test('shows the differences, and applies only those', async () => {
    const { discord, run } = await setUp();
    await run(['sync']);
    const before = changes(discord).length;
    const changed = YAML.replace('max: 20', 'max: 30')
      .replace('[staging,', '[staging, test,')
      .replace('      - { name: force, description: Anyway, type: boolean }\n', '')
      .replace('description: Roll a release out', 'description: Roll it out');
    const dry = await run(['sync', '--dry-run'], changed);
    expect(dry.stdout).toContain(
      '  ~ /deploy\n      description: "Roll a release out" -> "Roll it out"\n      options.environment.choices: staging=staging, Production=prod -> staging=staging, test=test, Production=prod\n',
    );
    expect(dry.stdout).toContain('      options.replicas.max_value: 20 -> 30\n      options.force: gone\n');
    expect(dry.stdout).toContain('1 change to make; nothing was changed');
    expect(changes(discord)).toHaveLength(before);
    expect((await run(['sync', '--dry-run', '-o', 'yaml'], changed)).stdout).toContain('action: change\nchanges:\n');
    expect((await run(['sync'], changed)).stdout).toContain('1 change made');
    expect(changes(discord)).toHaveLength(before + 1);
    expect((await run(['sync'], changed)).stdout).toContain('nothing to change');
  });

  test('reports and fixes a changed order of options', async () => {
    const { run } = await setUp();
    await run(['sync']);
    const lines = YAML.split('\n');
    const [force, version] = [
      lines.findIndex((line) => line.includes('force')),
      lines.findIndex((line) => line.includes('version')),
    ];
    [lines[force], lines[version]] = [lines[version]!, lines[force]!];
    const { stdout } = await run(['sync'], lines.join('\n'));
    expect(stdout).toContain(
      'options: order environment, replicas, size, force, version -> environment, replicas, size, version, force',
    );
    expect((await run(['sync'], lines.join('\n'))).stdout).toContain('nothing to change');
  });

  test('deletes foreign commands only with --prune, and commands of other menus never', async () => {
    const { discord, run } = await setUp();
    const path = `/guilds/${discord.guildId}/commands`;
    const theirs = { name: 'theirs', description: 'Somebody else’s' };
    await api(discord, 'PUT', path, [theirs, { name: 'Inspect', type: 3 }]);
    const first = await run(['sync']);
    expect(first.stdout).toContain('  ? /theirs is not in the configuration; kept (--prune deletes it)');
    expect((await run(['sync', '--prune', '--dry-run'])).stdout).toContain('  - /theirs\n1 change to make');
    const names = async (): Promise<string[]> => (await api(discord, 'GET', path)).map(({ name }: Json) => name);
    expect(await names()).toContain('theirs');
    expect((await run(['sync', '--prune'])).stdout).toContain('  - /theirs\n1 change made');
    expect(await names()).not.toContain('theirs');
    expect(await names()).toContain('Inspect');
  });

  test('ignores and keeps what others set on its commands', async () => {
    const { discord, run } = await setUp();
    await run(['sync']);
    const path = `/guilds/${discord.guildId}/commands`;
    const plan: Json = (await api(discord, 'GET', path)).find(({ name }: Json) => name === 'plan');
    const theirs = { default_member_permissions: '8', description_localizations: { de: 'Planen' }, nsfw: true };
    await api(discord, 'PATCH', `${path}/${plan.id}`, theirs);
    expect((await run(['sync'])).stdout).toContain('nothing to change');
    const yaml = `${YAML}  plan: { description: Plan it }\n`;
    await run(['sync'], yaml);
    const after: Json = await api(discord, 'GET', `${path}/${plan.id}`);
    expect(after).toMatchObject({ ...theirs, id: plan.id, description: 'Plan it', options: [] });
  });

  test('syncs global commands, those of a named server, and global ones if no server is configured', async () => {
    const { discord, run } = await setUp();
    expect((await run(['sync', '--global'])).stdout).toContain('global commands\n  + /plan\n');
    expect(await api(discord, 'GET', '/commands')).toHaveLength(5);
    const named = await run(['sync', '--guild', discord.guildId, '--dry-run'], YAML, { FACTEUR_DISCORD_GUILD_ID: '' });
    expect(named.stdout).toContain(`commands of server ${discord.guildId}\n  + /plan\n`);
    // A server that the bot is not in.
    expect(await run(['sync', '--guild', '300000000000000009'])).toMatchObject({
      code: 1,
      stderr: expect.stringContaining('cannot list the commands'),
    });
    const none = { FACTEUR_DISCORD_GUILD_ID: '' };
    expect((await run(['sync'], YAML, none)).stdout).toContain('global commands\n  = /plan\n');
    expect(await run(['sync', '--guild'], YAML, none)).toMatchObject({ code: 2 });
    expect(await run(['sync', '--guild', '--global'])).toMatchObject({ code: 2 });
  });

  test('registers a template’s command only in the servers that its annotation names', async () => {
    const cluster = await startCluster();
    const { discord, run } = await setUp({}, cluster);
    const yaml = 'commands_from_templates: { namespaces: [argo-workflows] }';
    await applyTemplate(cluster, 'here', { annotations: { guilds: discord.guildId } });
    expect((await run(['sync'], yaml)).stdout).toContain('  + /here\n');
    expect((await run(['sync', '--global'], yaml)).stdout).toMatch(
      /commands\n  \. \/here exists only in server \d+: use --guild\n(?:  \+ \/.*\n){4}4 changes made/,
    );
  });

  test('waits when Discord asks it to, and continues where it stopped', async () => {
    const { discord, run, time } = await setUp();
    const begun = time.ms;
    const action = { kind: 'answer', answer: { status: 429, retryAfterMs: 7000 } } as const;
    await discord.faults.apply({ op: 'add', rule: { route: 'command.create', action, times: 2 } });
    const { code, stdout, stderr } = await run(['sync'], MORE);
    expect(code).toBe(0);
    // Twice for the 429s, and once because five creations use up what Discord allows in 20 seconds.
    expect(stderr).toBe('Discord asks to wait 7 s\nDiscord asks to wait 7 s\nDiscord asks to wait 20 s\n');
    expect(time.ms - begun).toBe(34_000);
    expect(stdout).toContain('7 changes made');
    const made = changes(discord).map(({ text }) => text);
    expect(made).toEqual(['plan', 'implement', 'review', 'status', 'deploy', 'service', 'ask']);
  });

  test('at Discord’s limit, deletes unwanted commands to make room; commands of other menus do not count', async () => {
    const { discord, run } = await setUp();
    const path = `/guilds/${discord.guildId}/commands`;
    const ours = ['plan', 'deploy'].map((name) => ({ name, description: 'Old' }));
    const old = Array.from({ length: 98 }, (_, index) => ({ name: `old${index}`, description: 'Old' }));
    await api(discord, 'PUT', path, [...ours, ...old, { name: 'Look', type: 3 }]);
    const before = changes(discord).length;
    const { code, stdout } = await run(['sync', '--prune']);
    expect(code).toBe(0);
    expect(stdout).toContain('103 changes made');
    const done = changes(discord)
      .slice(before)
      .map(({ by, text }) => `${by} ${text}`);
    expect(done.slice(0, 8)).toEqual([
      'put plan',
      'put deploy',
      'delete old0',
      'put implement',
      'delete old1',
      'put review',
      'delete old2',
      'put status',
    ]);
    expect(done.slice(8)).toEqual(old.slice(3).map(({ name }) => `delete ${name}`));
    const names: string[] = (await api(discord, 'GET', path)).map(({ name }: Json) => name);
    expect(names.toSorted()).toEqual(['Look', 'deploy', 'implement', 'plan', 'review', 'status']);
  });

  test('without --prune, reports that there is no room, and changes what it can', async () => {
    const { discord, run } = await setUp();
    const path = `/guilds/${discord.guildId}/commands`;
    const old = Array.from({ length: 99 }, (_, index) => ({ name: `old${index}`, description: 'Old' }));
    await api(discord, 'PUT', path, [{ name: 'plan', description: 'Old' }, ...old]);
    const { code, stdout, stderr } = await run(['sync']);
    expect(code).toBe(1);
    expect(stdout).toContain('  ~ /plan\n');
    expect(stderr).toMatch(
      /Discord takes only 100 commands; 1 change made, no room for \/implement, \/review.*; --prune/,
    );
    expect(await api(discord, 'GET', path)).toHaveLength(100);
  });

  test('deletes nothing if Discord accepts no more new commands today', async () => {
    const { discord, run, time } = await setUp({ creationsADay: 3 });
    const path = `/guilds/${discord.guildId}/commands`;
    await api(discord, 'PUT', path, [
      { name: 'theirs', description: 'Somebody else’s' },
      { name: 'plan', description: 'Old' },
    ]);
    const { code, stdout, stderr } = await run(['sync', '--prune']);
    expect(code).toBe(1);
    expect(stdout).toContain('  ~ /plan\n');
    expect(stdout).toContain('  + /implement\n');
    expect(stderr).toMatch(/code 30034\); 2 changes made, not done: \+ \/review, .*- \/theirs\n$/);
    const names = async (): Promise<string[]> => (await api(discord, 'GET', path)).map(({ name }: Json) => name);
    expect((await names()).toSorted()).toEqual(['implement', 'plan', 'theirs']);

    time.ms += 24 * 60 * 60 * 1000;
    expect((await run(['sync', '--prune'])).code).toBe(0);
    expect((await names()).toSorted()).toEqual(['deploy', 'implement', 'plan', 'review', 'status']);
  });

  test('accepts a command of 8,000 characters, counted like Discord, and rejects a longer one', async () => {
    const { run } = await setUp();
    // Two code units are one character, and each subcommand and group costs its name and the command's description.
    const text = (length: number): string => '𝒅'.repeat(length);
    const twoDigits = (index: number): string => String(index).padStart(2, '0');
    const choices = Array.from({ length: 13 }, (_, index) => `${'c'.repeat(98)}${twoDigits(index)}`);
    const command = (extra: number): string =>
      [
        `commands:\n  big:\n    description: ${text(100)}\n    options:`,
        `      - { name: last.one.name, description: ${text(extra)}, required: true, choices: [${choices.join(', ')}] }`,
        ...Array.from(
          { length: 24 },
          (_, index) => `      - { name: group.s${twoDigits(index)}.name, description: ${text(100)}, required: true }`,
        ),
      ].join('\n');
    // The command, two groups, 25 subcommands, 24 options, and the last one's name and choices; each choice is a value, too.
    const most = 8000 - (103 + (105 + 104) + 25 * 103 + 24 * 104 + 4 + 13 * 200);
    const taken = await run(['sync'], command(most));
    expect(taken).toMatchObject({ code: 0, stderr: '' });
    expect(taken.stdout).toContain('  + /big\n');
    const refused = await run(['sync'], command(most + 1));
    expect(refused).toMatchObject({
      code: 1,
      stderr: expect.stringContaining('commands.big must not exceed 8000 characters in total'),
    });
  });

  test('reports in one line what Discord rejects, without the token', async () => {
    const { run } = await setUp();
    const refused = await run(['sync'], YAML, { FACTEUR_DISCORD_BOT_TOKEN: 'canary' });
    expect(refused).toMatchObject({
      code: 1,
      stderr: expect.stringMatching(/^facteur: cannot list the commands: .*401/),
    });
    expect(refused.stdout + refused.stderr).not.toContain('canary');
  });
});
