import { spawn } from 'node:child_process';
import { mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { pythonTools } from './python-tools.ts';

const LOCK = join(import.meta.dirname, 'schemathesis.txt');

export interface Fuzzing {
  readonly code: number | null;
  /** Its output: each failure with the request that causes it. */
  readonly output: string;
  /** How many requests it sent. */
  readonly cases: number;
}

/**
 * Sends requests to a server by its OpenAPI document, and validates the answers against the document.
 *
 * @param config of Schemathesis, in TOML
 */
export async function fuzz(document: object, args: readonly string[], config: string): Promise<Fuzzing> {
  const folder = mkdtempSync(join(tmpdir(), 'facteur-fuzz-'));
  try {
    writeFileSync(join(folder, 'openapi.json'), JSON.stringify(document));
    writeFileSync(join(folder, 'schemathesis.toml'), config);
    const all = ['run', 'openapi.json', '--no-color', ...args];
    const child = spawn(join(pythonTools(LOCK), 'st'), all, { cwd: folder, stdio: ['ignore', 'pipe', 'pipe'] });
    const printed: Buffer[] = [];
    for (const stream of [child.stdout, child.stderr]) {
      stream.on('data', (chunk: Buffer) => printed.push(chunk));
    }
    const { promise, resolve, reject } = Promise.withResolvers<number | null>();
    child.once('error', reject);
    child.once('close', resolve);
    const code = await promise;
    const output = Buffer.concat(printed).toString('utf8');
    return { code, output, cases: Number(/(\d+) generated/.exec(output)?.[1] ?? 0) };
  } finally {
    rmSync(folder, { recursive: true });
  }
}
