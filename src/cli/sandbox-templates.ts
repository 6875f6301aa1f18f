import { isRecord } from '../base/json.ts';
import type { SimulatedDiscord } from '../../sandbox/discord/discord.ts';
import type { ChannelView } from '../../sandbox/play/channel.ts';
import type { Timeline } from '../../sandbox/timeline.ts';
import { TEAM_ROLE } from '../../sandbox/play/cast.ts';
import { expectThat, until } from './sandbox-steps.ts';
import type { FindRun, PlayedRun } from './sandbox-tour.ts';

/** What this part of the tour uses. */
export interface TemplateStage {
  readonly url: string;
  readonly clusterUrl: string;
  readonly namespace: string;
  readonly timeline: Timeline;
  readonly discord: SimulatedDiscord;
  readonly findRun: FindRun;
  readonly channel: ChannelView;
}

const PREFIX = 'facteur.proompteng.ai/';

/** The third template puts user text into a script, so it gets no command. */
const TEMPLATES = [
  template('deploy', { description: 'Roll out a version' }, [
    { name: 'version', description: 'Tag of the image' },
    { name: 'environment', value: 'staging', enum: ['staging', 'production'] },
  ]),
  template('announce', { description: 'Tell everybody', long: 'text' }, [{ name: 'text', description: 'What to say' }]),
  template('checkout', {}, [{ name: 'branch' }], 'git checkout {{workflow.parameters.branch}}'),
];

/**
 * Applies three templates, shows which of them are commands, and runs one from the chat.
 *
 * @throws FacteurError on the first unexpected result
 */
export async function playTemplates(stage: TemplateStage): Promise<void> {
  const { timeline, discord } = stage;
  timeline.story('Somebody applies three annotated WorkflowTemplates; those that are safe are slash commands');
  for (const manifest of TEMPLATES) {
    await apply(manifest, stage);
  }
  await until('the templates are not commands yet', async () => {
    const names = await templateCommands(stage.url);
    return names.join(' ') === 'announce deploy release';
  });
  timeline.step('appeared', '/announce and /deploy; /checkout would run a user’s text as code (facteur commands lint)');
  const options = [{ name: 'version', value: 'v4' }];
  const asked = await discord.people.command('deploy', options, { roles: [TEAM_ROLE] });
  expectThat(asked.outcome === 'acknowledged', `facteur answered /deploy with ${asked.status}: ${asked.problem}`);
  timeline.step('answered', 'Ada runs /deploy version: v4');
  let run: PlayedRun | undefined;
  await until('/deploy did not succeed', async () => {
    run = await stage.findRun(asked.interactionId);
    return run?.state === 'succeeded';
  });
  timeline.step(
    'succeeded',
    `Workflow ${run?.namespace}/${run?.workflowName}, from the template deploy, in staging by default`,
  );
}

function template(
  name: string,
  annotations: Readonly<Record<string, string>>,
  parameters: readonly object[],
  script = 'true',
): object {
  const own = { command: name, roles: TEAM_ROLE, ...annotations };
  return {
    apiVersion: 'argoproj.io/v1alpha1',
    kind: 'WorkflowTemplate',
    metadata: {
      name,
      annotations: Object.fromEntries(Object.entries(own).map(([key, value]) => [`${PREFIX}${key}`, value])),
    },
    spec: {
      entrypoint: 'main',
      arguments: { parameters },
      templates: [{ name: 'main', script: { image: 'alpine', command: ['sh'], source: script } }],
    },
  };
}

/** Creates a template like `kubectl create`. */
export async function apply(
  manifest: object,
  { clusterUrl, namespace }: Pick<TemplateStage, 'clusterUrl' | 'namespace'>,
): Promise<void> {
  const path = `/apis/argoproj.io/v1alpha1/namespaces/${namespace}/workflowtemplates`;
  const response = await fetch(`${clusterUrl}${path}`, {
    method: 'POST',
    body: JSON.stringify(manifest),
    headers: { 'content-type': 'application/json' },
  });
  expectThat(response.status === 201, `the cluster answered ${response.status} to a template`);
}

/** The names of the templates' commands, from facteur's own API. */
async function templateCommands(url: string): Promise<readonly string[]> {
  const answer: unknown = await (await fetch(`${url}/v1/commands`)).json();
  const commands = isRecord(answer) && Array.isArray(answer['commands']) ? (answer['commands'] as unknown[]) : [];
  return commands.filter(isRecord).flatMap(({ origin, name }) => (origin === 'template' ? [String(name)] : []));
}
