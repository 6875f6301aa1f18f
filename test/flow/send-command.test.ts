import { generateKeyPairSync } from 'node:crypto';
import { describe, expect } from 'vitest';
import { systemClock } from '../../src/base/clock.ts';
import type { CliIo } from '../../src/cli/io.ts';
import { sendCommand } from '../../src/cli/send.ts';
import { runCommandLine } from '../support/cli.ts';
import { startCluster } from '../support/cluster.ts';
import { openDiscordDoor, parametersOf, ROLE } from '../support/discord-door.ts';
import { startFacteur, type Facteur } from '../support/facteur.ts';
import { countRuns } from '../support/ledger.ts';
import { db, test } from '../support/ledger-fixture.ts';

const { publicKey, privateKey } = generateKeyPairSync('ed25519');
const PUBLIC_KEY = Buffer.from(publicKey.export({ format: 'jwk' }).x ?? '', 'base64url').toString('hex');
const PEM = privateKey.export({ format: 'pem', type: 'pkcs8' }).toString();
const SEED = Buffer.from(privateKey.export({ format: 'jwk' }).d ?? '', 'base64url').toString('hex');
const GUILD = '300000000000000001';

const YAML = `
role_map: { service: ['${ROLE}'] }
commands:
  ask: { description: Ask, workflow_template: plan, modal: { title: Ask me, fields: [{ name: content, label: What }] } }
  service:
    description: Services
    workflow_template: plan
    options: [{ name: db.backup.name, description: Which, required: true }]
`;

const cli = (args: readonly string[], overrides: Partial<CliIo> = {}) =>
  runCommandLine(['send', 'command', ...args], [sendCommand({ clock: systemClock, random: Math.random })], overrides);

async function facteurOfOurs(): Promise<{ facteur: Facteur; send: (...args: string[]) => ReturnType<typeof cli> }> {
  const env = { FACTEUR_DISCORD_PUBLIC_KEY: PUBLIC_KEY, FACTEUR_DISCORD_GUILD_ID: GUILD };
  const facteur = await startFacteur({ db, env, yaml: YAML });
  const key = { env: { FACTEUR_SANDBOX_DISCORD_KEY: SEED } };
  return { facteur, send: (...args) => cli([...args, '--url', facteur.url], key) };
}

/** The parameters of the only workflow, once it exists. */
async function parameters({ cluster }: Facteur): Promise<Record<string, string>> {
  await expect.poll(() => cluster.store.count('workflows')).toBe(1);
  const [entry] = cluster.store.all('workflows');
  return parametersOf(entry?.object);
}

