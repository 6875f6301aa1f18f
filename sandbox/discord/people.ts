import { Agent, request } from 'undici';
import type { Timer } from '../../src/base/timer.ts';
import { within } from '../../src/base/within.ts';
import { errorMessage } from '../../src/base/errors.ts';
import { isRecord } from '../../src/base/json.ts';
import type { JsonObject } from '../cluster/objects.ts';
import { DiscordFailure } from './discord-failure.ts';
import {
  interactionPayload,
  modalPayload,
  optionsPayload,
  type CommandOption,
  type Person,
  type Place,
} from './interaction-payload.ts';
import { INTERACTION, type Interaction, type InteractionType } from './interactions.ts';
import type { SimulatedMessage } from './message.ts';
import { respond } from './respond.ts';
import type { Signer } from './signer.ts';
import type { World } from './world.ts';

/**
 * The result of sending a person's action to facteur.
 *
 *   acknowledged  a valid answer in time
 *   refused       a status other than 200, or an answer that Discord rejects
 *   late          no answer in time
 *   unreachable   no connection, or a broken one
 */
export interface Exchange {
  readonly interactionId: string;
  readonly outcome: 'acknowledged' | 'refused' | 'late' | 'unreachable';
  /** Status of facteur's HTTP answer; 0 without one. */
  readonly status: number;
  /** The answer's JSON; empty without one. */
  readonly answer: JsonObject;
  /** Time from the request to the complete answer. */
  readonly milliseconds: number;
  /** The message that now answers the interaction, if any. */
  readonly messageId: string;
  /** The error in a sentence; empty without one. */
  readonly problem: string;
}

/** The differences from the default person and place. */
export type Who = Partial<Person & Place>;

interface PeopleOptions {
  readonly world: World;
  readonly signer: Signer;
  readonly person: Person;
  readonly place: Place;
  /** How long facteur has to answer, in milliseconds. */
  readonly answerMs: number;
  readonly timer: Timer;
}

type Delivery = Omit<Exchange, 'interactionId' | 'outcome' | 'messageId'> & {
  readonly outcome: 'answered' | Exchange['outcome'];
};

/** Discord's side of a conversation: people's input becomes signed requests to facteur's endpoint. */
export class People {
  readonly #options: PeopleOptions;
  readonly #agent = new Agent({ connections: 64 });
  readonly #sent = new Map<string, { readonly interaction: Interaction; readonly body: string }>();
  #endpoint: string | undefined;

  constructor(options: PeopleOptions) {
    this.#options = options;
  }

  /** Sets the interactions endpoint without a check. */
  pointAt(url: string): void {
    this.#endpoint = url;
  }

