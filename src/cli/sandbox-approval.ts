import { asPerson, CAST, TEAM_ROLE } from '../../sandbox/play/cast.ts';
import { buttonRows } from '../../sandbox/discord/buttons.ts';
import type { SimulatedMessage } from '../../sandbox/discord/message.ts';
import { expectThat, until } from './sandbox-steps.ts';
import type { TemplateStage } from './sandbox-templates.ts';

const PREFIX = 'facteur.proompteng.ai/';

/** Build, approval by two people, deploy: the example in `docs/approvals.md`. */
export const RELEASE = {
  apiVersion: 'argoproj.io/v1alpha1',
  kind: 'WorkflowTemplate',
  metadata: {
    name: 'release',
    annotations: {
      [`${PREFIX}command`]: 'release',
      [`${PREFIX}description`]: 'Build, approve by two, deploy',
      [`${PREFIX}roles`]: TEAM_ROLE,
    },
  },
  spec: {
    entrypoint: 'main',
    arguments: { parameters: [{ name: 'version', description: 'Tag of the image', value: 'v4' }] },
    templates: [
      {
        name: 'main',
        steps: [
          [{ name: 'build', template: 'build' }],
          [{ name: 'approve', template: 'approve' }],
          [{ name: 'deploy', template: 'deploy' }],
        ],
      },
      {
        name: 'approve',
        annotations: {
          [`${PREFIX}approvers`]: TEAM_ROLE,
          [`${PREFIX}approval-message`]: 'Deploy to production?',
          [`${PREFIX}quorum`]: '2',
        },
        suspend: {},
      },
      { name: 'build', container: { image: 'alpine', command: ['make', 'build'] } },
      { name: 'deploy', container: { image: 'alpine', command: ['make', 'deploy'] } },
    ],
  },
};

/**
 * Plays an approval in Discord: the requester may not decide, and two others approve.
 *
 * @throws FacteurError on the first unexpected result
 */
export async function playApproval(stage: TemplateStage): Promise<void> {
  const { timeline, discord, channel } = stage;
  const [ada, bob, carol] = [CAST.ada, CAST.bob, CAST.carol].map((player) => asPerson(player, [TEAM_ROLE]));
  timeline.story('A workflow waits for two people: build, approve, deploy');
  await until('/release is no command', () => discord.commands().some(({ name }) => name === 'release'));
  channel.skip();
  const asked = await discord.people.command('release', [], ada);
  expectThat(asked.outcome === 'acknowledged', `facteur answered /release with ${asked.status}: ${asked.problem}`);
  channel.note(asked.interactionId, 'Ada used /release');
  const message = (): SimulatedMessage | undefined =>
    discord.messages().find(({ interactionId }) => interactionId === asked.interactionId);
  const approveButton = (): string | undefined =>
    buttonRows(message()?.versions.at(-1)?.components ?? [])
      .flat()
      .find(({ label }) => label === 'Approve')?.customId;
  await until('/release does not wait for approval', () => {
    channel.show();
    return approveButton() !== undefined;
  });
  for (const person of [ada, bob, carol]) {
    const [target, button] = [message(), approveButton()];
    expectThat(target !== undefined && button !== undefined, 'the message must have its buttons until it is decided');
    const pressed = await discord.people.press(target, button, person);
    channel.note(pressed.interactionId, `${person?.globalName} pressed Approve`);
    timeline.step('pressed', `${person?.globalName} presses Approve`);
    channel.show();
  }
  await until('/release did not succeed', async () => {
    channel.show();
    return message()?.versions.at(-1)?.content.includes('Succeeded') === true;
  });
  channel.show();
}
