import { spawn, type ChildProcess } from 'node:child_process';
import { once } from 'node:events';
import { connect } from 'node:net';
import { setTimeout as wait } from 'node:timers/promises';

/** How long a service may take for a step on a busy machine, in milliseconds. */
const PATIENCE_MS = 120_000;
const POLL_MS = 50;

export interface ServiceOptions {
  readonly command: string;
  readonly args: readonly string[];
  /** All of its environment but PATH. */
  readonly env: Readonly<Record<string, string>>;
}

/** A process of the Go service or of facteur. */
export class ServiceProcess {
  readonly #child: ChildProcess;
  readonly #closed: Promise<unknown>;
  #printed = '';

  constructor({ command, args, env }: ServiceOptions) {
    this.#child = spawn(command, args, {
      env: { PATH: process.env['PATH'], ...env },
      stdio: ['ignore', 'pipe', 'pipe'],
    });
    for (const stream of [this.#child.stdout, this.#child.stderr]) {
      stream?.on('data', (chunk: Buffer) => {
        this.#printed += chunk.toString();
      });
    }
    this.#closed = once(this.#child, 'close');
  }

  /** The output so far. */
  get log(): string {
    return this.#printed;
  }

  /** Waits until `holds` is true. Throws with the log on a timeout, or if the process exits first. */
  async until(what: string, holds: () => Promise<boolean> | boolean): Promise<void> {
    const deadline = performance.now() + PATIENCE_MS;
    while (!(await holds())) {
      if (this.#child.exitCode !== null || performance.now() > deadline) {
        throw new Error(`${what}: it did not come to that. The log:\n${this.#printed}`);
      }
      await wait(POLL_MS);
    }
  }

  /** Waits for the exit and returns its code. */
  async ended(): Promise<number | null> {
    await this.#closed;
    return this.#child.exitCode;
  }

  /** Sends SIGTERM and waits for the exit. */
  async stop(): Promise<number | null> {
    this.#child.kill('SIGTERM');
    return this.ended();
  }
}

/** The status of a GET; 0 without an answer. */
export async function statusOf(url: string): Promise<number> {
  try {
    return (await fetch(url)).status;
  } catch {
    return 0;
  }
}

/** Whether the port accepts a connection, which is all that a tcpSocket probe asks. */
export async function accepts(port: number): Promise<boolean> {
  const socket = connect({ port, host: '127.0.0.1' });
  try {
    await once(socket, 'connect');
    return true;
  } catch {
    return false;
  } finally {
    socket.destroy();
  }
}
