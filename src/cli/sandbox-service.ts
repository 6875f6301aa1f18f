import type { ChildProcess } from 'node:child_process';
import { once } from 'node:events';
import { createInterface } from 'node:readline';
import { FacteurError } from '../base/errors.ts';
import { isRecord } from '../base/json.ts';
import type { App } from '../service/app.ts';

/** The sandbox's facteur, in this process or in a separate one. */
export interface SandboxService {
  readonly url: string;
  /** Rejects on a permanent failure. */
  readonly ready: Promise<void>;
  /** Rejects when it ends unexpectedly. */
  readonly failed: Promise<void>;
  close(): Promise<void>;
}

/** A facteur in this process. */
export function ownService(app: App): SandboxService {
  const { ready, consumed, address } = app;
  return { url: `http://127.0.0.1:${address.port}`, ready, failed: consumed, close: () => app.close() };
}

/** Starts a facteur that listens on this port. */
type Spawn = (port: string) => Promise<ChildProcess>;

/** How many log lines are kept, to report if it ends. */
const KEPT_LINES = 20;
const STOP_MS = 30_000;

interface Launched {
  readonly child: ChildProcess;
  readonly listening: Promise<number>;
  readonly ready: Promise<void>;
  readonly exited: Promise<unknown>;
}

/** A facteur in a separate process, which can be killed and restarted. */
export class ServiceProcess implements SandboxService {
  readonly #spawn: Spawn;
  readonly #signal: AbortSignal;
  readonly #failed = Promise.withResolvers<void>();
  readonly #log: string[] = [];
  #port: string;
  #current: Launched | undefined;

  /** @param signal aborted when the whole sandbox ends: then an exit of the process is expected */
  constructor(spawn: Spawn, port: string, signal: AbortSignal) {
    this.#spawn = spawn;
    this.#port = port;
    this.#signal = signal;
    this.#failed.promise.catch(() => undefined);
  }

  get url(): string {
    return `http://127.0.0.1:${this.#port}`;
  }

  get failed(): Promise<void> {
    return this.#failed.promise;
  }

  get ready(): Promise<void> {
    return this.#current?.ready ?? this.#failed.promise;
  }

  /** Resolves when it listens. */
  async start(): Promise<void> {
    const launched = this.#launch(await this.#spawn(this.#port));
    this.#current = launched;
    void launched.exited.then(() => {
      if (this.#current === launched && !this.#signal.aborted) {
        this.#failed.reject(this.#ended());
      }
    });
    this.#port = String(await launched.listening);
  }

  /** Sends SIGKILL, so that it cannot clean up. */
  async kill(): Promise<void> {
    await this.#end('SIGKILL');
  }

  /** Restarts it on the same port, and resolves when it is ready. */
  async revive(): Promise<void> {
    await this.start();
    await this.ready;
  }

  async close(): Promise<void> {
    const timer = setTimeout(() => this.#current?.child.kill('SIGKILL'), STOP_MS).unref();
    await this.#end('SIGTERM');
    clearTimeout(timer);
  }

  async #end(signal: NodeJS.Signals): Promise<void> {
    const launched = this.#current;
    this.#current = undefined;
    launched?.child.kill(signal);
    await launched?.exited;
  }

  #launch(child: ChildProcess): Launched {
    const listening = Promise.withResolvers<number>();
    const ready = Promise.withResolvers<void>();
    const read = (line: string): void => {
      this.#keep(line);
      const { message, port } = entryOf(line);
      if (message === 'listening' && typeof port === 'number') {
        listening.resolve(port);
      } else if (message === 'ready') {
        ready.resolve();
      }
    };
    for (const stream of [child.stdout, child.stderr]) {
      if (stream !== null) {
        createInterface({ input: stream }).on('line', read);
      }
    }
    const exited = once(child, 'close').catch((error: unknown) => error);
    void exited.then(() => {
      listening.reject(this.#ended());
      ready.reject(this.#ended());
    });
    // A rejection that nobody waits for must not end the process.
    ready.promise.catch(() => undefined);
    listening.promise.catch(() => undefined);
    return { child, listening: listening.promise, ready: ready.promise, exited };
  }

  #keep(line: string): void {
    this.#log.push(line);
    this.#log.splice(0, this.#log.length - KEPT_LINES);
  }

  #ended(): FacteurError {
    const said = this.#log.join('\n');
    return new FacteurError('sandbox.failed', `facteur ended:\n${said}`, { retryable: false });
  }
}

function entryOf(line: string): Readonly<Record<string, unknown>> {
  try {
    const entry: unknown = JSON.parse(line);
    return isRecord(entry) ? entry : {};
  } catch {
    return {};
  }
}
