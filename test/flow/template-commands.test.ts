import { describe, expect, vi } from 'vitest';
import { specHash } from '../../src/domain/lint/review.ts';
import { startCluster, type Json } from '../support/cluster.ts';
import {
  openDiscordDoor,
  OTHER_ROLE,
  parametersOf,
  ROLE,
  whispered,
  type DiscordDoor,
} from '../support/discord-door.ts';
import { startFacteur, type Facteur } from '../support/facteur.ts';
import { countRuns, expectRun } from '../support/ledger.ts';
import { db, test } from '../support/ledger-fixture.ts';
import { event } from '../support/messages.ts';
import { applyTemplate, deleteTemplate } from '../support/templates.ts';

const YAML = 'commands_from_templates: { namespaces: [argo-workflows] }';
const ASKER = { roles: [ROLE] };
const ENV = { name: 'env', value: 'staging', enum: ['staging', 'production'] };

async function workflowOf({ facteur }: Pick<DiscordDoor, 'facteur'>, interactionId: string): Promise<Json> {
  const { namespace, workflow_name: name } = await expectRun(db, interactionId, 'submitted');
  return facteur.cluster.store.get('workflows', namespace, name).object;
}

/** The commands of a process, as its own `/v1` shows them. */
async function commandsOf({ url }: Facteur): Promise<readonly Json[]> {
  const { commands }: Json = await (await fetch(new URL('/v1/commands', url))).json();
  return commands;
}

async function expectCommand(facteur: Facteur, name: string, expected: Json): Promise<void> {
  const find = async () => (await commandsOf(facteur)).find((one) => one.name === name);
  const matcher = expected === undefined ? expected : expect.objectContaining(expected);
  await expect.poll(find, { timeout: 20_000 }).toEqual(matcher);
}

const TEMPLATE = { origin: 'template', roles: [ROLE], target: expect.objectContaining({ workflowTemplate: 'deploy' }) };

