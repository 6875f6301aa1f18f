import { spawn, type ChildProcess } from 'node:child_process';
import { once } from 'node:events';
import { readFileSync } from 'node:fs';
import { readFile } from 'node:fs/promises';
import { join, resolve } from 'node:path';
import { setTimeout as wait } from 'node:timers/promises';
import { accepts } from '../scripts/rehearsal/service-process.ts';
import { freePort } from '../scripts/services/daemon.ts';

const ROOT = join(import.meta.dirname, '..');

/** A child process of the bench. */
export interface BenchProcess {
  readonly child: ChildProcess;
  stop(): Promise<void>;
}

/** Starts a script of this folder and waits for the first line that it prints. */
export async function startScript(
  script: string,
  args: readonly string[] = [],
): Promise<BenchProcess & { line: string }> {
  const child = spawn(process.execPath, [join(import.meta.dirname, script), ...args], {
    stdio: ['ignore', 'pipe', 'inherit'],
  });
  const [chunk] = (await once(child.stdout, 'data')) as [Buffer];
  return { ...owned(child), line: chunk.toString().trim() };
}

export interface FacteurProcess extends BenchProcess {
  readonly url: string;
  /** From the start of the process to the first connection that it accepted, in milliseconds. */
  readonly listeningMs: number;
  /** From the start of the process until `isUp` was satisfied, in milliseconds. */
  readonly readyMs: number;
}

export interface StartOptions {
  /** Whether the start that is measured is complete. */
  readonly isUp?: ((url: string) => Promise<boolean>) | undefined;
  /** A command that executes its last arguments with `exec`, to become the process. */
  readonly launcher?: readonly string[] | undefined;
}

/** Starts `bin/facteur serve` from a folder: this checkout, or a production build. */
export async function startFacteur(
  env: Record<string, string>,
  folder = ROOT,
  args: readonly string[] = [],
  { isUp = isReady, launcher = [] }: StartOptions = {},
): Promise<FacteurProcess> {
  const port = await freePort();
  const startedAt = performance.now();
  const command = [...launcher, process.execPath, resolve(folder, 'bin/facteur'), 'serve', ...args];
  const child = spawn(command[0] ?? '', command.slice(1), {
    cwd: folder,
    stdio: ['ignore', 'ignore', 'inherit'],
    env: {
      PATH: process.env['PATH'],
      // As in the image, except for the heap's share of memory, which means nothing without a memory limit.
      NODE_OPTIONS: process.env['BENCH_NODE_OPTIONS'] ?? '--max-semi-space-size=8',
      MALLOC_ARENA_MAX: '1',
      FACTEUR_SERVER_LISTEN_ADDRESS: `127.0.0.1:${port}`,
      FACTEUR_REDIS_URL: 'memory://',
      FACTEUR_DISCORD_BOT_TOKEN: 'not-a-token',
      FACTEUR_DISCORD_APPLICATION_ID: '100000000000000001',
      FACTEUR_ARGO_NAMESPACE: 'argo',
      FACTEUR_ARGO_WORKFLOW_TEMPLATE: 'facteur-dispatch',
      FACTEUR_CODEX_IMPLEMENTATION_ORCHESTRATOR_ENABLED: 'true',
      FACTEUR_LOG_LEVEL: 'warn',
      ...env,
    },
  });
  const owner = owned(child);
  const url = `http://127.0.0.1:${port}`;
  await untilSo(child, () => accepts(port));
  const listeningMs = performance.now() - startedAt;
  await untilSo(child, () => isUp(url));
  return { ...owner, url, listeningMs, readyMs: performance.now() - startedAt };
}

async function untilSo(child: ChildProcess, isSo: () => Promise<boolean>): Promise<void> {
  while (!(await isSo())) {
    if (child.exitCode !== null) {
      throw new Error(`facteur ended with ${child.exitCode}`);
    }
    // Polling without a pause would take a core from the starting process.
    await wait(2);
  }
}

/** Current and peak resident memory of a process, in MiB. */
export async function memoryOf(child: ChildProcess): Promise<{ readonly nowMiB: number; readonly peakMiB: number }> {
  const status = await readFile(`/proc/${child.pid}/status`, 'utf8');
  const field = (name: string): number => Number(new RegExp(`${name}:\\s+(\\d+) kB`).exec(status)?.[1] ?? 0) / 1024;
  return { nowMiB: Math.round(field('VmRSS')), peakMiB: Math.round(field('VmHWM')) };
}

/** CPU time that a process has used so far, in milliseconds. */
export function cpuMsOf(pid: number, whose: 'its own' | 'and ended children' = 'its own'): number {
  // User and system time in ticks, then those of its children that have ended.
  const ticks = statOf(pid).slice(11, whose === 'its own' ? 13 : 15);
  const ticksPerSecond = 100;
  return (ticks.reduce((sum, each) => sum + Number(each), 0) / ticksPerSecond) * 1000;
}

/** The id of the parent process. */
export function parentOf(pid: number): number {
  return Number(statOf(pid)[1]);
}

/** The fields of `/proc/PID/stat` after the name, which may contain any character. */
function statOf(pid: number): string[] {
  const stat = readFileSync(`/proc/${pid}/stat`, 'utf8');
  return stat.slice(stat.lastIndexOf(')') + 2).split(' ');
}

function owned(child: ChildProcess): BenchProcess {
  // A failed bench must leave no process behind.
  const kill = () => child.kill('SIGKILL');
  process.once('exit', kill);
  child.once('exit', () => process.off('exit', kill));
  return {
    child,
    async stop() {
      if (child.exitCode === null) {
        child.kill('SIGTERM');
        await once(child, 'exit');
      }
    },
  };
}

async function isReady(url: string): Promise<boolean> {
  const response = await fetch(`${url}/readyz`);
  await response.arrayBuffer();
  return response.status === 200;
}
