/**
 * Builds the production folder: one bundle with its lazily loaded chunks, what it reads at run time, and a warm compile
 * cache. Nothing else is needed to run it but Node 24: `node OUT/bin/facteur serve`.
 *
 * `node scripts/build.ts [OUT]` writes to `out`, or to the folder named.
 */
import { execFileSync } from 'node:child_process';
import { chmodSync, cpSync, mkdirSync, readdirSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { basename, join } from 'node:path';
import { build } from 'rolldown';
import { startProduction } from './production.ts';

/** Not bundled: they find their own WebAssembly and data files beside their code. They depend on nothing themselves. */
const EXTERNAL_PACKAGES = ['@electric-sql/pglite', '@electric-sql/pglite-pgvector'];

/** Chunks that hold a file with all that it imports statically; what several need is in the first. */
const CHUNKS = [
  { name: 'command-line', test: /src\/main\.ts$/, priority: 2 },
  { name: 'service', test: /src\/cli\/(serve|start-service)\.ts$/, priority: 1 },
];

/** What bundled code reads from beside itself: the Kafka client its checksums and compression. */
const FILES_BESIDE_CHUNKS = ['node_modules/@platformatic/wasm-utils/dist/native.wasm'];

/**
 * Recreates the production folder, and runs it once to fill its compile cache.
 *
 * @throws Error when the bundle cannot be made, or what was built does not start and stop
 */
export async function buildProduction(root: string, out: string): Promise<void> {
  rmSync(out, { recursive: true, force: true });
  await bundle(root, join(out, 'dist'));
  copyRuntimeFiles(root, out);
  await fillCompileCache(out);
}

async function bundle(root: string, dir: string): Promise<void> {
  await build({
    input: { main: join(root, 'src/main.ts') },
    cwd: root,
    platform: 'node',
    external: EXTERNAL_PACKAGES.map((name) => new RegExp(`^${name}(/|$)`)),
    logLevel: 'warn',
    // All chunks lie flat beside main.js: `new URL('../migrations/', import.meta.url)` is right from each of them,
    // and from src/main.ts.
    output: {
      dir,
      format: 'esm',
      minify: true,
      sourcemap: true,
      chunkFileNames: '[name]-[hash].js',
      // Finding and linking a file costs more than its code: what `serve` loads in any case is in few of them.
      codeSplitting: { groups: CHUNKS },
    },
  });
}

function copyRuntimeFiles(root: string, out: string): void {
  cpSync(join(root, 'migrations'), join(out, 'migrations'), { recursive: true });
  cpSync(join(root, 'bin'), join(out, 'bin'), { recursive: true });
  chmodSync(join(out, 'bin/facteur'), 0o755);
  for (const name of EXTERNAL_PACKAGES) {
    cpSync(join(root, 'node_modules', name), join(out, 'node_modules', name), { recursive: true, dereference: true });
  }
  for (const file of FILES_BESIDE_CHUNKS) {
    cpSync(join(root, file), join(out, 'dist', basename(file)));
  }
  writeFileSync(join(out, 'package.json'), `${JSON.stringify(manifest(root), null, 2)}\n`);
}

/** What production must know of the package; `commit` is empty when neither the environment nor git can tell. */
function manifest(root: string): Record<string, unknown> {
  const { name, version } = JSON.parse(readFileSync(join(root, 'package.json'), 'utf8')) as Record<string, unknown>;
  return { name, version, commit: process.env['FACTEUR_COMMIT'] ?? commit(root), private: true, type: 'module' };
}

function commit(root: string): string {
  try {
    return execFileSync('git', ['rev-parse', 'HEAD'], { cwd: root, encoding: 'utf8', stdio: 'pipe' }).trim();
  } catch (error) {
    console.warn(`build: no commit known (${String(error).split('\n')[0]}); set FACTEUR_COMMIT`);
    return '';
  }
}

/**
 * Runs the folder once, so that V8's compiled code is written beside it: that happens only when Node ends cleanly.
 * Then loads what that run had no use for, such as the Kafka client. The cache holds for exactly this Node version, and
 * stays valid when the folder moves.
 */
async function fillCompileCache(out: string): Promise<void> {
  const cache = join(out, 'compile-cache');
  mkdirSync(cache);
  const facteur = await startProduction(out);
  const { code, log } = await facteur.stop();
  if (code !== 0 || filesBelow(cache).length === 0) {
    throw new Error(`the build ended with ${code} and left no compile cache:\n${log}`);
  }
  const chunks = readdirSync(join(out, 'dist')).filter((name) => name.endsWith('.js'));
  const load = `
    const { enableCompileCache } = await import('node:module');
    enableCompileCache({ directory: 'compile-cache', portable: true });
    await Promise.all(${JSON.stringify(chunks)}.map((name) => import('./dist/' + name)));`;
  execFileSync(process.execPath, ['--input-type=module', '--eval', load], { cwd: out, stdio: 'inherit' });
  for (const file of filesBelow(cache)) {
    // Node writes them for its own user only, and production is another one.
    chmodSync(file, 0o644);
  }
}

function filesBelow(folder: string): string[] {
  return readdirSync(folder, { recursive: true, withFileTypes: true })
    .filter((entry) => entry.isFile())
    .map((entry) => join(entry.parentPath, entry.name));
}

if (import.meta.main) {
  const root = join(import.meta.dirname, '..');
  const out = process.argv[2] ?? join(root, 'out');
  await buildProduction(root, out);
  console.log(`built ${out}`);
}
