import { describe, expect, onTestFinished, test } from 'vitest';
import { runCommandLine, type CliRun } from '../../../test/support/cli.ts';
import { startSimulatedDiscord, type SimulatedDiscord } from '../../sandbox/discord/discord.ts';
import { commandsCommand } from './commands.ts';

// What Discord’s API answers, read freely: a wrong shape fails the expectation that follows.
type Json = ReturnType<typeof JSON.parse>;

/** With the four out of the box, as many commands as Discord lets one make in a row. */
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

async function setUp() {
  const discord = await startSimulatedDiscord();
  onTestFinished(() => discord.close());
  const run = (args: readonly string[], yaml = YAML, env: Record<string, string> = {}): Promise<CliRun> =>
    runCommandLine(['commands', ...args, '--config', 'facteur.yaml'], [commandsCommand('1.2.3')], {
      readFile: async () => Buffer.from(yaml),
      env: {
        FACTEUR_DISCORD_API_BASE_URL: discord.apiBaseUrl,
        FACTEUR_DISCORD_APPLICATION_ID: discord.applicationId,
        FACTEUR_DISCORD_BOT_TOKEN: discord.botToken,
        FACTEUR_DISCORD_GUILD_ID: discord.guildId,
        ...env,
      },
    });
  return { discord, run };
}

/** One request of the application's owner to Discord. */
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
  test('shows what there is, where it comes from, and who may', async () => {
    const { run } = await setUp();
    const { code, stdout } = await run(['list'], MORE);
    expect(code).toBe(0);
    expect(stdout).toMatch(/\/plan +built in +anyone +objective \[project\] +Shape upcoming work/);
    expect(stdout).toMatch(/\/deploy +configured +500000000000000001 +environment \[replicas\]/);
    expect(stdout).toMatch(/\/ask +configured +anyone +\(form: content \[more\]\) +Ask/);
  });

  test('as JSON it is what Discord is told', async () => {
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
  test('registers what is missing, and the second time changes nothing', async () => {
    const { discord, run } = await setUp();
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

  test('shows the difference, and applies only that', async () => {
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
    expect((await run(['sync'], changed)).stdout).toContain('1 change made');
    expect(changes(discord)).toHaveLength(before + 1);
    expect((await run(['sync'], changed)).stdout).toContain('nothing to change');
  });

  test('tells and mends a changed order of options', async () => {
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

  test('leaves what it does not own alone, unless asked; and never another menu’s', async () => {
    const { discord, run } = await setUp();
    const path = `/guilds/${discord.guildId}/commands`;
    const theirs = { name: 'theirs', description: 'Somebody else’s' };
    await api(discord, 'PUT', path, [theirs, { name: 'Inspect', type: 3 }]);
    const first = await run(['sync']);
    expect(first.stdout).toContain('  ? /theirs is not in the configuration; left alone (--prune deletes it)');
    expect((await run(['sync', '--prune', '--dry-run'])).stdout).toContain('  - /theirs\n1 change to make');
    const names = async (): Promise<string[]> => (await api(discord, 'GET', path)).map(({ name }: Json) => name);
    expect(await names()).toContain('theirs');
    expect((await run(['sync', '--prune'])).stdout).toContain('  - /theirs\n1 change made');
    expect(await names()).not.toContain('theirs');
    expect(await names()).toContain('Inspect');
  });

  test('what others set on our commands is no difference, and stays', async () => {
    const { discord, run } = await setUp();
    await run(['sync']);
    const path = `/guilds/${discord.guildId}/commands`;
    const plan: Json = (await api(discord, 'GET', path)).find(({ name }: Json) => name === 'plan');
    const theirs = { default_member_permissions: '8', description_localizations: { de: 'Planen' }, nsfw: true };
    await api(discord, 'PATCH', `${path}/${plan.id}`, theirs);
    expect((await run(['sync'])).stdout).toContain('nothing to change');
    const yaml = `${YAML}  plan: { description: Plan it }\n`;
    await run(['sync'], yaml);
    const after: Json = (await api(discord, 'GET', path)).find(({ name }: Json) => name === 'plan');
    expect(after).toMatchObject({ ...theirs, id: plan.id, description: 'Plan it', options: [] });
  });

  test('goes where it is told: global, another server, and global without a configured one', async () => {
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

  test('waits when Discord asks to, and goes on', async () => {
    const { discord, run } = await setUp();
    const action = { kind: 'answer', answer: { status: 429, retryAfterMs: 100 } } as const;
    await discord.faults.apply({ op: 'add', rule: { route: 'command.create', action, times: 2 } });
    const { code, stdout, stderr } = await run(['sync']);
    expect(code).toBe(0);
    expect(stderr).toBe('Discord asks to wait 1 s\nDiscord asks to wait 1 s\n');
    expect(stdout).toContain('5 changes made');
  });

  test('says in one line what Discord refuses, without the token', async () => {
    const { run } = await setUp();
    const refused = await run(['sync'], YAML, { FACTEUR_DISCORD_BOT_TOKEN: 'canary' });
    expect(refused).toMatchObject({
      code: 1,
      stderr: expect.stringMatching(/^facteur: cannot list the commands: .*401/),
    });
    expect(refused.stdout + refused.stderr).not.toContain('canary');
  });
});
