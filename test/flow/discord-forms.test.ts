import { expect } from 'vitest';
import { startCluster, type Json } from '../support/cluster.ts';
import { openDiscordDoor, parametersOf, ROLE, whispered } from '../support/discord-door.ts';
import { countRuns, expectRun } from '../support/ledger.ts';
import { event } from '../support/messages.ts';
import { db, test } from '../support/ledger-fixture.ts';

const ASK = `
commands:
  plan:
    description: Request an implementation
    workflow_template: plan
    modal:
      title: Request Implementation Run
      fields:
        - { name: content, label: Content, style: paragraph, min_length: 10, max_length: 4000, placeholder: Describe it }
        - { name: ticket, label: Ticket, required: false, max_length: 20 }
`;

test('a command with a form shows the form, and starts a run when it is submitted', async () => {
  const { discord, facteur } = await openDiscordDoor({ db, yaml: ASK });
  const asked = await discord.people.command('plan');
  expect(asked).toMatchObject({ outcome: 'acknowledged', answer: { type: 9 } });
  expect((asked.answer as Json).data).toEqual({
    custom_id: 'facteur:modal:plan',
    title: 'Request Implementation Run',
    components: [
      {
        type: 18,
        label: 'Content',
        component: {
          type: 4,
          custom_id: 'content',
          style: 2,
          required: true,
          min_length: 10,
          max_length: 4000,
          placeholder: 'Describe it',
        },
      },
      {
        type: 18,
        label: 'Ticket',
        component: { type: 4, custom_id: 'ticket', style: 1, required: false, max_length: 20 },
      },
    ],
  });
  expect(await countRuns(db)).toBe(0);

  const before = new Date();
  const fields = { content: 'Mend the rocket.\nAnd soon.', ticket: '' };
  const sent = await discord.people.submit('facteur:modal:plan', fields);
  expect(sent).toMatchObject({ outcome: 'acknowledged', answer: { type: 5 } });
  const { namespace, workflow_name: name } = await expectRun(db, sent.interactionId, 'submitted');
  const { payload, ...parameters } = parametersOf(facteur.cluster.store.get('workflows', namespace, name).object);
  expect(parameters).toEqual({ action: 'plan', content: fields.content });
  const told: Json = JSON.parse(payload ?? '');
  expect(told).toEqual({
    stage: 'implementation',
    prompt: fields.content,
    title: 'Mend the rocket.',
    repository: '',
    issueNumber: '',
    postToGithub: false,
    runId: sent.interactionId,
    issuedAt: told.issuedAt,
    guildId: discord.guildId,
    channelId: discord.channelId,
    user: { id: '200000000000000001', username: 'ada', globalName: 'Ada' },
  });
  expect(new Date(told.issuedAt).getTime()).toBeGreaterThanOrEqual(before.getTime());
});

test('the older format of forms is accepted, too, and a duplicate form is one run', async () => {
  const { discord } = await openDiscordDoor({ db, yaml: ASK });
  const sent = await discord.people.submit('facteur:modal:plan', { content: 'Mend the rocket.' }, { shape: 'rows' });
  expect(sent.answer).toEqual({ type: 5 });
  expect((await discord.people.again(sent)).answer).toEqual({ type: 5 });
  await expectRun(db, sent.interactionId, 'submitted');
  expect(await countRuns(db)).toBe(1);
});

test('permission is checked before the form is shown and when it is submitted', async () => {
  const { discord } = await openDiscordDoor({ db, yaml: `${ASK}\nrole_map:\n  plan: ['${ROLE}']\n` });
  expect(whispered(await discord.people.command('plan'))).toContain('You may not use `/plan`');
  const fields = { content: 'Mend the rocket.' };
  expect(whispered(await discord.people.submit('facteur:modal:plan', fields))).toContain('You may not use `/plan`');
  const { rows } = await db.query({ text: 'SELECT command FROM facteur.refusals' });
  expect(rows).toEqual([{ command: 'plan' }, { command: 'plan' }]);
  expect((await discord.people.command('plan', [], { roles: [ROLE] })).answer).toMatchObject({ type: 9 });
  expect((await discord.people.submit('facteur:modal:plan', fields, { roles: [ROLE] })).answer).toEqual({ type: 5 });
  expect(await countRuns(db)).toBe(1);
});

