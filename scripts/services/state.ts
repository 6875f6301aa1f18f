import { mkdirSync, readdirSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { type ContainedService, containerRuns } from './compose.ts';
import { isRunning } from './daemon.ts';
import type { StartedService } from './service.ts';

/** A service that we started, as a process or a container. */
export type RememberedService = StartedService | ContainedService;

/** The services that one owner started, by name. */
export type Started = Readonly<Record<string, RememberedService>>;

/** Files `NAME.json`, one per owner: `up` for services that stay, `run-PID` for those of one `run`. */
export class StateDirectory {
  readonly #path: string;

  constructor(path: string) {
    mkdirSync(path, { recursive: true });
    this.#path = path;
  }

  /** All services of this owner, including dead ones, whose files and containers may still exist. */
  read(owner: string): Started {
    const known = readdirSync(this.#path).includes(`${owner}.json`);
    return known ? (JSON.parse(readFileSync(this.#file(owner), 'utf8')) as Started) : {};
  }

  /** A service of this owner, if it still runs. */
  find(owner: string, name: string): RememberedService | undefined {
    const service = this.read(owner)[name];
    // A service without a value never finished starting.
    return service !== undefined && service.value !== '' && runs(service) ? service : undefined;
  }

  write(owner: string, started: Started): void {
    writeFileSync(this.#file(owner), JSON.stringify(started, undefined, 2), { mode: 0o600 });
  }

  forget(owner: string): void {
    rmSync(this.#file(owner), { force: true });
  }

  /** Owners `run-PID` whose process is gone, killed before it could clean up. */
  orphans(): string[] {
    const owners = readdirSync(this.#path).map((name) => /^(run-(\d+))\.json$/.exec(name));
    return owners.flatMap((match) => (match !== null && !exists(Number(match[2])) ? [match[1] ?? ''] : []));
  }

  #file(owner: string): string {
    return join(this.#path, `${owner}.json`);
  }
}

function runs(service: RememberedService): boolean {
  return 'container' in service
    ? containerRuns(service.container)
    : service.daemons.every((daemon) => isRunning(daemon));
}

function exists(pid: number): boolean {
  try {
    process.kill(pid, 0);
    return true;
  } catch (error) {
    return error instanceof Error && 'code' in error && error.code === 'EPERM';
  }
}