  /** Saves the endpoint like the developer portal: only if it answers a PING and refuses a wrong signature with 401. */
  async saveEndpoint(url: string): Promise<void> {
    this.pointAt(url);
    const pong = await this.ping();
    const forged = await this.#deliver(JSON.stringify({ type: INTERACTION.ping }), (signature) =>
      signature.replace(/^../, (start) => (start === '00' ? '11' : '00')),
    );
    if (pong.outcome !== 'acknowledged' || forged.status !== 401) {
      this.#endpoint = undefined;
      const why = pong.outcome === 'acknowledged' ? `a forged one got ${forged.status}` : pong.problem;
      throw new Error(`the interactions endpoint could not be verified: ${why}`);
    }
  }

  ping(): Promise<Exchange> {
    return this.#send(INTERACTION.ping, {});
  }

  /** A user runs a slash command. */
  command(name: string, options: readonly CommandOption[] = [], who: Who = {}): Promise<Exchange> {
    return this.#send(INTERACTION.command, { data: this.#commandData(name, options, who), who });
  }

  /** A user is typing; the option with `focused` requests suggestions. */
  type(name: string, options: readonly CommandOption[], who: Who = {}): Promise<Exchange> {
    return this.#send(INTERACTION.autocomplete, { data: this.#commandData(name, options, who), who });
  }

  /** A user sends a form, in either of Discord's formats. A list is what was selected in a menu. */
  submit(
    customId: string,
    fields: Readonly<Record<string, string | readonly string[]>>,
    { shape = 'labels', ...who }: Who & { readonly shape?: 'labels' | 'rows' } = {},
  ): Promise<Exchange> {
    return this.#send(INTERACTION.modal, { data: modalPayload(customId, fields, shape), who });
  }

  /** A user presses a button that the message has, or had a moment ago. */
  press(message: SimulatedMessage, customId: string, who: Who = {}): Promise<Exchange> {
    const known = message.versions.some((version) => customIds(version.components).includes(customId));
    if (!known || message.deleted) {
      throw new Error(`message ${message.id} has no button ${customId}`);
    }
    return this.#send(INTERACTION.component, {
      data: { custom_id: customId, component_type: 2 },
      who: { channelId: message.channelId, ...who },
      message,
    });
  }

  /** Sends exactly the same request again, like a retry by a proxy. */
  again({ interactionId }: Exchange): Promise<Exchange> {
    const sent = this.#sent.get(interactionId);
    if (sent === undefined) {
      throw new Error(`no interaction ${interactionId}`);
    }
    return this.#exchange(sent.interaction, sent.body);
  }

  async close(): Promise<void> {
    await this.#agent.destroy();
  }

  #commandData(name: string, options: readonly CommandOption[], who: Who): JsonObject {
    const { world, place } = this.#options;
    const guildId = who.guildId ?? place.guildId;
    const registered = world.commands.find(guildId, name.split(' ', 1)[0] ?? name);
    const id = registered?.id ?? world.snowflakes.next();
    return { id, name, type: 1, ...(options.length === 0 ? {} : { options: optionsPayload(options) }) };
  }

  #send(
    type: InteractionType,
    {
      data,
      who = {},
      message,
    }: { readonly data?: JsonObject; readonly who?: Who; readonly message?: SimulatedMessage },
  ): Promise<Exchange> {
    const { world, person, place } = this.#options;
    const where = { guildId: who.guildId ?? place.guildId, channelId: who.channelId ?? place.channelId };
    const interaction = world.interactions.create(type, where.channelId, message?.id);
    const body = JSON.stringify(
      interactionPayload(interaction, {
        applicationId: world.applicationId,
        person: { ...person, ...who },
        place: where,
        ...(data === undefined ? {} : { data }),
        ...(message === undefined ? {} : { message: world.messages.toJson(message) }),
      }),
    );
    this.#sent.set(interaction.id, { interaction, body });
    return this.#exchange(interaction, body);
  }

  async #exchange(interaction: Interaction, body: string): Promise<Exchange> {
    const { history } = this.#options.world;
    const facts = { interactionId: interaction.id, channelId: interaction.channelId, by: 'person' };
    history.record('interaction.sent', { ...facts, text: `type ${interaction.type}` });
    const delivery = await this.#deliver(body);
    const settled = this.#settle(interaction, delivery);
    if (settled.outcome !== 'acknowledged') {
      this.#options.world.interactions.fail(interaction);
      history.record('interaction.failed', { ...facts, status: settled.status, text: settled.problem });
    }
    return settled;
  }

  /** Applies the answer, unless the interaction was answered before. */
  #settle(interaction: Interaction, delivery: Delivery): Exchange {
    const { world } = this.#options;
    const { outcome, ...rest } = delivery;
    const current = world.interactions.current(interaction);
    const base = { ...rest, interactionId: interaction.id, messageId: current.originalId };
    if (outcome !== 'answered') {
      return { ...base, outcome };
    }
    if (current.acknowledged || (delivery.status === 202 && Object.keys(delivery.answer).length === 0)) {
      const problem = current.acknowledged ? '' : 'answered 202 without calling the callback route';
      return { ...base, outcome: current.acknowledged ? 'acknowledged' : 'refused', problem };
    }
    try {
      const answered = respond(world, current, delivery.answer);
      return { ...base, outcome: 'acknowledged', messageId: answered.originalId };
    } catch (error) {
      if (error instanceof DiscordFailure) {
        return { ...base, outcome: 'refused', problem: JSON.stringify(error.body) };
      }
      throw error;
    }
  }

  async #deliver(body: string, forge: (signature: string) => string = (signature) => signature): Promise<Delivery> {
    if (this.#endpoint === undefined) {
      throw new Error('no interactions endpoint is set');
    }
    const { world, signer, answerMs, timer } = this.#options;
    const timestamp = String(Math.floor(world.clock.now().getTime() / 1000));
    const started = timer.elapsedMs();
    const elapsed = (): number => timer.elapsedMs() - started;
    const failed = { status: 0, answer: {} };
    const headers = {
      'content-type': 'application/json',
      'user-agent': 'Discord-Interactions/1.0 (+https://discord.com)',
      'x-signature-timestamp': timestamp,
      'x-signature-ed25519': forge(signer.sign(timestamp, body)),
    };
    try {
      const url = this.#endpoint;
      const answered = await within(timer, answerMs, async (signal) => {
        const response = await request(url, { dispatcher: this.#agent, method: 'POST', body, headers, signal });
        return judge(response.statusCode, await response.body.text(), elapsed());
      });
      const problem = `no answer in ${answerMs} ms`;
      return answered.inTime ? answered.value : { ...failed, outcome: 'late', milliseconds: elapsed(), problem };
    } catch (error) {
      return { ...failed, outcome: 'unreachable', milliseconds: elapsed(), problem: errorMessage(error) };
    }
  }
}

function judge(status: number, text: string, milliseconds: number): Delivery {
  if (status !== 200 && status !== 202) {
    return { outcome: 'refused', status, answer: {}, milliseconds, problem: `HTTP ${status}` };
  }
  let answer: unknown;
  try {
    answer = text === '' ? {} : JSON.parse(text);
  } catch {
    answer = undefined;
  }
  return isRecord(answer)
    ? { outcome: 'answered', status, answer, milliseconds, problem: '' }
    : { outcome: 'refused', status, answer: {}, milliseconds, problem: 'the answer is not a JSON object' };
}

/** The ids of the buttons that can be pressed. */
function customIds(rows: readonly unknown[]): readonly unknown[] {
  return rows
    .flatMap((row) => (isRecord(row) && Array.isArray(row['components']) ? (row['components'] as unknown[]) : []))
    .filter((button) => isRecord(button) && button['disabled'] !== true)
    .map((button) => (button as JsonObject)['custom_id']);
}