describe('a template', () => {
  test('is a command in every process as soon as it is applied, until it is deleted', async () => {
    const door = await openDiscordDoor({ db, yaml: YAML });
    const { cluster } = door.facteur;
    const second = await startFacteur({ db, cluster, yaml: YAML });
    const applied = await applyTemplate(cluster, 'deploy', { parameters: [{ name: 'Version' }, ENV] });
    await expectCommand(door.facteur, 'deploy', TEMPLATE);
    await expectCommand(second, 'deploy', TEMPLATE);

    const { interactionId } = await door.discord.people.command('deploy', [{ name: 'version', value: 'v4' }], ASKER);
    const workflow = await workflowOf(door, interactionId);
    expect(workflow.spec.workflowTemplateRef).toEqual({ name: 'deploy' });
    expect(parametersOf(workflow)).toEqual({ Version: 'v4', env: 'staging', action: 'deploy' });
    expect(workflow.metadata.annotations).toMatchObject({
      'facteur.proompteng.ai/template-uid': applied.metadata.uid,
      'facteur.proompteng.ai/template-version': applied.metadata.resourceVersion,
    });

    await applyTemplate(cluster, 'deploy', {
      parameters: [{ name: 'Version' }, { ...ENV, value: 'test', enum: ['test'] }],
    });
    await expectCommand(second, 'deploy', {
      options: expect.arrayContaining([expect.objectContaining({ choices: [{ name: 'test', value: 'test' }] })]),
    });
    await expectCommand(door.facteur, 'deploy', {
      options: expect.arrayContaining([expect.objectContaining({ choices: [{ name: 'test', value: 'test' }] })]),
    });
    const options = [
      { name: 'version', value: 'v4' },
      { name: 'env', value: 'production' },
    ];
    const old = await door.discord.people.command('deploy', options, ASKER);
    expect(whispered(old)).toContain(
      'has just changed, so nothing was started. Please try again.\n```\nenv: must be one of test\n```',
    );

    await deleteTemplate(cluster, 'deploy');
    await expectCommand(door.facteur, 'deploy', undefined);
    expect(whispered(await door.discord.people.command('deploy', [], ASKER))).toContain('Unknown command');
    expect(await countRuns(db)).toBe(1);
  });

  test('is no command without roles, and requires one of its roles at every door', async () => {
    const door = await openDiscordDoor({ db, yaml: YAML });
    const { facteur, discord } = door;
    await applyTemplate(facteur.cluster, 'open', { annotations: { roles: null } });
    await applyTemplate(facteur.cluster, 'deploy');
    await expectCommand(facteur, 'deploy', TEMPLATE);
    expect(whispered(await discord.people.command('open', [], ASKER))).toContain('Unknown command');
    expect(whispered(await discord.people.command('deploy', [], { roles: [OTHER_ROLE] }))).toContain('You may not use');
    const sent = await facteur.send(event({ command: 'DEPLOY', interactionId: 'i-1', options: {} }));
    expect(sent.status).toBe(403);
    expect(facteur.log.join('')).toContain('names no role, so nobody may run the command');
    expect(await countRuns(db)).toBe(0);
  });

  test('is a command only in the servers that it names, even for somebody with the role', async () => {
    const [guildId, elsewhere] = ['900000000000000001', '900000000000000002'];
    const { facteur, discord } = await openDiscordDoor({ db, yaml: YAML, env: { FACTEUR_DISCORD_GUILD_ID: '' } });
    await applyTemplate(facteur.cluster, 'deploy', { annotations: { guilds: guildId } });
    await expectCommand(facteur, 'deploy', TEMPLATE);
    for (const other of [elsewhere, '']) {
      const refused = await discord.people.command('deploy', [], { ...ASKER, guildId: other });
      expect(whispered(refused)).toContain('Unknown command');
    }
    expect(await countRuns(db)).toBe(0);
    const { answer } = await discord.people.command('deploy', [], { ...ASKER, guildId });
    expect(answer).toEqual({ type: 5 });
    expect(await countRuns(db)).toBe(1);
  });

  test('outside the listed namespaces or the selector is no command', async () => {
    const cluster = await startCluster({ namespaces: ['argo-workflows', 'other'] });
    const facteur = await startFacteur({
      db,
      cluster,
      yaml: 'commands_from_templates: { namespaces: [argo-workflows], selector: "team=a" }',
    });
    await applyTemplate(cluster, 'elsewhere', { namespace: 'other' });
    await applyTemplate(cluster, 'unlabeled');
    const path = `${cluster.url}/apis/argoproj.io/v1alpha1/namespaces/argo-workflows/workflowtemplates`;
    await applyTemplate(cluster, 'labeled');
    await fetch(`${path}/labeled`, {
      method: 'PATCH',
      headers: { 'content-type': 'application/merge-patch+json' },
      body: JSON.stringify({ metadata: { labels: { team: 'a' } } }),
    });
    await expectCommand(facteur, 'labeled', { origin: 'template' });
    expect((await commandsOf(facteur)).filter(({ origin }) => origin === 'template')).toHaveLength(1);
  });

  test('can define a subcommand, offer values while somebody types, and ask with a form', async () => {
    const door = await openDiscordDoor({ db, yaml: YAML });
    const { facteur, discord } = door;
    const region = { name: 'region', enum: Array.from({ length: 40 }, (_, index) => `region-${index}`) };
    await applyTemplate(facteur.cluster, 'deploy-api', {
      annotations: { command: 'deploy api' },
      parameters: [region],
    });
    await applyTemplate(facteur.cluster, 'announce', { annotations: { long: 'body' }, parameters: [{ name: 'body' }] });
    await expectCommand(facteur, 'deploy api', { origin: 'template' });
    await expectCommand(facteur, 'announce', { origin: 'template' });

    const typing = [{ name: 'api', options: [{ name: 'region', value: 'ION-3', focused: true }] }];
    const { answer } = await discord.people.type('deploy', typing, ASKER);
    const offered = ((answer as Json).data.choices as Json[]).map(({ value }) => value);
    expect(offered).toEqual(['region-3', ...Array.from({ length: 10 }, (_, index) => `region-3${index}`)]);
    const nobody = await discord.people.type('deploy', typing, { roles: [] });
    expect((nobody.answer as Json).data.choices).toEqual([]);

    const chosen = [{ name: 'api', options: [{ name: 'region', value: 'region-39' }] }];
    const ran = await discord.people.command('deploy', chosen, ASKER);
    expect(parametersOf(await workflowOf(door, ran.interactionId))).toEqual({
      region: 'region-39',
      action: 'deploy api',
    });
    const wrong = [{ name: 'api', options: [{ name: 'region', value: 'mars' }] }];
    expect(whispered(await discord.people.command('deploy', wrong, ASKER))).toContain(
      'region: must be one of region-0',
    );

    expect((await discord.people.command('announce', [], ASKER)).answer).toMatchObject({ type: 9 });
    const sent = await discord.people.submit('facteur:modal:announce', { body: 'Dear all,\nhello' }, ASKER);
    expect(parametersOf(await workflowOf(door, sent.interactionId))).toEqual({
      body: 'Dear all,\nhello',
      action: 'announce',
    });
  });

  test('that would run the text of a user as code is no command, unless exactly that spec was reviewed', async () => {
    const facteur = await startFacteur({ db, yaml: YAML });
    const { cluster } = facteur;
    const parameters = [{ name: 'branch' }];
    const script = (text: string) => ({
      templates: [{ name: 'main', script: { image: 'alpine', command: ['sh'], source: `git checkout ${text}` } }],
    });
    const unsafe = script('{{workflow.parameters.branch}}');
    await applyTemplate(cluster, 'checkout', { parameters, spec: unsafe });
    await applyTemplate(cluster, 'build', { parameters, spec: script('main') });
    await expectCommand(facteur, 'build', { origin: 'template' });
    await expectCommand(facteur, 'checkout', undefined);
    await vi.waitFor(() => expect(facteur.log.join('')).toContain('is put into the script as text'));
    expect(facteur.log.filter((line) => line.includes('a template gets no command'))).toHaveLength(1);

    const spec = { entrypoint: 'main', ...unsafe, arguments: { parameters } };
    const reviewedSpec = specHash({ spec, annotations: { 'facteur.proompteng.ai/roles': ROLE } });
    const annotations = { reviewed: 'ada: only a test', 'reviewed-spec': reviewedSpec };
    await applyTemplate(cluster, 'checkout', { parameters, spec: unsafe, annotations });
    await expectCommand(facteur, 'checkout', { origin: 'template' });
    const widened = { ...annotations, roles: `${ROLE}, ${OTHER_ROLE}` };
    await applyTemplate(cluster, 'checkout', { parameters, spec: unsafe, annotations: widened });
    await expectCommand(facteur, 'checkout', undefined);
    await applyTemplate(cluster, 'checkout', { parameters, spec: unsafe, annotations });
    await expectCommand(facteur, 'checkout', { origin: 'template' });
    await applyTemplate(cluster, 'checkout', {
      parameters,
      spec: script('$(echo {{workflow.parameters.branch}})'),
      annotations,
    });
    await expectCommand(facteur, 'checkout', undefined);
  });

  test('decides in its current version what a retry of an earlier run may send', async () => {
    const facteur = await startFacteur({ db, yaml: YAML, roles: ['http', 'submit', 'follow'] });
    const { cluster, url } = facteur;
    const apply = async (version: string, parameters: readonly object[], annotations = {}) => {
      await applyTemplate(cluster, 'deploy', { parameters, annotations: { description: version, ...annotations } });
      await expectCommand(facteur, 'deploy', { description: version });
    };
    const what = { name: 'what' };
    await apply('first', [what, ENV]);
    const interactionId = 'retried-template';
    const options = { what: 'x; id', env: 'production' };
    const deploy = event({ interactionId, command: 'deploy', options, member: { id: '42', roles: [ROLE] } });
    const { runId } = (await facteur.send(deploy)).body;
    const post = (action: string) => fetch(new URL(`/v1/runs/${runId}/${action}`, url), { method: 'POST' });
    expect((await post('cancel')).status).toBeLessThan(300);
    await expectRun(db, interactionId, 'canceled');

    await apply('second', [what, { ...ENV, enum: ['staging'] }]);
    const refused = await post('retry');
    expect(refused.status).toBe(422);
    expect(await refused.json()).toMatchObject({ code: 'command_changed' });

    // The parameter can only have a fixed text now, so a template may use it anywhere.
    await apply('third', [{ ...what, value: 'fixed' }, ENV], { hide: 'what' });
    expect((await post('retry')).status).toBeLessThan(300);
    const workflow = await workflowOf({ facteur }, `retry:${runId}`);
    expect(parametersOf(workflow)).toMatchObject({ what: 'fixed', env: 'production' });
  });

  test('that is deleted leaves buttons that nobody may use', async () => {
    const door = await openDiscordDoor({ db, yaml: YAML, roles: ['http', 'submit', 'notify'] });
    const { facteur, discord } = door;
    await applyTemplate(facteur.cluster, 'deploy');
    await expectCommand(facteur, 'deploy', TEMPLATE);
    const { interactionId } = await discord.people.command('deploy', [], ASKER);
    const run = await expectRun(db, interactionId, 'submitted');
    const message = await vi.waitFor(() => {
      const found = discord.messages().find((one) => JSON.stringify(one.versions).includes(String(run.run_id)));
      expect(found).toBeDefined();
      return found!;
    }, 20_000);
    const button = JSON.stringify(message.versions).match(/"custom_id":"([^"]*cancel[^"]*)"/)?.[1] ?? '';
    const refused = async (asker: typeof ASKER) =>
      expect(whispered(await discord.people.press(message, button, asker))).toContain('You may not use');
    await deleteTemplate(facteur.cluster, 'deploy');
    await expectCommand(facteur, 'deploy', undefined);
    await refused(ASKER);

    // A template that takes over the name decides who may use the command, but not its earlier runs.
    const annotations = { command: 'deploy', roles: OTHER_ROLE };
    await applyTemplate(facteur.cluster, 'usurper', { annotations });
    await expectCommand(facteur, 'deploy', { origin: 'template', roles: [OTHER_ROLE] });
    await refused({ roles: [OTHER_ROLE] });
    expect((await expectRun(db, interactionId, 'submitted')).cancel_requested_by ?? null).toBeNull();

    await deleteTemplate(facteur.cluster, 'usurper');
    await applyTemplate(facteur.cluster, 'deploy');
    await expectCommand(facteur, 'deploy', TEMPLATE);
    expect(whispered(await discord.people.press(message, button, ASKER))).toContain('is being canceled');
  });
});

