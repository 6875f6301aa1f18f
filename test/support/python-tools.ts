import { execFileSync } from 'node:child_process';
import { createHash } from 'node:crypto';
import { existsSync, mkdirSync, readFileSync, renameSync, rmSync, writeFileSync } from 'node:fs';
import { basename, join } from 'node:path';

const CACHE = join(import.meta.dirname, '../../.services/cache/tools');

/** The folder with the executables of a locked set of Python packages. Each version of the lock is installed once. */
export function pythonTools(lock: string): string {
  const digest = createHash('sha256').update(readFileSync(lock)).digest('hex').slice(0, 12);
  const folder = join(CACHE, `${basename(lock, '.txt')}-${digest}`);
  if (!existsSync(join(folder, 'whole'))) {
    mkdirSync(CACHE, { recursive: true });
    // Its scripts contain its path: it must be created in its final place. An incomplete one is created again.
    rmSync(folder, { recursive: true, force: true });
    run('python3', '-m', 'venv', folder);
    const pip = ['-m', 'pip', 'install', '--quiet', '--disable-pip-version-check', '--only-binary=:all:'];
    run(join(folder, 'bin/python'), ...pip, '--require-hashes', '-r', lock);
    const mark = join(folder, 'draft');
    writeFileSync(mark, '');
    renameSync(mark, join(folder, 'whole'));
  }
  return join(folder, 'bin');
}

function run(program: string, ...args: readonly string[]): void {
  execFileSync(program, args, { stdio: ['ignore', 'ignore', 'inherit'] });
}
