import { spawn, type ChildProcess } from 'node:child_process';
import { once } from 'node:events';
import { mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { createInterface } from 'node:readline';
import type { Environment } from '../../src/config/environment.ts';
import type { Json } from './cluster.ts';
import { TEST_ENV } from './facteur.ts';
import { send, type Answer, type Message } from './messages.ts';
import { QUICK_ENGINE } from './quick-engine.ts';

const EXECUTABLE = join(import.meta.dirname, '..', '..', 'bin', 'facteur');
/** An embedded Postgres starts in the child, possibly on a busy machine. */
const READY_MS = 120_000;

export interface ProcessOptions {
  /** Overrides the test's configuration. Set FACTEUR_POSTGRES_DSN and FACTEUR_KUBECONFIG here. */
  readonly env: Environment;
  readonly args?: readonly string[];
  /** Another executable than that of this checkout. */
  readonly executable?: string;
  /** A file that the process writes its id into before it starts, to enter a cgroup. */
  readonly enter?: string;
}

/** How a process ended. */
export interface Exit {
  readonly code: number | null;
  readonly signal: NodeJS.Signals | null;
}

/** A real facteur process: by default `bin/facteur serve`. */
export class FacteurProcess {
  /** The lines printed so far, on stdout and stderr. */
  readonly log: string[] = [];
  readonly exited: Promise<Exit>;
  readonly #child: ChildProcess;
  readonly #watchers = new Set<() => void>();
  #exit: Exit | undefined;

  constructor({ env, args = ['serve'], executable = EXECUTABLE, enter = '/dev/null' }: ProcessOptions) {
    const command = 'echo $$ > "$0" && exec "$@"';
    this.#child = spawn('/bin/sh', ['-c', command, enter, process.execPath, ...QUICK_ENGINE, executable, ...args], {
      // Only PATH: any other variable of the developer could configure it.
      env: { PATH: process.env['PATH'], ...TEST_ENV, ...env },
      stdio: ['ignore', 'pipe', 'pipe'],
    });
    const ended = [this.#child.stdout, this.#child.stderr].map(async (stream) => {
      for await (const line of createInterface({ input: stream! })) {
        this.log.push(line);
        this.#tell();
      }
    });
    this.exited = once(this.#child, 'exit').then(async ([code, signal]) => {
      await Promise.all(ended);
      this.#exit = { code: code as number | null, signal: signal as NodeJS.Signals | null };
      this.#tell();
      return this.#exit;
    });
  }

  get pid(): number {
    return this.#child.pid!;
  }

  get isRunning(): boolean {
    return this.#exit === undefined;
  }

  /** The URL where it listens; throws before it does. */
  get url(): string {
    const listening = this.#logged('listening');
    if (listening === undefined) {
      throw new Error(`facteur does not listen:\n${this.log.join('\n')}`);
    }
    return `http://127.0.0.1:${listening.port}`;
  }

  /** Waits for a log line with this message. Rejects with the whole output if the process ends first. */
  async logs(message: string): Promise<Json> {
    const deadline = performance.now() + READY_MS;
    for (;;) {
      const found = this.#logged(message);
      if (found !== undefined) {
        return found;
      }
      if (!this.isRunning || performance.now() > deadline) {
        const ended = this.isRunning ? `in ${READY_MS} ms` : `before it ended (${JSON.stringify(this.#exit)})`;
        throw new Error(`facteur never said "${message}" ${ended}:\n${this.log.join('\n')}`);
      }
      await this.#nextNews(1000);
    }
  }

  /** Waits until it accepts work. */
  async ready(): Promise<this> {
    await this.logs('ready');
    return this;
  }

  send(message: Message, headers?: Record<string, string>): Promise<Answer> {
    return send(this.url, message, headers);
  }

  /** Sends SIGKILL: it ends at once. */
  async kill(): Promise<void> {
    this.#child.kill('SIGKILL');
    await this.exited;
  }

  /** Sends SIGTERM, and waits for the graceful exit. */
  async stop(): Promise<Exit> {
    this.#child.kill('SIGTERM');
    return this.exited;
  }

  signal(signal: NodeJS.Signals): void {
    this.#child.kill(signal);
  }

  #logged(message: string): Json {
    for (const line of this.log) {
      if (line.includes(`"message":"${message}"`)) {
        return JSON.parse(line);
      }
    }
    return undefined;
  }

  #nextNews(ms: number): Promise<void> {
    const { promise, resolve } = Promise.withResolvers<void>();
    const timer = setTimeout(resolve, ms);
    this.#watchers.add(resolve);
    return promise.finally(() => {
      clearTimeout(timer);
      this.#watchers.delete(resolve);
    });
  }

  #tell(): void {
    for (const watcher of this.#watchers) {
      watcher();
    }
  }
}

/** A new directory for a test's files. */
export function temporaryFolder(): { readonly path: string; remove(): void } {
  const path = mkdtempSync(join(tmpdir(), 'facteur-test-'));
  return { path, remove: () => rmSync(path, { recursive: true, force: true }) };
}

/** Writes a kubeconfig into the folder and returns its path. */
export function writeKubeconfig(folder: string, text: string): string {
  const path = join(folder, 'kubeconfig.yaml');
  writeFileSync(path, text);
  return path;
}