describe('send command, with its own signature', () => {
  test('sends a command and prints the answer', async () => {
    const { facteur, send } = await facteurOfOurs();
    const { code, stdout } = await send(
      'plan',
      '--option',
      'objective=Try it',
      '--option',
      'project=',
      '--guild',
      GUILD,
    );
    expect({ code, stdout }).toEqual({ code: 0, stdout: 'accepted; the message follows\n' });
    expect(await parameters(facteur)).toEqual({ action: 'plan', objective: 'Try it' });
    expect((await send('plan', '--json')).stdout).toMatch(/^\{"type":4,/);
  });

  test('prints an ephemeral answer as such, line by line', async () => {
    const { send } = await facteurOfOurs();
    expect((await send('/plan')).stdout).toMatch(
      /^answered \(visible only to the user\):\n.*was not started[^]*objective: is required/,
    );
  });

  test('fails if the command or its form was refused, and not if it was answered', async () => {
    const { send } = await facteurOfOurs();
    expect(await send('nope')).toMatchObject({ code: 1, stderr: 'facteur: /nope was refused\n' });
    expect(await send('ask', '--option', 'content={{x}}')).toMatchObject({
      code: 1,
      stderr: 'facteur: /ask was refused\n',
    });
    expect(await send('status')).toMatchObject({ code: 0, stderr: '' });
  });

  test('sends the given roles, and subcommands by dotted names', async () => {
    const { facteur, send } = await facteurOfOurs();
    const options = ['service', '--option', 'db.backup.name=x', '--guild', GUILD];
    expect((await send(...options)).stdout).toContain('You may not use `/service`');
    expect((await send(...options, '--roles', `1,${ROLE}`)).stdout).toContain('accepted');
    expect(await parameters(facteur)).toEqual({ action: 'service', 'db.backup.name': 'x' });
  });

  test('submits a form with its fields', async () => {
    const { facteur, send } = await facteurOfOurs();
    const { stdout } = await send('ask', '--option', 'content=Mend it.', '--guild', GUILD);
    expect(stdout).toBe('opened a form: Ask me\naccepted; the message follows\n');
    expect(await parameters(facteur)).toMatchObject({ action: 'ask', content: 'Mend it.' });
  });

  test('accepts the key from a file, too, and facteur rejects a wrong one', async () => {
    const { facteur } = await facteurOfOurs();
    const status = ['status', '--url', facteur.url, '--private-key-file', 'key.pem'];
    const good = await cli(status, { readFile: async () => Buffer.from(PEM) });
    expect(good.stdout).toContain('Workflow template');
    const other = generateKeyPairSync('ed25519').privateKey.export({ format: 'pem', type: 'pkcs8' });
    const wrong = await cli(status, { readFile: async () => Buffer.from(other) });
    expect(wrong).toMatchObject({
      code: 1,
      stdout: expect.stringContaining('401'),
      stderr: 'facteur: facteur answered 401\n',
    });
    const none = await cli(status, { readFile: async () => Buffer.from('canary') });
    expect(none).toMatchObject({ code: 1, stderr: expect.stringContaining('neither 64 hex digits nor') });
    expect(none.stderr).not.toContain('canary');
    const absent = Object.assign(new Error('ENOENT: no such file or directory, open'), { code: 'ENOENT' });
    expect(await cli(status, { readFile: () => Promise.reject(absent) })).toMatchObject({
      code: 1,
      stderr: 'facteur: cannot read key.pem: no such file\n',
    });
  });

  test('names what is missing', async () => {
    expect(await cli(['plan'])).toMatchObject({ code: 2, stderr: expect.stringContaining('--private-key-file') });
    const roles = await cli(['plan', '--roles', '1'], { env: { FACTEUR_SANDBOX_DISCORD_KEY: SEED } });
    expect(roles).toMatchObject({ code: 2, stderr: expect.stringContaining('--guild') });
    const nobody = ['plan', '--url', 'http://127.0.0.1:1'];
    expect(await cli(nobody, { env: { FACTEUR_SANDBOX_DISCORD_KEY: SEED } })).toMatchObject({
      code: 1,
      stderr: expect.stringContaining('does not answer'),
    });
  });
});

describe('send command, through the simulated Discord', () => {
  test('prints the message as it changes, until the end', async () => {
    const cluster = await startCluster({ defaults: { outcome: 'succeed', pendingMs: 20, startMs: 20, stepMs: 20 } });
    const roles = ['http', 'submit', 'follow', 'notify'] as const;
    const { discord } = await openDiscordDoor({ db, cluster, yaml: YAML, roles });
    const { code, stdout } = await cli(['plan', '--option', 'objective=x', '--discord', discord.apiBaseUrl]);
    expect(code).toBe(0);
    expect(stdout).toMatch(/^accepted; the message follows\n[^]*\n✅ \*\*Succeeded\*\*/);
  });

  test('prints ephemeral answers and forms, and reports a failed interaction', async () => {
    const { discord, facteur } = await openDiscordDoor({ db, yaml: YAML });
    const status = await cli(['status', '--discord', discord.apiBaseUrl]);
    expect(status).toMatchObject({ code: 0, stdout: expect.stringContaining('Workflow template `plan`') });
    const form = await cli(['ask', '--discord', discord.apiBaseUrl]);
    expect(form.stdout).toContain('opened a form: Ask me\nanswered (visible only to the user):\n');
    const denied = await cli(['service', '--option', 'db.backup.name=x', '--discord', discord.apiBaseUrl]);
    expect(denied).toMatchObject({ code: 1, stdout: expect.stringContaining('You may not use') });
    expect(await countRuns(db)).toBe(0);
    discord.people.pointAt(`${facteur.url}/nowhere`);
    expect(await cli(['plan', '--discord', discord.apiBaseUrl])).toMatchObject({
      code: 1,
      stderr: expect.stringContaining('the interaction failed (refused)'),
    });
    await discord.close();
    expect(await cli(['plan', '--discord', discord.apiBaseUrl])).toMatchObject({
      code: 1,
      stderr: expect.stringContaining('cannot reach a simulated Discord at'),
    });
  });
});
