import { setTimeout } from 'node:timers/promises';
import { type Client, escapeIdentifier } from 'pg';
import { backoffMs } from '../../base/backoff.ts';
import type { Subscription } from './database.ts';
import { connectionError } from './map-error.ts';

type Handler = (payload: string) => void;

interface ListenerOptions {
  /** Opens a separate connection, to a server that is acceptable now. */
  readonly connect: () => Promise<Client>;
  /** A number in [0, 1), to spread reconnections. */
  readonly random: () => number;
  /** Called on every lost connection, for the log. */
  readonly onLost: (error: Error) => void;
  /** How often an idle connection is checked, in milliseconds. */
  readonly heartbeatMs: number;
}

/** How long closing waits for the server, in milliseconds: it may have gone silent. */
const END_MS = 1_000;

const RECONNECT = { firstMs: 100, maxMs: 5_000 };

/**
 * All LISTENs of one database, on one connection outside the pool. It is opened with the first subscription, reopened
 * whenever it is lost while there are subscriptions, and checked periodically: a connection that a firewall dropped
 * looks just like one without notifications.
 */
export class ChannelListener {
  readonly #options: ListenerOptions;
  readonly #handlers = new Map<string, Set<Handler>>();
  #client: Client | undefined;
  /** While connecting, all callers wait for the same connection. */
  #opening: Promise<void> | undefined;
  #heartbeat: NodeJS.Timeout | undefined;
  #retry: NodeJS.Timeout | undefined;
  #attempt = 0;
  /** Statements run in turn; `pg` is about to refuse concurrent ones. */
  #last: Promise<unknown> = Promise.resolve();
  #closed = false;

  constructor(options: ListenerOptions) {
    this.#options = options;
  }

  /** Resolves when notifications of `channel` arrive; rejects if no connection can be opened now. */
  async listen(channel: string, handler: Handler): Promise<Subscription> {
    const handlers = this.#handlers.get(channel) ?? new Set();
    this.#handlers.set(channel, handlers.add(handler));
    try {
      await this.#connect();
      await this.#say(`LISTEN ${escapeIdentifier(channel)}`);
    } catch (error) {
      this.#forget(channel, handler);
      throw connectionError(error);
    }
    return { close: () => this.#unlisten(channel, handler) };
  }

  async close(): Promise<void> {
    this.#closed = true;
    this.#handlers.clear();
    clearTimeout(this.#retry);
    clearInterval(this.#heartbeat);
    // A slower opening ends its connection itself.
    await briefly(this.#opening?.catch(() => undefined));
    const client = this.#client;
    this.#client = undefined;
    if (client !== undefined) {
      await end(client);
    }
  }

  /** Sends on the current connection; without one there is nothing to do. */
  async #say(text: string): Promise<void> {
    const turn = this.#last.then(() => this.#client?.query(text));
    this.#last = turn.catch(() => undefined);
    await turn;
  }

  #forget(channel: string, handler: Handler): void {
    const handlers = this.#handlers.get(channel);
    handlers?.delete(handler);
    if (handlers?.size === 0) {
      this.#handlers.delete(channel);
    }
  }

  async #unlisten(channel: string, handler: Handler): Promise<void> {
    this.#forget(channel, handler);
    if (!this.#handlers.has(channel)) {
      // The channel has no handler any more. A connection that fails here is lost, and the next one will not listen to the
      // channel.
      await briefly(this.#say(`UNLISTEN ${escapeIdentifier(channel)}`).catch((error: Error) => this.#report(error)));
    }
  }

  /** Errors of a connection that we ended are not reported. */
  #report(error: Error): void {
    if (!this.#closed) {
      this.#options.onLost(error);
    }
  }

  /** Opens one connection for all callers: the first subscription, a later one, or a reconnection. */
  async #connect(): Promise<void> {
    if (this.#client === undefined) {
      this.#opening ??= this.#open().finally(() => {
        this.#opening = undefined;
      });
      await this.#opening;
    }
  }

  async #open(): Promise<void> {
    const client = await this.#options.connect();
    client.on('error', (error) => this.#lost(client, error));
    client.on('end', () => this.#lost(client, new Error('the server ended the connection')));
    client.on('notification', ({ channel, payload = '' }) => this.#tell(channel, payload));
    try {
      for (const channel of this.#handlers.keys()) {
        await client.query(`LISTEN ${escapeIdentifier(channel)}`);
      }
    } catch (error) {
      await end(client);
      throw error;
    }
    if (this.#closed) {
      await end(client);
      return;
    }
    this.#client = client;
    this.#attempt = 0;
    clearInterval(this.#heartbeat);
    this.#heartbeat = setInterval(() => this.#beat(client), this.#options.heartbeatMs).unref();
  }

  /** Without an answer, `query_timeout` ends the statement and with it the connection. */
  #beat(client: Client): void {
    this.#say('SELECT 1').catch((error: Error) => this.#lost(client, error));
  }

  #tell(channel: string, payload: string): void {
    for (const handler of this.#handlers.get(channel) ?? []) {
      handler(payload);
    }
  }

  #lost(client: Client, error: Error): void {
    if (client !== this.#client) {
      return;
    }
    this.#client = undefined;
    clearInterval(this.#heartbeat);
    this.#options.onLost(error);
    void end(client);
    this.#reconnectLater();
  }

  #reconnectLater(): void {
    this.#attempt += 1;
    const wait = backoffMs(this.#attempt, RECONNECT, this.#options.random());
    clearTimeout(this.#retry);
    this.#retry = globalThis.setTimeout(() => {
      this.#reopen().catch((error: Error) => {
        this.#options.onLost(error);
        this.#reconnectLater();
      });
    }, wait);
  }

  async #reopen(): Promise<void> {
    if (this.#closed || this.#handlers.size === 0) {
      return;
    }
    await this.#connect();
    // Notifications in between were lost, so all handlers look again.
    for (const channel of this.#handlers.keys()) {
      this.#tell(channel, '');
    }
  }
}

/** Closes a connection that may already be dead: its socket can hang, and its failure does not matter. */
async function end(client: Client): Promise<void> {
  await briefly(client.end().catch(() => undefined));
}

async function briefly(work: Promise<void> | undefined): Promise<void> {
  await Promise.race([work, setTimeout(END_MS, undefined, { ref: false })]);
}
