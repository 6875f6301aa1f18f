import { archivedThread, missingAccess, missingPermissions, unknown } from './discord-failure.ts';

/** What the bot may do in a channel. */
export interface ChannelRights {
  readonly view: boolean;
  readonly send: boolean;
  /** A thread that nobody may write in any more. */
  readonly archived: boolean;
}

const ALL_RIGHTS: ChannelRights = { view: true, send: true, archived: false };

/** The channels of the simulation and what the bot may do in each. */
export class Channels {
  readonly #rights = new Map<string, ChannelRights>();

  constructor(ids: readonly string[]) {
    for (const id of ids) {
      this.#rights.set(id, ALL_RIGHTS);
    }
  }

  /** Makes a channel, or changes what the bot may do there; what is left out becomes allowed. */
  set(id: string, rights: Partial<ChannelRights> = {}): void {
    this.#rights.set(id, { ...ALL_RIGHTS, ...rights });
  }

  delete(id: string): void {
    this.#rights.delete(id);
  }

  /** @throws DiscordFailure 10003, 50001, 50013 or 50083 */
  check(id: string, action: 'send' | 'edit'): void {
    const rights = this.#rights.get(id);
    if (rights === undefined) {
      throw unknown('channel');
    }
    if (!rights.view) {
      throw missingAccess();
    }
    if (action === 'send' && !rights.send) {
      throw missingPermissions();
    }
    if (rights.archived) {
      throw archivedThread();
    }
  }
}
