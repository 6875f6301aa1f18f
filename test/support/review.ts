import { expect } from 'vitest';
import type { SimulatedMessage } from '../../sandbox/discord/message.ts';
import type { Exchange, Who } from '../../sandbox/discord/people.ts';
import type { Database } from '../../src/clients/postgres/database.ts';
import type { Environment } from '../../src/config/environment.ts';
import { startCluster, type Json } from './cluster.ts';
import { openDiscordDoor, OTHER_ROLE, ROLE, type DiscordDoor } from './discord-door.ts';
import { createdRun, LEARNING, reflect, type CreatedRun } from './knowledge.ts';
import { expectRun } from './ledger.ts';

/** The requester of the run, who is not a reviewer. */
export const EVE: Who = { id: '200000000000000004', username: 'eve', roles: [OTHER_ROLE] };
/** Reviewers. */
export const ADA: Who = { id: '200000000000000002', username: 'ada', roles: [ROLE] };
export const BOB: Who = { id: '200000000000000003', username: 'bob', roles: [ROLE] };

/** An ended run in Discord, with its reflections and its message. */
export interface TaughtRun extends DiscordDoor {
  readonly run: CreatedRun;
  readonly reflectionIds: readonly string[];
  message(): SimulatedMessage;
  /** Resolves when the run's message shows its end. @returns its button ids by label */
  ended(): Promise<Readonly<Record<string, string>>>;
  /** Presses a button of the run's message, even if the message does not have it. */
  press(customId: string, who: Who): Promise<Exchange>;
  /** Presses a button of the message that answered an earlier press. */
  pressAnswer(answered: Exchange, label: string, who: Who): Promise<Exchange>;
}

export interface Lesson {
  readonly texts: readonly string[];
  readonly env?: Environment;
  /** Called before the run ends. */
  readonly before?: (run: CreatedRun) => Promise<void>;
}

/** Runs `/plan`; its workflow reports these texts and ends. */
export async function taughtRun(db: Database, { texts, env = {}, before }: Lesson): Promise<TaughtRun> {
  const cluster = await startCluster({ defaults: { outcome: 'hang', at: 1, pendingMs: 0, startMs: 0, stepMs: 0 } });
  const door = await openDiscordDoor({
    db,
    cluster,
    env: {
      ...LEARNING,
      FACTEUR_KNOWLEDGE_TRUSTED_REPOSITORIES: '',
      FACTEUR_KNOWLEDGE_REVIEWERS: ROLE,
      ...env,
    },
    roles: ['http', 'submit', 'follow', 'notify'],
  });
  const { people } = door.discord;
  const { interactionId } = await people.command('plan', [{ name: 'objective', value: 'x' }], EVE);
  const run = createdRun(door.facteur, await expectRun(db, interactionId, 'running'));
  const reflectionIds: string[] = [];
  for (const [index, text] of texts.entries()) {
    reflectionIds.push(await reflect(door.facteur, run, text, `lesson-${index}`));
  }
  await before?.(run);
  const message = () => door.discord.messages().find((one) => one.interactionId === interactionId)!;
  await people.press(await withButton(message, 'Cancel'), `facteur:cancel:${run.runId}`, EVE);
  await expectRun(db, interactionId, 'canceled');
  return {
    ...door,
    run,
    reflectionIds,
    message,
    ended: async () => {
      await expect.poll(() => message().versions.at(-1)?.content).toContain('Canceled');
      return buttonsOf(message());
    },
    press: (customId, who) => people.press(showing(message(), customId), customId, who),
    pressAnswer: async (answered, label, who) => {
      const answer = door.discord.messages().find(({ id }) => id === answered.messageId)!;
      return people.press(answer, buttonsOf(answer)[label] ?? `no button ${label}`, who);
    },
  };
}

async function withButton(message: () => SimulatedMessage, label: string): Promise<SimulatedMessage> {
  await expect.poll(() => buttonsOf(message())).toHaveProperty(label);
  return message();
}

/** The current button ids of a message, by label. */
export function buttonsOf(message: SimulatedMessage | undefined): Readonly<Record<string, string>> {
  const rows = (message?.versions.at(-1)?.components ?? []) as readonly Json[];
  const buttons: readonly Json[] = rows.flatMap(({ components }) => components);
  return Object.fromEntries(buttons.map(({ label, custom_id: id }) => [label, id]));
}

/** The message as seen by an outdated or dishonest client. */
function showing(message: SimulatedMessage, customId: string): SimulatedMessage {
  const components = [{ type: 1, components: [{ type: 2, custom_id: customId }] }];
  return { ...message, versions: message.versions.map((version) => ({ ...version, components })) };
}
