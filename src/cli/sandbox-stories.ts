import { ChannelView } from '../../sandbox/play/channel.ts';
import { Timeline } from '../../sandbox/timeline.ts';
import { systemClock } from '../base/clock.ts';
import { apiClient } from '../clients/facteur/client.ts';
import type { CliIo } from './io.ts';
import { playApproval, RELEASE } from './sandbox-approval.ts';
import { NAMESPACE, rolesOf } from './sandbox-config.ts';
import { playLearning } from './sandbox-learning.ts';
import { playOwnCommands } from './sandbox-own.ts';
import { until } from './sandbox-steps.ts';
import { playTemplates } from './sandbox-templates.ts';
import { playTour, type FindRun } from './sandbox-tour.ts';
import type { World } from './sandbox-world.ts';

/**
 * Introduces the sandbox and plays its stories, or the commands of a user's own configuration.
 *
 * @throws FacteurError on the first unexpected result
 */
export async function playAll(world: World): Promise<void> {
  const { service, options, own, discord, io, colour } = world;
  const timeline = new Timeline(
    (text) => io.stdout.write(text),
    () => performance.now(),
    colour,
  );
  timeline.note(introduction(world));
  if (own === undefined && options.tour) {
    await playStories(world, timeline);
  } else {
    await connectDiscord(world);
  }
  if (own !== undefined && options.tour) {
    await playOwnCommands({ ...world, timeline, channel: channelOf(world), roles: rolesOf(world.config) });
  }
  const worked = options.tour ? 'All of it worked.' : 'Everything is running.';
  timeline.note(options.exit === true ? `\n${worked}` : farewell(worked, service.url, discord.apiBaseUrl));
}

/** Saves the endpoint as in the developer portal, then waits until the commands are registered. */
async function connectDiscord({ discord, service, config, own }: World): Promise<void> {
  await discord.people.saveEndpoint(`${service.url}/discord/interactions`);
  const names = [...Object.keys(config.commands), ...(own === undefined ? [RELEASE.metadata.name] : [])];
  await until('the commands were not registered', () => {
    const known = discord.commands().map(({ name }) => name);
    return names.every((name) => known.includes(name));
  });
}

async function playStories(world: World, timeline: Timeline): Promise<void> {
  const { cluster, discord, io } = world;
  const { url } = world.service;
  const channel = channelOf(world);
  const findRun = runFinder(url, io);
  const workflowsNamed = (name: string): number =>
    cluster.history.entries.filter((entry) => entry.kind === 'create' && entry.name === name).length;
  await playTour({ url, timeline, discord, channel, findRun, workflowsNamed });
  const stage = { url, clusterUrl: cluster.url, namespace: NAMESPACE, timeline, discord, channel, findRun };
  await playTemplates(stage);
  await playApproval(stage);
  const parametersOf = (name: string): Readonly<Record<string, string>> =>
    namedValues(cluster.store.get('workflows', NAMESPACE, name).object.spec['arguments']);
  await playLearning({ findRun, url, timeline, parametersOf });
}

function channelOf({ discord, io, colour }: World): ChannelView {
  return new ChannelView({ discord, print: (text) => io.stdout.write(`${text}\n`), clock: systemClock, colour });
}

function introduction({ service, cluster, discord, options, own }: World): string {
  const kept = options.data === undefined ? 'gone when this ends' : `kept in ${options.data}`;
  const { path, ignored } = own ?? { path: '', ignored: [] };
  const replaced = ignored.length === 0 ? '' : `, except ${ignored.join(', ')}: the sandbox has its own`;
  const config = own === undefined ? '' : `\n  config    ${path}${replaced}`;
  return `\nfacteur sandbox: everything runs on this machine

  facteur   ${service.url}
  cluster   simulated, ${cluster.url}
  Discord   simulated, ${discord.apiBaseUrl}
  database  embedded PostgreSQL, ${kept}${config}`;
}

/** The run of a run id, delivery id or workflow name, from facteur's own API. */
function runFinder(url: string, io: CliIo): FindRun {
  const call = apiClient({
    server: new URL(url),
    token: undefined,
    fetch: (target, init) => io.fetch(target, init),
    signal: io.signal,
  });
  return async (reference) => (await call('listRuns', { query: { reference } })).runs[0];
}

/** The parameters of a workflow in the store of the simulated cluster. */
function namedValues(given: unknown): Readonly<Record<string, string>> {
  const { parameters = [] } = (given ?? {}) as {
    readonly parameters?: readonly { readonly name: string; readonly value: string }[];
  };
  return Object.fromEntries(parameters.map(({ name, value }) => [name, value]));
}

function farewell(worked: string, url: string, discordUrl: string): string {
  return `
${worked} facteur keeps running; press Ctrl-C to stop it. In a second terminal:

  npx facteur runs list --server ${url}
  curl ${url}/readyz
  curl ${url}/events -H 'content-type: application/json' -d '{"command":"plan","options":{"objective":"Try it"}}'
  npm run facteur -- send codex-task examples/codex-task.json --url ${url}
  npm run facteur -- send command plan --option objective="Try it" --discord ${discordUrl}`;
}
