import { describe, expect, test } from 'vitest';
import { parse } from 'yaml';
import { runCommandLine } from '../../test/support/cli.ts';
import { MINIMAL_ENV } from '../../test/support/config.ts';
import { accessTo } from '../../test/support/cluster.ts';
import { explainCommand } from './explain.ts';

const ROLE = '500000000000000001';
const YAML = `
role_map: { plan: ['${ROLE}', '500000000000000002'], open: [] }
commands:
  open: { description: Open to all, workflow_template: own, namespace: other, parameters: { a: b } }
  ask: { description: Ask, modal: { title: Ask, fields: [{ name: content, label: What }] } }
`;

const run = (...args: string[]) =>
  runCommandLine(
    ['explain', ...args, '--config', 'facteur.yaml'],
    [explainCommand({ now: () => new Date('2026-02-03T04:05:06Z') }, async () => accessTo('http://127.0.0.1:9'))],
    { env: MINIMAL_ENV, readFile: async () => Buffer.from(YAML) },
  );

/** The manifest at the end of the output. */
const manifestOf = (text: string) => parse(text.slice(text.indexOf('apiVersion:')));

describe('explain', () => {
  test('shows which role allows the command, and what facteur would submit', async () => {
    const { code, stdout } = await run('plan', '--roles', `1, ${ROLE}`, '--user', '7', '--option', 'objective=a=b');
    expect(code).toBe(0);
    expect(stdout).toContain(`/plan, requested by user 7 with roles 1, ${ROLE}\n`);
    expect(stdout).toContain(`permission  yes: role_map.plan allows ${ROLE}, which the user has\n`);
    expect(stdout).toContain('command     built in\n');
    expect(manifestOf(stdout)).toMatchObject({
      kind: 'Workflow',
      metadata: { name: expect.stringMatching(/^plan-20260203-040506-[0-9a-z]{6}$/), namespace: 'argo' },
      spec: {
        workflowTemplateRef: { name: 'facteur-dispatch' },
        arguments: {
          parameters: [
            { name: 'action', value: 'plan' },
            { name: 'objective', value: 'a=b' },
          ],
        },
      },
    });
  });

  test('shows which roles are missing, and what facteur would submit for others', async () => {
    const { code, stdout } = await run('/PLAN', '--roles', '3', '--option', 'objective=x');
    expect(code).toBe(1);
    expect(stdout).toContain(
      `no: role_map.plan allows only ${ROLE}, 500000000000000002, and the user has none of these`,
    );
    expect(stdout).toContain('facteur would submit nothing; for a user with permission it would submit');
    expect(manifestOf(stdout)).toMatchObject({ kind: 'Workflow' });
    expect((await run('plan')).stdout).toContain('requested by somebody without roles');
  });

  test('an empty list is open to anyone, and the target is the command’s own', async () => {
    const { stdout } = await run('open');
    expect(stdout).toContain('yes: role_map has no roles for open, so anyone may run it');
    expect(manifestOf(stdout)).toMatchObject({
      metadata: { namespace: 'other' },
      spec: { workflowTemplateRef: { name: 'own' } },
    });
  });

  test.each([
    [
      ['implement'],
      'input       refused: invalid option\n              project: is required\n              branch: is required\n',
    ],
    [['open', '--option', 'x=1'], 'x: is an unknown option'],
    [['plan', '--option', 'objective={{x}}'], 'refused: template tag not allowed'],
    [['deploy'], 'deploy is not defined\ninput       refused: unknown command'],
  ])('shows what would be refused: %j', async (args, text) => {
    const { code, stdout, stderr } = await run(...args);
    expect({ code, stderr }).toEqual({ code: 1, stderr: expect.stringMatching(/^facteur: \/\w+ would be refused\n$/) });
    expect(stdout).toContain(text);
    expect(stdout).toContain('facteur would submit nothing\n');
  });

  test('the fields of a form are options, and make the payload', async () => {
    const { stdout } = await run('ask', '--option', 'content=Mend it.', '--json');
    const explanation = JSON.parse(stdout);
    expect(explanation).toMatchObject({ hasForm: true, allowed: true, definition: 'configured' });
    const { parameters } = explanation.manifest.spec.arguments;
    expect(parameters.map(({ name }: { name: string }) => name)).toEqual(['action', 'content', 'payload']);
  });

  test('status submits nothing', async () => {
    const { stdout } = await run('status');
    expect(stdout).toContain('built in; shows the status and runs no workflow');
    expect(stdout).toContain('facteur would submit nothing');
  });

  test.each([[['plan', '--option', 'x']], [[]], [['plan', '--what']]])('%j is a usage error', async (args) => {
    expect(await run(...args)).toMatchObject({ code: 2 });
  });
});