describe('a cluster', () => {
  test('that forbids listing templates leaves the configured commands, with one warning', async () => {
    const cluster = await startCluster();
    cluster.faults.apply({ op: 'deny', requests: [{ verb: 'list', resource: 'workflowtemplates' }] });
    const door = await openDiscordDoor({ db, cluster, yaml: YAML });
    const { facteur } = door;
    const warnings = () => facteur.log.filter((line) => line.includes('may not list workflow templates'));
    await vi.waitFor(() => expect(warnings()).toHaveLength(1));
    expect((await fetch(new URL('/readyz', facteur.url))).status).toBe(200);
    const { interactionId } = await door.discord.people.command('plan', [{ name: 'objective', value: 'x' }]);
    await expectRun(db, interactionId, 'submitted');
    // The command may belong to a template that was not read.
    expect(whispered(await door.discord.people.command('deploy', [], ASKER))).toContain(
      'cannot accept requests right now',
    );
    await applyTemplate(cluster, 'deploy');
    cluster.faults.apply({ op: 'deny', requests: [] });
    await expectCommand(facteur, 'deploy', TEMPLATE);
    expect(warnings()).toHaveLength(1);
  });

  test('that goes down removes no command, and changes are seen when it is back', async () => {
    const cluster = await startCluster({ startupMs: 0 });
    const facteur = await startFacteur({ db, cluster, yaml: YAML });
    await applyTemplate(cluster, 'deploy');
    await expectCommand(facteur, 'deploy', TEMPLATE);
    await cluster.disconnect();
    await vi.waitFor(() => expect(facteur.log.join('')).toContain('watch of workflow templates interrupted'));
    await expectCommand(facteur, 'deploy', TEMPLATE);
    // It remembers no past event, so the watch gets 410 and lists again.
    await cluster.reconnect();
    await applyTemplate(cluster, 'build');
    await deleteTemplate(cluster, 'deploy');
    await expectCommand(facteur, 'build', { origin: 'template' });
    await expectCommand(facteur, 'deploy', undefined);
  });
});
