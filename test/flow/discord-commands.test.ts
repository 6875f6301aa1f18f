import { describe, expect } from 'vitest';
import { MAX_MANIFEST_BYTES } from '../../src/domain/workflow-manifest.ts';
import type { Json } from '../support/cluster.ts';
import { openDiscordDoor, parametersOf, ROLE, whispered, type DiscordDoor } from '../support/discord-door.ts';
import { event } from '../support/messages.ts';
import { countRuns, created, expectRun, runOf } from '../support/ledger.ts';
import { db, test } from '../support/ledger-fixture.ts';

const PROJECT = { name: 'project', value: 'lab' };

async function refusals(): Promise<Json[]> {
  return (await db.query({ text: 'SELECT * FROM facteur.refusals ORDER BY id' })).rows;
}

/** The workflow of an interaction, once the cluster has it. */
async function workflowOf({ facteur }: DiscordDoor, interactionId: string): Promise<Json> {
  const { namespace, workflow_name: name } = await expectRun(db, interactionId, 'submitted');
  return facteur.cluster.store.get('workflows', namespace, name).object;
}

describe('a command', () => {
  test('is recorded, deferred and submitted', async () => {
    const door = await openDiscordDoor({ db });
    const exchange = await door.discord.people.command('plan', [{ name: 'objective', value: 'Land on the moon' }]);
    expect(exchange).toMatchObject({ outcome: 'acknowledged', status: 200, answer: { type: 5 } });
    const { interactionId } = exchange;
    const workflow = await workflowOf(door, interactionId);
    expect(parametersOf(workflow)).toEqual({ action: 'plan', objective: 'Land on the moon' });
    expect(await runOf(db, interactionId)).toMatchObject({
      door: 'discord',
      command: 'plan',
      user_id: '200000000000000001',
      guild_id: door.discord.guildId,
      channel_id: door.discord.channelId,
    });
    const { rows } = await db.query({ text: 'SELECT * FROM facteur.messages' });
    expect(rows).toMatchObject([
      { interaction_id: interactionId, channel_id: door.discord.channelId, ephemeral: false },
    ]);
    const ideas = await db.query({ text: 'SELECT source_type, source_ref FROM codex_kb.ideas' });
    expect(ideas.rows).toEqual([{ source_type: 'discord.command', source_ref: interactionId }]);
  });

  test.each([
    ['plan', [{ name: 'objective', value: 'x' }, PROJECT], { action: 'plan', objective: 'x', project: 'lab' }],
    [
      'implement',
      [PROJECT, { name: 'branch', value: 'main' }, { name: 'ticket', value: 'L-1' }, { name: 'notes', value: '' }],
      { action: 'implement', project: 'lab', branch: 'main', ticket: 'L-1' },
    ],
    [
      'review',
      [PROJECT, { name: 'artifact', value: 'https://example.test/1' }, { name: 'deadline', value: '2026-12-24' }],
      { action: 'review', project: 'lab', artifact: 'https://example.test/1', deadline: '2026-12-24' },
    ],
  ])('/%s sets the parameters of the contract', async (name, options, parameters) => {
    const door = await openDiscordDoor({ db });
    const { interactionId } = await door.discord.people.command(name, options);
    expect(parametersOf(await workflowOf(door, interactionId))).toEqual(parameters);
  });

  test('runs even if an event used its interaction id before, and reveals nothing of that event', async () => {
    const now = new Date();
    const door = await openDiscordDoor({ db, discord: { clock: { now: () => now } } });
    const { people } = door.discord;
    const options = [{ name: 'objective', value: 'x' }];
    const first = await people.command('plan', options);
    // Ids of one moment count up, so the next ones can be guessed.
    const guesses = Array.from({ length: 5 }, (_, n) => String(BigInt(first.interactionId) + BigInt(n + 1)));
    await Promise.all(guesses.map((interactionId) => door.facteur.send(event({ interactionId }))));
    const { interactionId, answer } = await people.command('plan', options);
    expect(guesses).toContain(interactionId);
    expect(answer).toEqual({ type: 5 });
    const { rows } = await db.query({
      text: `SELECT m.interaction_id, r.door FROM facteur.messages m JOIN facteur.runs r USING (run_id)
        WHERE m.interaction_id = $1`,
      values: [interactionId],
    });
    expect(rows).toEqual([{ interaction_id: interactionId, door: 'discord' }]);
  });

  test('a review is linked to the last dispatch of its author, and of nobody else', async () => {
    const door = await openDiscordDoor({ db });
    const { people } = door.discord;
    const first = await people.command('plan', [{ name: 'objective', value: 'x' }]);
    const { correlation_id: correlationId } = await runOf(db, first.interactionId);
    const options = [PROJECT, { name: 'artifact', value: 'y' }];
    const mine = await people.command('review', options);
    expect(parametersOf(await workflowOf(door, mine.interactionId))).toMatchObject({
      last_correlation_id: correlationId,
    });
    const theirs = await people.command('review', options, { id: '200000000000000002' });
    expect(parametersOf(await workflowOf(door, theirs.interactionId))).not.toHaveProperty('last_correlation_id');
  });

  test('a duplicate interaction is one run with one answer', async () => {
    const { discord, facteur } = await openDiscordDoor({ db });
    const first = await discord.people.command('plan', [{ name: 'objective', value: 'x' }]);
    const again = await Promise.all([discord.people.again(first), discord.people.again(first)]);
    expect(again.map(({ answer }) => answer)).toEqual([first.answer, first.answer]);
    await expectRun(db, first.interactionId, 'submitted');
    expect(await countRuns(db)).toBe(1);
    expect(created(facteur.cluster)).toHaveLength(1);
  });

  test('in a direct message has no roles', async () => {
    const { discord } = await openDiscordDoor({ db, yaml: `role_map:\n  plan: ['${ROLE}']\n` });
    const options = [{ name: 'objective', value: 'x' }];
    const direct = { guildId: '', roles: [ROLE] };
    expect(whispered(await discord.people.command('plan', options, direct))).toContain('You may not use `/plan`');
    const allowed = await discord.people.command('implement', [PROJECT, { name: 'branch', value: 'b' }], direct);
    expect(allowed.answer).toEqual({ type: 5 });
  });

  test('from another server is refused', async () => {
    const { discord } = await openDiscordDoor({ db });
    const elsewhere = { guildId: '300000000000000009' };
    const options = [{ name: 'objective', value: 'x' }];
    expect(whispered(await discord.people.command('plan', options, elsewhere))).toContain('not set up for this server');
    expect((await discord.people.type('plan', [], elsewhere)).answer).toEqual({ type: 8, data: { choices: [] } });
    expect(await countRuns(db)).toBe(0);
  });

  test('is accepted from any server if none is configured', async () => {
    const { discord } = await openDiscordDoor({ db, env: { FACTEUR_DISCORD_GUILD_ID: '' } });
    const exchange = await discord.people.command('plan', [{ name: 'objective', value: 'x' }], {
      guildId: '300000000000000009',
    });
    expect(exchange.answer).toEqual({ type: 5 });
  });
});

