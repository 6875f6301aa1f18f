import type { Clock } from '../../src/base/clock.ts';
import type { JsonObject } from '../cluster/objects.ts';
import { tooManyOldEdits, unknown } from './discord-failure.ts';
import type { History } from './history.ts';
import { messageJson } from './message-json.ts';
import { applyMessage, NOTHING, pingsOf, type MessageContent } from './message-rules.ts';
import type { MessageVersion, SimulatedMessage } from './message.ts';
import type { Snowflakes } from './snowflake.ts';

interface NewMessage {
  readonly channelId: string;
  readonly interactionId: string;
  readonly ephemeral: boolean;
  readonly by: string;
  /** Absent for a deferred answer. */
  readonly body?: JsonObject;
}

interface MessagesDeps {
  readonly clock: Clock;
  readonly snowflakes: Snowflakes;
  readonly history: History;
  readonly applicationId: string;
}

const HOUR_MS = 60 * 60 * 1000;
/** Discord does not publish its limit for old messages; three edits per 20 seconds and channel were observed. */
const OLD_EDITS = { count: 3, windowMs: 20_000 };
/** How long a nonce is remembered: «the past few minutes». */
const NONCE_MS = 5 * 60 * 1000;

/** All messages of all channels, with every version that was ever visible. */
export class Messages {
  readonly #deps: MessagesDeps;
  readonly #messages = new Map<string, SimulatedMessage>();
  readonly #oldEdits = new Map<string, number[]>();

  constructor(deps: MessagesDeps) {
    this.#deps = deps;
  }

  /** Including deleted ones, oldest first. */
  list(channelId?: string): readonly SimulatedMessage[] {
    return [...this.#messages.values()].filter((message) => channelId === undefined || message.channelId === channelId);
  }

  /** @throws DiscordFailure 10008 */
  get(channelId: string, id: string): SimulatedMessage {
    const message = this.#messages.get(id);
    if (message === undefined || message.deleted || message.channelId !== channelId) {
      throw unknown('message');
    }
    return message;
  }

  create(wanted: NewMessage): SimulatedMessage {
    const { clock, snowflakes, history } = this.#deps;
    const nonce = typeof wanted.body?.['nonce'] === 'string' ? wanted.body['nonce'] : '';
    const content = wanted.body === undefined ? NOTHING : applyMessage(NOTHING, wanted.body);
    const again = wanted.body?.['enforce_nonce'] === true ? this.#findNonce(wanted.channelId, nonce) : undefined;
    if (again !== undefined) {
      return again;
    }
    const message: SimulatedMessage = {
      id: snowflakes.next(),
      channelId: wanted.channelId,
      interactionId: wanted.interactionId,
      ephemeral: wanted.ephemeral,
      nonce,
      createdAtMs: clock.now().getTime(),
      versions: [this.#version(content, wanted.by, wanted.body)],
      deleted: false,
    };
    this.#messages.set(message.id, message);
    history.record('message.created', { ...ids(message), by: wanted.by, text: content.content });
    return message;
  }

  /** @throws DiscordFailure 30046 for too many edits of old messages, and what {@link applyMessage} throws */
  edit(message: SimulatedMessage, body: JsonObject, by: string): SimulatedMessage {
    this.#countOldEdit(message);
    const content = applyMessage(message.versions.at(-1) ?? NOTHING, body);
    const edited = { ...message, versions: [...message.versions, this.#version(content, by, body)] };
    this.#messages.set(edited.id, edited);
    this.#deps.history.record('message.edited', { ...ids(edited), by, text: content.content });
    return edited;
  }

  delete(message: SimulatedMessage, by: string): void {
    this.#messages.set(message.id, { ...message, deleted: true });
    this.#deps.history.record('message.deleted', { ...ids(message), by });
  }

  /** The message in the API's format. */
  toJson(message: SimulatedMessage): JsonObject {
    return messageJson(message, this.#deps.applicationId);
  }

  #version(content: MessageContent, by: string, body: JsonObject | undefined): MessageVersion {
    const at = this.#deps.clock.now().toISOString();
    return { ...content, at, by, loading: body === undefined, pings: body === undefined ? [] : pingsOf(body) };
  }

  #findNonce(channelId: string, nonce: string): SimulatedMessage | undefined {
    const since = this.#deps.clock.now().getTime() - NONCE_MS;
    return this.list(channelId).find((known) => nonce !== '' && known.nonce === nonce && known.createdAtMs >= since);
  }

  #countOldEdit({ channelId, createdAtMs }: SimulatedMessage): void {
    const now = this.#deps.clock.now().getTime();
    if (now - createdAtMs <= HOUR_MS) {
      return;
    }
    const recent = (this.#oldEdits.get(channelId) ?? []).filter((at) => now - at < OLD_EDITS.windowMs);
    const [oldest] = recent;
    if (oldest !== undefined && recent.length >= OLD_EDITS.count) {
      throw tooManyOldEdits(oldest + OLD_EDITS.windowMs - now);
    }
    this.#oldEdits.set(channelId, [...recent, now]);
  }
}

function ids(message: SimulatedMessage): { interactionId: string; channelId: string; messageId: string } {
  return { interactionId: message.interactionId, channelId: message.channelId, messageId: message.id };
}
