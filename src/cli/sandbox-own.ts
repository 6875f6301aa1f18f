import type { SimulatedDiscord } from '../../sandbox/discord/discord.ts';
import { asPerson, CAST } from '../../sandbox/play/cast.ts';
import type { ChannelView } from '../../sandbox/play/channel.ts';
import { filledForm } from '../../sandbox/play/form.ts';
import { exampleOf, readOptions, splitWord, usageOf } from '../../sandbox/play/wording.ts';
import type { Timeline } from '../../sandbox/timeline.ts';
import type { Config } from '../config/config.ts';
import { expectThat, until } from './sandbox-steps.ts';

/** What this part of the tour uses. */
interface OwnStage {
  readonly timeline: Timeline;
  readonly discord: SimulatedDiscord;
  readonly channel: ChannelView;
  readonly config: Config;
  readonly roles: readonly string[];
}

/**
 * Shows the commands of a user's own configuration (how to type them, who may run them) and runs each once.
 *
 * @throws FacteurError for a command that cannot be run
 */
export async function playOwnCommands(stage: OwnStage): Promise<void> {
  const { timeline, discord, config } = stage;
  timeline.story('The commands of your configuration, as Discord has them');
  for (const command of discord.commands()) {
    const roles = config.roleMap[command.name] ?? [];
    const who = roles.length === 0 ? 'anyone' : `the roles ${roles.join(', ')}`;
    for (const usage of usageOf(command)) {
      timeline.note(`  /${usage}  (${who})`);
    }
  }
  timeline.story('Ada has every role, and runs each command that your configuration adds');
  for (const [name, { configured, action }] of Object.entries(config.commands)) {
    if (configured && action === 'dispatch') {
      await playOnce(stage, name);
    }
  }
}

/** Runs a command with a value for each required option, and waits until its message shows the end. */
async function playOnce({ discord, channel, timeline, roles }: OwnStage, name: string): Promise<void> {
  const command = discord.commands().find((candidate) => candidate.name === name);
  if (command === undefined) {
    return;
  }
  const line = exampleOf(command);
  timeline.step('typed', `/${line}`);
  const who = asPerson(CAST.ada, roles);
  let asked = await discord.people.command(name, readOptions(command, splitWord(line)[1]), who);
  const form = filledForm(asked.answer, {});
  if (form !== undefined) {
    asked = await discord.people.submit(form.customId, form.fields, who);
  }
  expectThat(asked.outcome === 'acknowledged', `facteur answered /${name} with ${asked.status}: ${asked.problem}`);
  channel.note(asked.interactionId, `Ada used /${name}`);
  channel.skip();
  await until(`the message of /${name} does not show the end of the run`, () => {
    const message = discord.messages().find(({ interactionId }) => interactionId === asked.interactionId);
    const last = message?.versions.at(-1);
    return last !== undefined && !last.loading && !JSON.stringify(last.components).includes('facteur:cancel:');
  });
  channel.showAnswer(asked.interactionId);
}