const DEPLOY = `
commands:
  deploy:
    description: Roll a release out
    workflow_template: plan
    parameters: { strategy: canary, replicas: '1' }
    ephemeral: true
    options:
      - { name: environment, description: Where, required: true, choices: [staging, { name: Production, value: prod }] }
      - { name: replicas, description: How many, type: integer, min: 1, max: 20 }
      - { name: ratio, description: Share, type: number, max: 1 }
      - { name: force, description: Anyway, type: boolean }
      - { name: version, description: Which, max_length: 8, autocomplete: [latest, previous, 1.0-latest] }
      - { name: slot, description: Slot, type: integer, autocomplete: ['1', '12', '2'] }
  service:
    description: Look after services
    workflow_template: plan
    options:
      - { name: start.name, description: Which, required: true, autocomplete: [api, web] }
      - { name: start.force, description: Anyway, type: boolean }
      - { name: db.backup.name, description: Which, required: true }
`;

describe('a configured command', () => {
  test('can have options of every type, which override its static parameters', async () => {
    const door = await openDiscordDoor({ db, yaml: DEPLOY });
    const exchange = await door.discord.people.command('deploy', [
      { name: 'environment', value: 'prod' },
      { name: 'replicas', value: 3 },
      { name: 'ratio', value: 0.25 },
      { name: 'force', value: true },
    ]);
    expect(exchange.answer).toEqual({ type: 5, data: { flags: 64 } });
    expect(parametersOf(await workflowOf(door, exchange.interactionId))).toEqual({
      action: 'deploy',
      strategy: 'canary',
      environment: 'prod',
      replicas: '3',
      ratio: '0.25',
      force: 'true',
    });
    const { rows } = await db.query({ text: 'SELECT ephemeral FROM facteur.messages' });
    expect(rows).toEqual([{ ephemeral: true }]);
  });

  test('passes the options of its subcommands under dotted names', async () => {
    const door = await openDiscordDoor({ db, yaml: DEPLOY });
    const started = await door.discord.people.command('service', [
      { name: 'start', options: [{ name: 'name', value: 'api' }] },
    ]);
    expect(parametersOf(await workflowOf(door, started.interactionId))).toEqual({
      action: 'service',
      'start.name': 'api',
    });
    const backup = { name: 'backup', options: [{ name: 'name', value: 'x' }] };
    const backedUp = await door.discord.people.command('service', [{ name: 'db', options: [backup] }]);
    expect(parametersOf(await workflowOf(door, backedUp.interactionId))).toEqual({
      action: 'service',
      'db.backup.name': 'x',
    });
  });

  test('offers values while they are typed', async () => {
    const { discord } = await openDiscordDoor({ db, yaml: DEPLOY });
    const typing = async (name: string, value: string | number) => {
      const { answer } = await discord.people.type('deploy', [{ name, value, focused: true }]);
      const choices: Json = (answer as Json).data.choices;
      return choices;
    };
    expect(await typing('version', 'LATEST')).toEqual([
      { name: 'latest', value: 'latest' },
      { name: '1.0-latest', value: '1.0-latest' },
    ]);
    expect(await typing('version', '')).toHaveLength(3);
    expect(await typing('slot', '1')).toEqual([
      { name: '1', value: 1 },
      { name: '12', value: 12 },
    ]);
    expect(await typing('environment', 's')).toEqual([]);
    const nested = [{ name: 'start', options: [{ name: 'name', value: 'a', focused: true }] }];
    expect((await discord.people.type('service', nested)).answer).toMatchObject({
      data: { choices: [{ name: 'api', value: 'api' }] },
    });
    expect((await discord.people.type('unknown', nested)).outcome).toBe('acknowledged');
  });

  test('offers values only to those who may run it', async () => {
    const { discord } = await openDiscordDoor({ db, yaml: `${DEPLOY}\nrole_map:\n  deploy: ['${ROLE}']\n` });
    const typing = [{ name: 'version', value: '', focused: true }];
    expect((await discord.people.type('deploy', typing)).answer).toEqual({ type: 8, data: { choices: [] } });
    const { answer } = await discord.people.type('deploy', typing, { roles: [ROLE] });
    expect((answer as Json).data.choices).toHaveLength(3);
  });
});

