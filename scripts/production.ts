/** Starts a production folder like a deployment, with all dependencies in process, for the build and the smoke test. */
import { create, toBinary } from '@bufbuild/protobuf';
import { spawn } from 'node:child_process';
import { once } from 'node:events';
import { setTimeout as wait } from 'node:timers/promises';
import { join } from 'node:path';
import { CodexTaskSchema, CodexTaskStage } from '../src/proto/proompteng/froussard/v1/codex_task_pb.ts';
import { freePort } from './services/daemon.ts';

/** The first start of an embedded Postgres on a busy machine takes several seconds. */
const READY_MS = 60_000;
/** The contract allows requests in flight 15 s; the rest is for closing connections. */
const STOP_MS = 20_000;
const POLL_MS = 25;

/** How a facteur ended. `code` is null when it had to be killed. */
export interface Ended {
  readonly code: number | null;
  /** Everything it printed. */
  readonly log: string;
}

interface ProductionOptions {
  /** Arguments of Node before `serve`; the folder's executable by default. */
  readonly program?: readonly string[];
  /** Additional environment variables. */
  readonly env?: Readonly<Record<string, string>>;
}

/** A facteur that answers `/readyz`. */
export interface Production {
  readonly url: string;
  /** From the start of the process to the first ready answer, in milliseconds. */
  readonly readyMs: number;
  /** Sends SIGTERM, waits up to 20 s for the exit, then kills the process. */
  stop(): Promise<Ended>;
}

/**
 * Starts `facteur serve` from a production folder on a free port of 127.0.0.1, without this process's environment.
 *
 * @throws Error with its output, if it exits or is not ready within a minute
 */
export async function startProduction(
  folder: string,
  { program = [join(folder, 'bin/facteur')], env = {} }: ProductionOptions = {},
): Promise<Production> {
  const port = await freePort();
  const startedAt = performance.now();
  const child = spawn(process.execPath, [...program, 'serve'], {
    cwd: folder,
    env: { ...environment(port), ...env },
    stdio: ['ignore', 'pipe', 'pipe'],
  });
  const printed: string[] = [];
  child.stdout.on('data', (chunk: Buffer) => printed.push(chunk.toString()));
  child.stderr.on('data', (chunk: Buffer) => printed.push(chunk.toString()));
  // 'close', unlike 'exit', comes after the last output.
  const closed = once(child, 'close') as Promise<[number | null]>;

  const stop = async (): Promise<Ended> => {
    child.kill('SIGTERM');
    const timer = setTimeout(() => child.kill('SIGKILL'), STOP_MS);
    const [code] = await closed;
    clearTimeout(timer);
    return { code, log: printed.join('') };
  };

  const url = `http://127.0.0.1:${port}`;
  while (!(await isReady(url))) {
    if (child.exitCode !== null || performance.now() - startedAt > READY_MS) {
      const { code, log } = await stop();
      throw new Error(`facteur was never ready, and ended with ${code}:\n${log}`);
    }
    await wait(POLL_MS);
  }
  return { url, readyMs: Math.round(performance.now() - startedAt), stop };
}

function environment(port: number): NodeJS.ProcessEnv {
  return {
    PATH: process.env['PATH'],
    FACTEUR_SERVER_LISTEN_ADDRESS: `127.0.0.1:${port}`,
    FACTEUR_POSTGRES_DSN: 'pglite:memory',
    FACTEUR_REDIS_URL: 'memory://',
    FACTEUR_DISABLE_DISPATCHER: 'true',
    FACTEUR_DISCORD_BOT_TOKEN: 'not-a-token',
    FACTEUR_DISCORD_APPLICATION_ID: '100000000000000001',
    FACTEUR_ARGO_NAMESPACE: 'argo',
    FACTEUR_ARGO_WORKFLOW_TEMPLATE: 'facteur-dispatch',
  };
}

async function isReady(url: string): Promise<boolean> {
  try {
    return (await fetch(`${url}/readyz`)).status === 200;
  } catch (error) {
    if (error instanceof TypeError) {
      // fetch's error for a refused connection.
      return false;
    }
    throw error;
  }
}

/** facteur's answer to a request. */
export interface Answer {
  readonly status: number;
  readonly body: Readonly<Record<string, unknown>>;
}

/** Sends `/events` a command with this id. */
export function postEvent(url: string, interactionId: string): Promise<Answer> {
  const event = { command: 'plan', options: { objective: 'smoke' }, interactionId, correlationId: 'smoke' };
  return post(`${url}/events`, 'application/json', JSON.stringify(event));
}

/** Sends `/codex/tasks` a task. */
export function postCodexTask(url: string): Promise<Answer> {
  const task = create(CodexTaskSchema, {
    stage: CodexTaskStage.IMPLEMENTATION,
    prompt: 'Add a README.',
    repository: 'proompteng/lab',
    base: 'main',
    head: 'codex/issue-1',
    issueNumber: 1n,
    issueTitle: 'A README is missing',
    deliveryId: 'build',
  });
  return post(`${url}/codex/tasks`, 'application/x-protobuf', toBinary(CodexTaskSchema, task));
}

async function post(url: string, type: string, body: string | Uint8Array<ArrayBuffer>): Promise<Answer> {
  const response = await fetch(url, { method: 'POST', headers: { 'content-type': type }, body });
  const text = await response.text();
  try {
    return { status: response.status, body: JSON.parse(text) as Answer['body'] };
  } catch (error) {
    return { status: response.status, body: { notJson: text, error: String(error) } };
  }
}
