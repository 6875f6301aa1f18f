import { expect, test } from 'vitest';
import { accessTo, startCluster } from '../../test/support/cluster.ts';
import { loadYaml } from '../../test/support/config.ts';
import { applyTemplate } from '../../test/support/templates.ts';
import { createLogger } from '../base/logger.ts';
import { lintConfigured } from './lint-configured.ts';

const SERVER = '123456789012345678';
const YAML = `
argo: { namespace: argo-workflows, workflow_template: facteur-dispatch }
commands:
  deploy: { description: Deploy, workflow_template: deploy }
  release: { description: Release, workflow_template: release }
  again: { description: Deploy again, workflow_template: deploy }
`;

/** The log lines about the templates of the configuration. */
async function logOf(url: string): Promise<Record<string, unknown>[]> {
  const log: string[] = [];
  const { config } = await loadYaml(YAML, {
    FACTEUR_DISCORD_GUILD_ID: SERVER,
    FACTEUR_ARGO_NAMESPACE: '',
    FACTEUR_ARGO_WORKFLOW_TEMPLATE: '',
  });
  const logger = createLogger('info', { write: (line) => log.push(line) });
  const context = { logger, clusterAccess: async () => accessTo(url) };
  await lintConfigured(config, context, new AbortController().signal);
  return log.map((line) => JSON.parse(line) as Record<string, unknown>);
}

test('warns once about each template with errors and each missing template', async () => {
  const cluster = await startCluster();
  const spec = {
    templates: [{ name: 'main', script: { command: ['sh'], source: 'echo {{workflow.parameters.what}}' } }],
  };
  await applyTemplate(cluster, 'facteur-dispatch', { spec: { templates: [{ name: 'main' }] } });
  await applyTemplate(cluster, 'deploy', { spec, parameters: [{ name: 'what' }] });
  const log = await logOf(cluster.url);
  expect(log).toMatchObject([
    {
      level: 'warn',
      namespace: 'argo-workflows',
      template: 'deploy',
      used_by: ['/deploy', '/again'],
      errors: 1,
      first: 'templates[0] "main" script.source: {{workflow.parameters.what}} is put into the script as text',
    },
    { level: 'warn', message: expect.stringContaining('argo-workflows/release, used by /release, does not exist') },
  ]);
});

test('warns about an approver and a role that match no one: the id of the server', async () => {
  const cluster = await startCluster();
  const annotations = { 'facteur.proompteng.ai/approvers': `${SERVER} 500000000000000001` };
  const spec = { entrypoint: 'ask', templates: [{ name: 'ask', suspend: {}, annotations }] };
  const parts = { spec: { templates: [{ name: 'main' }] } };
  await applyTemplate(cluster, 'facteur-dispatch', parts);
  await applyTemplate(cluster, 'deploy', { spec });
  await applyTemplate(cluster, 'release', { ...parts, annotations: { roles: `500000000000000001, ${SERVER}` } });
  expect(await logOf(cluster.url)).toMatchObject([
    {
      level: 'warn',
      template: 'deploy',
      message: expect.stringContaining(
        `approver ${SERVER} is the id of the server (@everyone), which Discord does not list`,
      ),
    },
    { level: 'warn', template: 'release', message: expect.stringContaining(`role ${SERVER} is the id of the server`) },
  ]);
});

test('without the right to read templates, logs it once', async () => {
  const cluster = await startCluster();
  cluster.faults.apply({ op: 'deny', requests: [{ verb: 'list', resource: 'workflowtemplates' }] });
  expect(await logOf(cluster.url)).toMatchObject([
    { level: 'info', message: 'the workflow templates of the commands were not checked' },
  ]);
});
