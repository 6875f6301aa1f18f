import { mkdirSync, readdirSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { isRunning } from './daemon.ts';
import type { StartedService } from './service.ts';

/** What one owner started, by the service's name. */
export type Started = Readonly<Record<string, StartedService>>;

/** Files `NAME.json`, one an owner: `up` for those that stay, `run-PID` for those of one `run`. */
export class StateDirectory {
  readonly #path: string;

  constructor(path: string) {
    mkdirSync(path, { recursive: true });
    this.#path = path;
  }

  /** Services of this owner that still run; those that died meanwhile are left out. */
  read(owner: string): Started {
    const file = this.#file(owner);
    if (!readdirSync(this.#path).includes(`${owner}.json`)) {
      return {};
    }
    const all = Object.entries(JSON.parse(readFileSync(file, 'utf8')) as Started);
    return Object.fromEntries(all.filter(([, service]) => isRunning(service.daemon)));
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

function exists(pid: number): boolean {
  try {
    process.kill(pid, 0);
    return true;
  } catch (error) {
    return error instanceof Error && 'code' in error && error.code === 'EPERM';
  }
}
