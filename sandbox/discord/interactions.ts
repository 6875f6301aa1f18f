import type { Clock } from '../../src/base/clock.ts';
import { alreadyAcknowledged, invalidWebhookToken, unknown } from './discord-failure.ts';
import type { Snowflakes } from './snowflake.ts';

/** Discord's interaction types. */
export const INTERACTION = { ping: 1, command: 2, component: 3, autocomplete: 4, modal: 5 } as const;
export type InteractionType = (typeof INTERACTION)[keyof typeof INTERACTION];

/** How long facteur has for its first answer, and how long a token lives, in milliseconds. */
export const ANSWER_MS = 3000;
const TOKEN_MS = 15 * 60 * 1000;

/** An action of a person, sent to facteur. */
export interface Interaction {
  readonly id: string;
  readonly token: string;
  readonly type: InteractionType;
  readonly channelId: string;
  readonly createdAtMs: number;
  readonly acknowledged: boolean;
  /** "The application did not respond": no answer counts any more. */
  readonly failed: boolean;
  /** The message that answers it; for a press, the one with the button. Empty until it exists. */
  readonly originalId: string;
}

/** The active interactions, with the rules for their tokens. */
export class Interactions {
  readonly #clock: Clock;
  readonly #snowflakes: Snowflakes;
  readonly #random: () => number;
  readonly #byToken = new Map<string, Interaction>();

  constructor(clock: Clock, snowflakes: Snowflakes, random: () => number) {
    this.#clock = clock;
    this.#snowflakes = snowflakes;
    this.#random = random;
  }

  /** @param pressedId the message with the button, for a press */
  create(type: InteractionType, channelId: string, pressedId = ''): Interaction {
    const id = this.#snowflakes.next();
    const secret = Array.from({ length: 48 }, () => Math.floor(this.#random() * 36).toString(36)).join('');
    const interaction: Interaction = {
      id,
      token: Buffer.from(`interaction:${id}:${secret}`).toString('base64url'),
      type,
      channelId,
      createdAtMs: this.#clock.now().getTime(),
      acknowledged: false,
      failed: false,
      originalId: pressedId,
    };
    this.#byToken.set(interaction.token, interaction);
    return interaction;
  }

  /** @throws DiscordFailure 10062 when 3 seconds have passed, 40060 when it was answered before */
  requireUnanswered(id: string, token: string): Interaction {
    const interaction = this.#byToken.get(token);
    if (interaction === undefined || interaction.id !== id) {
      throw unknown('interaction');
    }
    if (interaction.acknowledged) {
      throw alreadyAcknowledged();
    }
    if (interaction.failed || this.#age(interaction) > ANSWER_MS) {
      throw unknown('interaction');
    }
    return interaction;
  }

  acknowledge(interaction: Interaction, originalId: string): Interaction {
    const acknowledged = { ...interaction, acknowledged: true, originalId };
    this.#byToken.set(interaction.token, acknowledged);
    return acknowledged;
  }

  /** Marks an interaction without a timely and valid answer as failed. An answered interaction is unchanged. */
  fail(interaction: Interaction): void {
    const current = this.#byToken.get(interaction.token);
    if (current !== undefined && !current.acknowledged) {
      this.#byToken.set(interaction.token, { ...current, failed: true });
    }
  }

  /** The current state of the interaction. */
  current(interaction: Interaction): Interaction {
    return this.#byToken.get(interaction.token) ?? interaction;
  }

  /**
   * The interaction behind a webhook path.
   *
   * @throws DiscordFailure 50027 for an invalid or expired token, 10015 before (or without) the first answer
   */
  requireAnswered(token: string): Interaction {
    const interaction = this.#byToken.get(token);
    if (interaction === undefined || this.#age(interaction) > TOKEN_MS) {
      throw invalidWebhookToken();
    }
    if (!interaction.acknowledged) {
      throw unknown('webhook');
    }
    return interaction;
  }

  /** Invalidates all tokens, as Discord sometimes does early. */
  revokeAll(): void {
    this.#byToken.clear();
  }

  #age(interaction: Interaction): number {
    return this.#clock.now().getTime() - interaction.createdAtMs;
  }
}
