import { setTimeout } from 'node:timers/promises';
import { Client, type ClientConfig, escapeIdentifier } from 'pg';
import { backoffMs } from '../../base/backoff.ts';
import type { Subscription } from './database.ts';
import { connectionError } from './map-error.ts';

export type Handler = (payload: string) => void;

export interface ListenerOptions {
  /** Where to connect, found out anew at every try. */
  readonly settings: () => Promise<ClientConfig>;
  /** A number in [0, 1), to spread reconnections. */
  readonly random: () => number;
  /** Told of every lost connection, for the log. */
  readonly onLost: (error: Error) => void;
  /** How often a quiet connection is asked whether it is alive, in milliseconds. */
  readonly heartbeatMs: number;
}

/** How long the end of a connection is waited for, in milliseconds. */
const END_MS = 1_000;

const RECONNECT = { firstMs: 100, maxMs: 5_000 };

/**
 * All LISTENs of one database, on one connection outside of the pool. It is made with the first subscription, remade
 * whenever it is lost, for as long as there is a subscription, and asked now and then whether it still lives: a
 * connection that a firewall forgot looks just like one on which nothing is notified.
 */
export class Listener {
  readonly #options: ListenerOptions;
  readonly #handlers = new Map<string, Set<Handler>>();
  #client: Client | undefined;
  /** Connecting for the first time; later subscriptions wait for the same. */
  #opening: Promise<void> | undefined;
  #heartbeat: NodeJS.Timeout | undefined;
  #retry: NodeJS.Timeout | undefined;
  #attempt = 0;
  /** Statements go one after the other; `pg` is about to refuse them otherwise. */
  #last: Promise<unknown> = Promise.resolve();
  #closed = false;

  constructor(options: ListenerOptions) {
    this.#options = options;
  }

  /** Resolves when notifications of `channel` arrive; rejects when there is no connection to be had now. */
  async listen(channel: string, handler: Handler): Promise<Subscription> {
    const handlers = this.#handlers.get(channel) ?? new Set();
    this.#handlers.set(channel, handlers.add(handler));
    try {
      this.#opening ??= this.#open();
      await this.#opening;
      await this.#say(`LISTEN ${escapeIdentifier(channel)}`);
    } catch (error) {
      this.#forget(channel, handler);
      this.#opening = undefined;
      throw connectionError(error);
    }
    return { close: () => this.#unlisten(channel, handler) };
  }

  async close(): Promise<void> {
    this.#closed = true;
    this.#handlers.clear();
    clearTimeout(this.#retry);
    clearInterval(this.#heartbeat);
    const client = this.#client;
    this.#client = undefined;
    if (client !== undefined) {
      await end(client);
    }
  }

  /** On whatever connection there is when its turn has come; without one there is nothing to say. */
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
      // A connection that fails here is lost, and the next one will not listen to this channel.
      await this.#say(`UNLISTEN ${escapeIdentifier(channel)}`).catch(this.#options.onLost);
    }
  }

  async #open(): Promise<void> {
    const client = new Client(await this.#options.settings());
    client.on('error', (error) => this.#lost(client, error));
    client.on('end', () => this.#lost(client, new Error('the server ended the connection')));
    client.on('notification', ({ channel, payload = '' }) => this.#tell(channel, payload));
    try {
      await client.connect();
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

  /** The statement fails by `query_timeout` when nobody answers, and the connection with it. */
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
    this.#retry = globalThis.setTimeout(() => {
      this.#reopen().catch((error: Error) => {
        this.#options.onLost(error);
        this.#reconnectLater();
      });
    }, wait);
  }

  async #reopen(): Promise<void> {
    if (this.#closed || this.#handlers.size === 0) {
      this.#opening = undefined;
      return;
    }
    await this.#open();
    // Whatever was notified in between is lost: everybody looks again.
    for (const channel of this.#handlers.keys()) {
      this.#tell(channel, '');
    }
  }
}

/** Ends a connection that may be dead already: its socket can hang, and its failure says nothing new. */
async function end(client: Client): Promise<void> {
  await Promise.race([client.end().catch(() => undefined), setTimeout(END_MS, undefined, { ref: false })]);
}
