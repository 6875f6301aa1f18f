import { spawn, type ChildProcess } from 'node:child_process';
import { once } from 'node:events';
import { join } from 'node:path';
import { vi } from 'vitest';
import { QUICK_ENGINE } from './quick-engine.ts';

/** An embedded Postgres starts in its facteur, possibly on a busy machine. */
const PATIENCE_MS = 300_000;
const EXECUTABLE = join(import.meta.dirname, '..', '..', 'bin', 'facteur');

/** A real `facteur sandbox` with input. */
export class SandboxProcess {
  /** The output so far. */
  output = '';
  readonly exited: Promise<number | null>;
  readonly #child: ChildProcess;
  #read = 0;

  constructor(args: readonly string[]) {
    this.#child = spawn(process.execPath, [...QUICK_ENGINE, EXECUTABLE, 'sandbox', '--port', '0', ...args], {
      env: { PATH: process.env['PATH'] },
      stdio: ['pipe', 'pipe', 'pipe'],
      // Its own process group, with the facteur that it starts: neither is left behind.
      detached: true,
    });
    for (const stream of [this.#child.stdout, this.#child.stderr]) {
      stream?.setEncoding('utf8').on('data', (text: string) => {
        this.output += text;
      });
    }
    this.exited = once(this.#child, 'close').then(([code]) => code as number | null);
  }

  type(line: string): void {
    this.#child.stdin?.write(`${line}\n`);
  }

  /** Waits until this is printed, after the previous match. Rejects with the output if the process ends first. */
  async shows(wanted: RegExp): Promise<void> {
    const check = (): void => {
      if (!wanted.test(this.output.slice(this.#read))) {
        throw new Error(`the sandbox never printed ${String(wanted)}:\n${this.output}`);
      }
    };
    await Promise.race([vi.waitFor(check, { timeout: PATIENCE_MS }), this.exited.then(check)]);
    const news = this.output.slice(this.#read);
    const [found = ''] = wanted.exec(news) ?? [];
    this.#read += news.search(wanted) + found.length;
  }

  /** Kills all its remaining processes. */
  async kill(): Promise<void> {
    try {
      process.kill(-this.#child.pid!, 'SIGKILL');
    } catch (error) {
      // ESRCH: it has already ended.
      if (!(error instanceof Error && 'code' in error && error.code === 'ESRCH')) {
        throw error;
      }
    }
    await this.exited;
  }
}
