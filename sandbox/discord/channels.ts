import { archivedThread, missingAccess, missingHistory, missingPermissions, unknown } from './discord-failure.ts';

/** What the bot may do in a channel. */
export interface ChannelRights {
  readonly view: boolean;
  readonly send: boolean;
  /** May read the message history, which a reply requires. */
  readonly history: boolean;
  /** An archived thread: nothing can be edited until somebody posts. */
  readonly archived: boolean;
  /** A locked archived thread: only moderators may post. */
  readonly locked: boolean;
}

const ALL_RIGHTS: ChannelRights = { view: true, send: true, history: true, archived: false, locked: false };

/** The channels of the simulation and what the bot may do in each. */
export class Channels {
  readonly #rights = new Map<string, ChannelRights>();

  constructor(ids: readonly string[]) {
    for (const id of ids) {
      this.#rights.set(id, ALL_RIGHTS);
    }
  }

  /** Creates a channel, or changes the bot's permissions; omitted ones are granted. */
  set(id: string, rights: Partial<ChannelRights> = {}): void {
    this.#rights.set(id, { ...ALL_RIGHTS, ...rights });
  }

  delete(id: string): void {
    this.#rights.delete(id);
  }

  /** Checks an edit with any token. @throws DiscordFailure 50083 */
  checkOpen(id: string): void {
    const rights = this.#rights.get(id);
    if (rights?.archived === true || rights?.locked === true) {
      throw archivedThread();
    }
  }

  /** Checks a reply by the bot. @throws DiscordFailure 160002 */
  checkReply(id: string): void {
    if (this.#rights.get(id)?.history === false) {
      throw missingHistory();
    }
  }

  /** Checks an action of the bot; posting reopens an archived thread. @throws DiscordFailure 10003, 50001, 50013 or 50083 */
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
    if (action === 'send' && rights.archived && !rights.locked) {
      this.set(id, { ...rights, archived: false });
    }
    this.checkOpen(id);
  }
}
