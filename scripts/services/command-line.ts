/** `up`, `status`, `down` and `run -- COMMAND…` for a set of servers. */
import { spawn } from 'node:child_process';
import { mkdirSync } from 'node:fs';
import { constants } from 'node:os';
import { join } from 'node:path';
import { Starter, stopService } from './lifecycle.ts';
import type { Location, Service } from './service.ts';
import { type RememberedService, StateDirectory } from './state.ts';

/** The folder for downloads and builds between runs, and for the records of running services. */
export const ROOT = join(import.meta.dirname, '..', '..', '.services');
export const CACHE = join(ROOT, 'cache');

export interface CommandLineOptions {
  /** The script's name, without `.ts`: the prefix of every printed line. */
  readonly name: string;
  /** The folder for the records of running services. */
  readonly state: string;
  readonly services: readonly Service[];
  /** Whether containers may be used. */
  readonly containers: boolean;
}

/** Runs the command line, and sets the exit code of this process. */
export async function runCommandLine(options: CommandLineOptions, args: readonly string[]): Promise<void> {
  const commandLine = new CommandLine(options);
  try {
    await commandLine.sweep();
    process.exitCode = await commandLine.main(args);
  } catch (error) {
    commandLine.complain(error);
    process.exitCode = 1;
  }
}

class CommandLine {
  readonly #options: CommandLineOptions;
  readonly #state: StateDirectory;

  constructor(options: CommandLineOptions) {
    this.#options = options;
    this.#state = new StateDirectory(options.state);
  }

  async main([verb, separator, command, ...args]: readonly string[]): Promise<number> {
    if (verb === 'run' && separator === '--' && command !== undefined) {
      return this.#run(command, args);
    }
    const plain = new Map<string, () => Promise<void> | void>([
      ['up', () => this.#printVariables()],
      ['down', () => this.#down('up')],
      ['status', () => this.#printStatus()],
    ]).get(verb ?? '');
    if (plain === undefined || separator !== undefined) {
      this.#say(`usage: node scripts/${this.#options.name}.ts up | down | status | run -- COMMAND…`);
      return 2;
    }
    await plain();
    return 0;
  }

  /** Stops what a killed `run` left behind; failures do not prevent continuing. */
  async sweep(): Promise<void> {
    for (const owner of this.#state.orphans()) {
      await this.#down(owner).catch((error: unknown) => this.complain(error));
    }
  }

  complain(error: unknown): void {
    this.#say(error instanceof Error ? error.message : String(error));
  }

  #say(line: string): void {
    console.error(`${this.#options.name}: ${line}`);
  }

  /** The location of a service that is already available: from the environment, or still running from before. */
  #present(service: Service): Location | undefined {
    const named = process.env[service.variable];
    return named === undefined || named === '' ? this.#state.find('up', service.name) : { value: named };
  }

  /** Starts missing servers, and returns all variables. Started servers are recorded immediately. */
  async #up(owner: string): Promise<Record<string, string>> {
    mkdirSync(CACHE, { recursive: true });
    const variables: Record<string, string> = {};
    const starter = new Starter({ root: ROOT, say: (line) => this.#say(line), containers: this.#options.containers });
    const started = new Map(Object.entries(this.#state.read(owner)));
    const replace = async (service: Service): Promise<Location> => {
      const dead = started.get(service.name);
      if (dead !== undefined && !(await this.#stops(service.name, dead))) {
        // The old record stays for `down`, under an unused name.
        started.set(`${service.name} of before ${new Date().toISOString()}`, dead);
      }
      return starter.start(service, variables, (fresh) => {
        started.set(service.name, fresh);
        this.#state.write(owner, Object.fromEntries(started));
      });
    };
    for (const service of this.#options.services) {
      const present = this.#present(service);
      if (present !== undefined) {
        await service.check?.(present);
      }
      const found = present ?? (await replace(service));
      Object.assign(variables, { [service.variable]: found.value }, found.also);
    }
    return variables;
  }

  async #down(owner: string): Promise<void> {
    const left: Record<string, RememberedService> = {};
    for (const [name, service] of Object.entries(this.#state.read(owner))) {
      if (!(await this.#stops(name, service))) {
        left[name] = service;
      }
    }
    if (Object.keys(left).length > 0) {
      this.#state.write(owner, left);
      throw new Error(`not stopped: ${Object.keys(left).join(', ')}; the next run retries, as recorded in ${ROOT}`);
    }
    this.#state.forget(owner);
  }

  /** Stops a service, and returns whether it could: a container cannot be stopped if its engine is gone. */
  async #stops(name: string, service: RememberedService): Promise<boolean> {
    this.#say(`stopping ${name}`);
    try {
      await stopService(service);
      return true;
    } catch (error) {
      this.complain(error);
      return false;
    }
  }

  async #run(command: string, args: readonly string[]): Promise<number> {
    const owner = `run-${process.pid}`;
    try {
      const variables = await this.#up(owner);
      return await execute(command, args, variables);
    } finally {
      await this.#down(owner);
    }
  }

  async #printVariables(): Promise<void> {
    for (const [variable, value] of Object.entries(await this.#up('up'))) {
      console.log(`export ${variable}='${value}'`);
    }
  }

  #printStatus(): void {
    for (const service of this.#options.services) {
      console.log(`${service.name}: ${this.#present(service)?.value ?? 'not running'}`);
    }
  }
}

/** Runs a command on our terminal and forwards signals to it, so that we can clean up afterward. */
async function execute(command: string, args: readonly string[], variables: Record<string, string>): Promise<number> {
  const { promise, resolve, reject } = Promise.withResolvers<number>();
  // Installed before the command can cause anyone to send a signal.
  for (const signal of ['SIGINT', 'SIGTERM', 'SIGHUP'] as const) {
    process.on(signal, () => child.kill(signal));
  }
  const child = spawn(command, args, { stdio: 'inherit', env: { ...process.env, ...variables } });
  child.once('error', reject);
  child.once('exit', (code, signal) => resolve(code ?? 128 + constants.signals[signal ?? 'SIGTERM']));
  return promise;
}
