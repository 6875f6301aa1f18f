/**
 * Fails if `src/proto` is not generated from the contracts in `proto/`: a file differs, is missing, or should not exist.
 * Generates into a temporary directory, so that a check never changes the tree.
 */
import { execFileSync } from 'node:child_process';
import { mkdtempSync, readdirSync, readFileSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';

const root = join(import.meta.dirname, '..');
const GENERATED = join('src', 'proto');

function readTree(directory: string): Map<string, string> {
  const files = readdirSync(directory, { recursive: true, withFileTypes: true }).filter((entry) =>
    entry.name.endsWith('_pb.ts'),
  );
  return new Map(
    files.map((file) => {
      const path = join(file.parentPath, file.name);
      return [path.slice(directory.length + 1), readFileSync(path, 'utf8')];
    }),
  );
}

function differences(expected: Map<string, string>, actual: Map<string, string>): string[] {
  const paths = [...new Set([...expected.keys(), ...actual.keys()])].toSorted();
  return paths.filter((path) => expected.get(path) !== actual.get(path));
}

const fresh = mkdtempSync(join(tmpdir(), 'facteur-proto-'));
try {
  execFileSync('buf', ['generate', '--output', fresh], { cwd: root, stdio: 'inherit' });
  const stale = differences(readTree(join(fresh, GENERATED)), readTree(join(root, GENERATED)));
  if (stale.length > 0) {
    console.error(`stale, run "npm run proto:generate": ${stale.map((path) => join(GENERATED, path)).join(', ')}`);
    process.exitCode = 1;
  }
} finally {
  rmSync(fresh, { recursive: true });
}
