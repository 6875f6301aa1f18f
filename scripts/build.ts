/**
 * Builds the production folder: one bundle with lazily loaded chunks, their code as compiled by V8, and the files that are read
 * at run time. Running it requires only Node 24: `node OUT/bin/facteur serve`.
 *
 * `node scripts/build.ts [OUT]` writes to `out`, or to the given folder.
 */
import { execFileSync } from 'node:child_process';
import { chmodSync, cpSync, existsSync, mkdtempSync, readdirSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { basename, join } from 'node:path';
import { build, type Plugin } from 'rolldown';
import { startSimulatedCluster } from '../sandbox/cluster/cluster.ts';
import { descriptorsAsJson } from './descriptors.ts';
import { postCodexTask, postEvent, startProduction } from './production.ts';

/** Not bundled: these packages load WebAssembly and data files next to their code. They have no dependencies. */
const EXTERNAL_PACKAGES = ['@electric-sql/pglite', '@electric-sql/pglite-pgvector'];

/** Chunks of a file with all its static imports; shared modules are in the first chunk. */
const CHUNKS = [
  { name: 'command-line', test: /src\/main\.ts$/, priority: 2 },
  { name: 'service', test: /src\/cli\/(serve|start-service)\.ts$/, priority: 1 },
];

/**
 * Work that packages do at start-up although facteur needs it late or never: they load the modules of HTTP/2, and each logger
 * looks for its caller in the lines of the bundle. Together about 10 ms.
 */
const LATE = [
  {
    package: 'undici',
    file: 'lib/dispatcher/client.js',
    from: "const connectH2 = require('./client-h2.js')",
    to: "const connectH2 = (...args) => require('./client-h2.js')(...args)",
  },
  {
    package: 'fastify',
    file: 'lib/server.js',
    from: "const http2 = require('node:http2')",
    to: 'const http2 = undefined',
  },
  { package: 'pino', file: 'pino.js', from: "const caller = require('./lib/caller')", to: 'const caller = () => []' },
] as const;

/** Files that bundled code reads from its own folder: checksums and compression of the Kafka client. */
const FILES_BESIDE_CHUNKS = ['node_modules/@platformatic/wasm-utils/dist/native.wasm'];

/**
 * Recreates the production folder, and runs it once to save the code that V8 compiles.
 *
 * @throws Error if the bundle cannot be built, or if the result does not start and stop
 */
export async function buildProduction(root: string, out: string): Promise<void> {
  rmSync(out, { recursive: true, force: true });
  const dist = join(out, 'dist');
  await bundle(root, dist);
  assertAscii(dist);
  copyRuntimeFiles(root, out);
  await keepCompiledCode(out);
}

async function bundle(root: string, dir: string): Promise<void> {
  await build({
    input: { main: join(root, 'src/main.ts') },
    cwd: root,
    platform: 'node',
    external: EXTERNAL_PACKAGES.map((name) => new RegExp(`^${name}(/|$)`)),
    logLevel: 'warn',
    plugins: [...LATE.map(changed), descriptorsAsJson],
    // All chunks are in the folder of main.cjs: `new URL('../migrations/', import.meta.url)` works from each of them, and from
    // src/main.ts.
    output: {
      dir,
      // bin/bundle.js loads them: V8 exports the compiled code of a script, but not of an ES module.
      format: 'cjs',
      strict: true,
      postBanner: '(function (exports, require, module, __filename, __dirname) {',
      postFooter: '})',
      minify: { compress: true, mangle: true, codegen: { asciiOnly: true } },
      sourcemap: true,
      entryFileNames: '[name].cjs',
      chunkFileNames: '[name]-[hash].cjs',
      // Finding and reading a file costs more than its code, so everything that `serve` always loads is in few files.
      codeSplitting: { groups: CHUNKS },
    },
    // Otherwise V8 compiles every module of a package when its chunk is loaded, even unused ones.
    optimization: { pifeForModuleWrappers: false },
  });
}

/** A plugin that changes one line of a package, and fails the build if a bundled package lacks this line. */
function changed({ package: name, file, from, to }: (typeof LATE)[number]): Plugin {
  const folder = `/node_modules/${name}/`;
  let isChanged = false;
  return {
    name: `change ${name}`,
    transform: {
      filter: { id: `**${folder}${file}` },
      handler(code) {
        isChanged = code.includes(from);
        return { code: code.replace(from, to), map: null };
      },
    },
    buildEnd() {
      if (!isChanged && [...this.getModuleIds()].some((id) => id.includes(folder))) {
        throw new Error(`${name}/${file} no longer has this line: ${from}`);
      }
    },
  };
}

/** @throws Error if V8 would not store a chunk with one byte per character, as `bin/bundle.js` reads it */
function assertAscii(dir: string): void {
  for (const name of chunksIn(dir)) {
    // License comments may contain other characters, in names; nothing reads them at run time.
    const code = readFileSync(join(dir, name), 'utf8').replaceAll(/\/\*!.*?\*\//gs, '');
    const found = /[^\0-\x7F].{0,40}/.exec(code)?.[0];
    if (found !== undefined) {
      throw new Error(`${name} has more than ASCII: ${found}`);
    }
  }
}

function chunksIn(dir: string): string[] {
  return readdirSync(dir).filter((name) => name.endsWith('.cjs'));
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

/** The package file of production; `commit` is empty if neither the environment nor git has it. */
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
 * Runs the folder with a simulated cluster and sends typical first requests, so that V8's compiled code includes the functions
 * for a start and for these requests. It is valid for exactly this version of Node, and stays valid if the folder is moved.
 */
async function keepCompiledCode(out: string): Promise<void> {
  const cluster = await startSimulatedCluster({ namespaces: ['argo'], plan: () => ({ outcome: 'succeed' }) });
  const folder = mkdtempSync(join(tmpdir(), 'facteur-build-'));
  const kubeconfig = join(folder, 'kubeconfig');
  writeFileSync(kubeconfig, cluster.kubeconfig());
  try {
    const facteur = await startProduction(out, {
      program: [join(import.meta.dirname, 'record-code.ts'), out],
      env: {
        FACTEUR_DISABLE_DISPATCHER: 'false',
        FACTEUR_KUBECONFIG: kubeconfig,
        FACTEUR_CODEX_IMPLEMENTATION_ORCHESTRATOR_ENABLED: 'true',
      },
    });
    const answers = [await postEvent(facteur.url, 'build'), await postCodexTask(facteur.url)];
    const { code, log } = await facteur.stop();
    const refused = answers.find(({ status }) => status !== 202);
    if (code !== 0 || refused !== undefined) {
      throw new Error(`the build ended with ${code}, having answered ${JSON.stringify(refused ?? answers)}:\n${log}`);
    }
  } finally {
    await cluster.close();
    rmSync(folder, { recursive: true });
  }
  const dist = join(out, 'dist');
  const missing = chunksIn(dist).filter((name) => !existsSync(join(dist, `${name}.code`)));
  if (missing.length > 0) {
    throw new Error(`the build left no compiled code of ${missing.join(', ')}`);
  }
}

if (import.meta.main) {
  const root = join(import.meta.dirname, '..');
  const out = process.argv[2] ?? join(root, 'out');
  await buildProduction(root, out);
  console.log(`built ${out}`);
}