test.each([
  [{ content: 'short' }, 'content: must have at least 10 characters'],
  [{ ticket: 'L-1' }, 'content: is required'],
  [{ content: 'Mend the rocket.', ticket: 'x'.repeat(21) }, 'ticket: must have at most 20 characters'],
  [{ content: 'Mend the rocket.', other: 'x' }, 'other: is an unknown option'],
  [{ content: 'Mend `{{workflow.name}}`.' }, 'content: must not contain'],
])('the input is validated, and a refusal returns it: %j', async (fields, fault) => {
  const { discord } = await openDiscordDoor({ db, yaml: ASK });
  const refused = await discord.people.submit('facteur:modal:plan', fields);
  expect(whispered(refused)).toContain(fault);
  // Discord does not keep the input.
  const embeds = [{ description: `\`\`\`\n${Object.values(fields).join('\n')}\n\`\`\`` }];
  expect((refused.answer as Json).data).toMatchObject({ flags: 64, embeds });
  expect(await countRuns(db)).toBe(0);
});

test('a form of a template that is not read yet asks to try again, and is not called expired', async () => {
  const cluster = await startCluster();
  cluster.faults.apply({ op: 'deny', requests: [{ verb: 'list', resource: 'workflowtemplates' }] });
  const yaml = 'commands_from_templates: { namespaces: [argo-workflows] }';
  const { discord } = await openDiscordDoor({ db, yaml, cluster });
  const sent = await discord.people.submit('facteur:modal:release', { notes: 'Mend the rocket.' });
  expect(whispered(sent)).toContain('nothing was started. Please try again');
});

test('an event from the upstream of the Go service for the same command is still accepted', async () => {
  const { facteur } = await openDiscordDoor({ db, yaml: ASK });
  const options = { content: 'Mend the rocket.', payload: '{"prompt":"Mend the rocket."}' };
  expect((await facteur.send(event({ command: 'plan', options, interactionId: 'i-1' }))).status).toBe(202);
  const refused = await facteur.send(event({ command: 'plan', options: { payload: '{}' }, interactionId: 'i-2' }));
  expect(refused).toMatchObject({ status: 422, body: { details: 'content: is required' } });
});

test('a payload that the form did not ask for is ignored', async () => {
  const optional = ASK.replace('style: paragraph, min_length: 10', 'style: paragraph, required: false');
  const { discord, facteur } = await openDiscordDoor({ db, yaml: optional });
  const body = JSON.stringify({
    type: 5,
    id: '1190000000000000001',
    token: 'token',
    guild_id: discord.guildId,
    channel_id: discord.channelId,
    member: { user: { id: '200000000000000001', username: 'ada' }, roles: [] },
    data: {
      custom_id: 'facteur:modal:plan',
      components: [
        { type: 18, component: { type: 4, custom_id: 'ticket', value: 'T-1' } },
        { type: 18, component: { type: 4, custom_id: 'payload', value: '{"user":{"id":"200000000000000002"}}' } },
      ],
    },
  });
  const timestamp = String(Math.floor(Date.now() / 1000));
  await fetch(`${facteur.url}/discord/interactions`, {
    method: 'POST',
    body,
    headers: { 'x-signature-timestamp': timestamp, 'x-signature-ed25519': discord.signer.sign(timestamp, body) },
  });
  const { namespace, workflow_name: name } = await expectRun(db, '1190000000000000001', 'submitted');
  const parameters = parametersOf(facteur.cluster.store.get('workflows', namespace, name).object);
  expect(parameters).toEqual({ action: 'plan', ticket: 'T-1' });
});
