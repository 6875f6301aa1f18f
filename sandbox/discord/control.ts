import type { ChannelRights } from './channels.ts';
import type { FaultRule, RequestFaults } from './faults.ts';
import type { CommandOption } from './interaction-payload.ts';
import type { Exchange, People, Who } from './people.ts';
import type { World } from './world.ts';

/** Everything that can be changed or played while the simulation runs, both in process and with `POST /__sim/control`. */
export type Command =
  /** Answers `{id}`. */
  | { readonly op: 'add'; readonly rule: FaultRule }
  | { readonly op: 'remove'; readonly id: number }
  /** Removes all rules. */
  | { readonly op: 'clear' }
  /** Creates a channel, or changes the bot's permissions in it. */
  | { readonly op: 'channel'; readonly id: string; readonly rights?: Partial<ChannelRights> }
  | { readonly op: 'delete-channel'; readonly id: string }
  /** A person with permission deletes a message. */
  | { readonly op: 'delete-message'; readonly channelId: string; readonly id: string }
  /** All interaction tokens stop working. */
  | { readonly op: 'revoke-tokens' }
  | { readonly op: 'endpoint'; readonly url: string; readonly verify?: boolean }
  /** A person acts; answers the {@link Exchange}. */
  | { readonly op: 'command'; readonly name: string; readonly options?: readonly CommandOption[]; readonly who?: Who }
  | {
      readonly op: 'submit';
      readonly customId: string;
      readonly fields: Readonly<Record<string, string>>;
      readonly who?: Who;
    }
  | {
      readonly op: 'press';
      readonly channelId: string;
      readonly id: string;
      readonly customId: string;
      readonly who?: Who;
    };

/** Applies commands to the simulation. */
export class Control {
  readonly #world: World;
  readonly #requests: RequestFaults;
  readonly #people: People;

  constructor(world: World, requests: RequestFaults, people: People) {
    this.#world = world;
    this.#requests = requests;
    this.#people = people;
  }

  get requests(): RequestFaults {
    return this.#requests;
  }

  /** Applies the command; the result is the answer over HTTP. @throws DiscordFailure 10008 */
  async apply(command: Command): Promise<Exchange | Readonly<Record<string, unknown>>> {
    switch (command.op) {
      case 'command':
        return this.#people.command(command.name, command.options, command.who);
      case 'submit':
        return this.#people.submit(command.customId, command.fields, command.who);
      case 'press': {
        const message = this.#world.messages.get(command.channelId, command.id);
        return this.#people.press(message, command.customId, command.who);
      }
      case 'endpoint':
        await this.#pointAt(command.url, command.verify === true);
        return {};
      default:
        return this.#switch(command);
    }
  }

  async #pointAt(url: string, verify: boolean): Promise<void> {
    if (verify) {
      await this.#people.saveEndpoint(url);
    } else {
      this.#people.pointAt(url);
    }
  }

  #switch(
    command: Exclude<Command, { op: 'command' | 'submit' | 'press' | 'endpoint' }>,
  ): Readonly<Record<string, unknown>> {
    const { channels, messages, interactions } = this.#world;
    switch (command.op) {
      case 'add':
        return { id: this.#requests.add(command.rule) };
      case 'remove':
        this.#requests.remove(command.id);
        break;
      case 'clear':
        this.#requests.clear();
        break;
      case 'channel':
        channels.set(command.id, command.rights);
        break;
      case 'delete-channel':
        channels.delete(command.id);
        break;
      case 'delete-message':
        messages.delete(messages.get(command.channelId, command.id), 'person');
        break;
      case 'revoke-tokens':
        interactions.revokeAll();
        break;
    }
    return {};
  }
}