describe('a refusal', () => {
  test('for a missing role is explained and recorded, and nothing reaches Argo', async () => {
    const { discord, facteur } = await openDiscordDoor({ db, yaml: `role_map:\n  PLAN: ['${ROLE}']\n`.toLowerCase() });
    const options = [{ name: 'objective', value: 'x' }];
    const exchange = await discord.people.command('plan', options);
    expect(whispered(exchange)).toContain('You may not use `/plan`');
    // The command’s name is compared without case.
    expect(whispered(await discord.people.command('PLAN', options))).toContain('You may not use `/PLAN`');
    expect(await refusals()).toMatchObject([
      { door: 'discord', delivery_id: exchange.interactionId, command: 'plan', user_id: '200000000000000001' },
      { command: 'PLAN' },
    ]);
    expect((await discord.people.command('plan', options, { roles: [ROLE] })).answer).toEqual({ type: 5 });
    expect(await countRuns(db)).toBe(1);
    expect(created(facteur.cluster).length).toBeLessThanOrEqual(1);
  });

  test.each([
    ['an invalid choice', [{ name: 'environment', value: 'moon' }], 'environment: must be one of staging, prod'],
    ['a missing required option', [], 'environment: is required'],
    [
      'a number out of range',
      [
        { name: 'environment', value: 'prod' },
        { name: 'replicas', value: 21 },
      ],
      'replicas: must be at most 20',
    ],
    [
      'text that is too long',
      [
        { name: 'environment', value: 'prod' },
        { name: 'version', value: '123456789' },
      ],
      'version: must have at most 8',
    ],
    [
      'an unknown option',
      [
        { name: 'environment', value: 'prod' },
        { name: 'canary', value: 'x' },
      ],
      'canary: is an unknown option',
    ],
  ])('%s is checked by facteur, too', async (_what, options, fault) => {
    const { discord } = await openDiscordDoor({ db, yaml: DEPLOY });
    expect(whispered(await discord.people.command('deploy', options))).toContain(fault);
    expect(await refusals()).toMatchObject([{ command: 'deploy', reason: expect.stringContaining(fault) }]);
    expect(await countRuns(db)).toBe(0);
  });

  test.each([
    ['{{workflow.name}}', 'objective: must not contain'],
    ['{{=sprig.env("HOME")}}', 'objective: must not contain'],
  ])('a value that Argo would evaluate has its own answer: %s', async (value, details) => {
    const { discord } = await openDiscordDoor({ db });
    const text = whispered(await discord.people.command('plan', [{ name: 'objective', value }]));
    expect(text).toContain('curly braces');
    expect(text).toContain(details);
    expect(await refusals()).toHaveLength(1);
    expect(await countRuns(db)).toBe(0);
  });

  test('of a workflow that is too large for the cluster says so', async () => {
    const ballast = 'x'.repeat(MAX_MANIFEST_BYTES - 1000);
    const { discord } = await openDiscordDoor({ db, yaml: `argo: {parameters: {ballast: ${ballast}}}` });
    const objective = { name: 'objective', value: 'y'.repeat(1000) };
    expect(whispered(await discord.people.command('plan', [objective]))).toContain('too long');
    expect(await refusals()).toMatchObject([{ reason: expect.stringContaining('workflow too large') }]);
  });

  test.each(['deploy', 'constructor', '__proto__'])('of an undefined command says so: %s', async (name) => {
    const { discord } = await openDiscordDoor({ db });
    expect(whispered(await discord.people.command(name))).toContain('Unknown command');
    expect(await refusals()).toMatchObject([{ command: name }]);
  });

  test('shows the text of users without formatting, links and mentions', async () => {
    const { discord } = await openDiscordDoor({ db });
    const name = '`@everyone` **x** https://example.test';
    const exchange = await discord.people.command(name);
    const text = whispered(exchange);
    expect(text).toContain('`/ˋ@everyoneˋ **x** https://example.test`');
    expect((exchange.answer as Json).data.allowed_mentions).toEqual({ parse: [] });
    expect(text.length).toBeLessThanOrEqual(2000);
  });
});

