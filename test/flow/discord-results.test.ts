import { expect } from 'vitest';
import { startCluster } from '../support/cluster.ts';
import { openDiscordDoor, ROLE } from '../support/discord-door.ts';
import { expectRun } from '../support/ledger.ts';
import { db, test } from '../support/ledger-fixture.ts';
import { applyTemplate, type TemplateParts } from '../support/templates.ts';

const output = (globalName: string, value: string) => ({ name: globalName, globalName, valueFrom: { default: value } });
const SPEC = {
  templates: [
    {
      name: 'main',
      container: { image: 'alpine', command: ['true'] },
      outputs: {
        parameters: [output('summary', 'All is well.'), output('version', 'v4'), { name: 'local', value: 'x' }],
      },
    },
  ],
};

/** The text of the message of a `/deploy` with this template. */
async function deployed(parts: TemplateParts): Promise<string> {
  const cluster = await startCluster({ defaults: { outcome: 'succeed', pendingMs: 0, startMs: 0, stepMs: 0 } });
  await applyTemplate(cluster, 'deploy', parts);
  const { discord } = await openDiscordDoor({
    db,
    cluster,
    yaml: 'commands_from_templates: { namespaces: [argo-workflows] }',
    roles: ['http', 'submit', 'follow', 'notify'],
  });
  let interactionId = '';
  await expect
    .poll(async () => {
      const asked = await discord.people.command('deploy', [], { roles: [ROLE] });
      interactionId = asked.interactionId;
      return asked.answer;
    })
    .toMatchObject({ type: 5 });
  await expectRun(db, interactionId, 'succeeded');
  const text = () =>
    discord
      .messages()
      .find((message) => message.interactionId === interactionId)
      ?.versions.at(-1)?.content ?? '';
  await expect.poll(text).toContain('**Succeeded**');
  return text();
}

test.each<[string, TemplateParts, string]>([
  ['with the default names, if the template names none', { spec: SPEC }, 'summary: All is well.'],
  [
    'that the annotation of the command names',
    { spec: SPEC, annotations: { result: 'version, absent' } },
    'version: v4',
  ],
  [
    'that the workflow’s metadata names, before the annotation of the command',
    {
      spec: { ...SPEC, workflowMetadata: { annotations: { 'facteur.proompteng.ai/result': 'version' } } },
      annotations: { result: 'summary' },
    },
    'version: v4',
  ],
])('a message shows the global outputs %s', async (_which, parts, result) => {
  const text = await deployed(parts);
  expect(text).toContain(`\n\`\`\`\n${result}\n\`\`\`\n`);
});
