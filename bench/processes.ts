import { spawn, type ChildProcess } from 'node:child_process';
import { once } from 'node:events';
import { readFile } from 'node:fs/promises';
import { join, resolve } from 'node:path';
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
  /** From the start of the process to the first answer of `/readyz` that says ready, in milliseconds. */
  readonly readyMs: number;
  readonly startedAt: number;
}

/** Starts `bin/facteur serve` from a folder: this checkout, or a production build. */
export async function startFacteur(
  env: Record<string, string>,
  folder = ROOT,
  args: readonly string[] = [],
): Promise<FacteurProcess> {
  const port = await freePort();
  const startedAt = performance.now();
  const child = spawn(process.execPath, [resolve(folder, 'bin/facteur'), 'serve', ...args], {
    cwd: folder,
    stdio: ['ignore', 'ignore', 'inherit'],
    env: {
      PATH: process.env['PATH'],
      NODE_OPTIONS: process.env['BENCH_NODE_OPTIONS'],
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
  const url = `http://127.0.0.1:${port}`;
  while (!(await isReady(url))) {
    if (child.exitCode !== null) {
      throw new Error(`facteur ended with ${child.exitCode}`);
    }
  }
  return { ...owned(child), url, readyMs: performance.now() - startedAt, startedAt };
}

/** Resident memory of a process in MiB, and the most it ever had. */
export async function memoryOf(child: ChildProcess): Promise<{ readonly nowMiB: number; readonly peakMiB: number }> {
  const status = await readFile(`/proc/${child.pid}/status`, 'utf8');
  const field = (name: string): number => Number(new RegExp(`${name}:\\s+(\\d+) kB`).exec(status)?.[1] ?? 0) / 1024;
  return { nowMiB: Math.round(field('VmRSS')), peakMiB: Math.round(field('VmHWM')) };
}

/** What a process has used of the processors so far, in milliseconds. */
export async function cpuMsOf(child: ChildProcess): Promise<number> {
  const stat = await readFile(`/proc/${child.pid}/stat`, 'utf8');
  // After the name, which may hold anything, come the state and, as the 12th and 13th, user and system time in ticks.
  const fields = stat.slice(stat.lastIndexOf(')') + 2).split(' ');
  const ticksPerSecond = 100;
  return ((Number(fields[11]) + Number(fields[12])) / ticksPerSecond) * 1000;
}

function owned(child: ChildProcess): BenchProcess {
  // A bench that fails leaves nothing behind.
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
  try {
    const response = await fetch(`${url}/readyz`);
    await response.arrayBuffer();
    return response.status === 200;
  } catch (error) {
    if (error instanceof TypeError) {
      return false;
    }
    throw error;
  }
}