describe('/status', () => {
  test('shows whether the template is ready and the last request of the user, and ends with the correlation', async () => {
    const { discord, facteur } = await openDiscordDoor({ db });
    const nothing = whispered(await discord.people.command('status'));
    expect(nothing).toBe('Workflow template `plan` in namespace `argo-workflows` is ready.');
    const { interactionId } = await discord.people.command('plan', [{ name: 'objective', value: 'x' }]);
    const { workflow_name: name, correlation_id: correlationId } = await expectRun(db, interactionId, 'submitted');
    const text = whispered(await discord.people.command('status'));
    expect(text).toContain(
      `Your last request, \`/plan\`: 📨 Submitted, workflow \`${name}\` in namespace \`argo-workflows\`.`,
    );
    expect(text.endsWith(`Last request correlation: \`${correlationId}\`.`)).toBe(true);
    const other = whispered(await discord.people.command('status', [], { id: '200000000000000002' }));
    expect(other).not.toContain(name);
    expect(created(facteur.cluster)).toHaveLength(1);
  });

  test('reads the last request from the ledger if there is no session', async () => {
    const first = await openDiscordDoor({ db });
    const { interactionId } = await first.discord.people.command('plan', [{ name: 'objective', value: 'x' }]);
    const { correlation_id: correlationId } = await runOf(db, interactionId);
    const second = await openDiscordDoor({ db });
    const text = whispered(await second.discord.people.command('status'));
    expect(text).toContain('Your last request, `/plan`');
    expect(text).toContain(correlationId);
  });

  test('prefers the ledger if the session differs', async () => {
    const { discord, facteur } = await openDiscordDoor({ db });
    const { interactionId } = await discord.people.command('plan', [{ name: 'objective', value: 'x' }]);
    const { workflow_name: name } = await expectRun(db, interactionId, 'submitted');
    // As if requested elsewhere: only the ledger knows.
    await db.query({ text: `UPDATE facteur.runs SET workflow_name = workflow_name || '-2', correlation_id = 'other'` });
    const text = whispered(await discord.people.command('status'));
    expect(text).toContain(`📨 Submitted, workflow \`${name}-2\``);
    expect(text).toContain('Last request correlation: `other`');
    expect(created(facteur.cluster)).toEqual([name]);
  });

  test('shows a missing template and a disabled dispatcher', async () => {
    const missing = await openDiscordDoor({ db, env: { FACTEUR_ARGO_WORKFLOW_TEMPLATE: 'absent' } });
    expect(whispered(await missing.discord.people.command('status'))).toContain('no such template');
    const disabled = await openDiscordDoor({ db, env: { FACTEUR_DISABLE_DISPATCHER: 'true' } });
    expect(whispered(await disabled.discord.people.command('status'))).toContain('dispatcher is disabled');
  });

  test('requires its role', async () => {
    const { discord } = await openDiscordDoor({ db, yaml: `role_map:\n  status: ['${ROLE}']\n` });
    expect(whispered(await discord.people.command('status'))).toContain('You may not use');
  });

  test('in public omits ephemeral runs', async () => {
    const yaml = `${DEPLOY}  status:\n    description: How it is\n    ephemeral: false\n`;
    const { discord } = await openDiscordDoor({ db, yaml });
    const secret = await discord.people.command('deploy', [{ name: 'environment', value: 'staging' }]);
    await expectRun(db, secret.interactionId, 'submitted');
    const asked = async (): Promise<string> => ((await discord.people.command('status')).answer as Json).data.content;
    expect(await asked()).not.toContain('deploy');
    const open = await discord.people.command('plan', [{ name: 'objective', value: 'x' }]);
    const { workflow_name: name } = await expectRun(db, open.interactionId, 'submitted');
    const text = await asked();
    expect(text).toContain(name);
    expect(text).not.toContain('deploy');
  });

  test('with a custom description answers the same; with a workflow, it runs that', async () => {
    const yaml = `commands:\n  status:\n    description: How it is\n    ephemeral: false\n`;
    const own = await openDiscordDoor({ db, yaml });
    const { answer } = await own.discord.people.command('status');
    expect(answer).toMatchObject({ type: 4, data: { content: expect.stringContaining('is ready') } });
    expect((answer as Json).data).not.toHaveProperty('flags');
    const runs = await openDiscordDoor({ db, yaml: `${yaml}    workflow_template: plan\n` });
    expect((await runs.discord.people.command('status')).answer).toEqual({ type: 5 });
  });
});

test('unknown forms and unreadable input get an answer', async () => {
  const { discord } = await openDiscordDoor({ db });
  expect(whispered(await discord.people.submit('somebody-else:form', { a: 'b' }))).toContain('This form has expired');
  expect(whispered(await discord.people.submit('facteur:modal:plan', { a: 'b' }))).toContain('This form has expired');
  expect(whispered(await discord.people.command('plan', [{ name: 'objective', value: 'a\0b' }]))).toContain(
    'could not read this',
  );
});
