/**
 * Enforces the shape of the source tree: layers import only downwards, there are no cycles, every import names an existing file,
 * every export is imported, production code does not import tests, and no folder is a catch-all.
 *
 * `node scripts/check-imports.ts [ROOT]` prints one line per fault and fails if there are any.
 */
import { existsSync, readFileSync } from 'node:fs';
import { join, posix } from 'node:path';
import { readSourceFile, sourcePaths } from './source-tree.ts';
import type { SourceFile, SourceImport } from './source-tree.ts';

/**
 * From the bottom up: a file imports from its own layer and from those below. Layers in one row never import each other. `main`
 * is src/main.ts, the only file that lies directly in src; the rest are folders.
 */
const LAYERS = [
  ['base'],
  ['proto'],
  ['domain'],
  ['presentation'],
  ['config'],
  ['clients'],
  ['ledger'],
  ['submit', 'follow', 'notify', 'knowledge'],
  ['dispatch'],
  ['entry'],
  ['service'],
  ['cli'],
  ['main'],
] as const satisfies readonly (readonly string[])[];

/** Code outside the layers. The simulated cluster and Discord must not share code with what they test. */
const BESIDE: Readonly<
  Record<string, { readonly mayImport: readonly string[]; readonly importedBy: readonly string[] }>
> = {
  sandbox: { mayImport: ['base', 'domain'], importedBy: ['cli'] },
  // The only code that uses the OpenTelemetry SDK; all other code uses the API.
  telemetry: { mayImport: ['base'], importedBy: ['service'] },
};

/** The only files of `cli` that see the simulators; every other command starts without loading them. */
const LAZY = /^src\/cli\/sandbox-/;

/** What `serve` loads before it listens: these files and all their static imports. */
const STARTING = ['src/main.ts', 'src/cli/serve.ts', 'src/cli/start-service.ts', 'src/clients/argo/kubeconfig.ts'];

/**
 * Packages, files and built-in modules that must not be loaded by then, because loading them takes longer than answering the
 * first request. `node:http` costs 40 ms when it is imported (one of its exports is a WebSocket client, which is loaded too) and
 * 5 ms when fastify requires it.
 */
const LOADED_LATER =
  /^(@kubernetes\/|@platformatic\/|@electric-sql\/|@opentelemetry\/(?!api$|api-logs$)|ioredis$|undici$|zod-openapi|node:http$|sandbox\/|src\/entry\/kafka\/consumer|src\/clients\/kafka\/(client|platformatic)|src\/telemetry\/(sdk|exporters)|src\/entry\/api\/(document|register|routes)|src\/cli\/(?!build-version|io|option-pairs|process-context|program|read-config|serve|start-service|version|wiring))/;

/** A catch-all name attracts unrelated code. */
const EMPTY_NAMES = new Set(['util', 'utils', 'helper', 'helpers', 'manager', 'managers', 'misc', 'common']);

/** Written by protoc-gen-es: its paths follow the protobuf packages. */
const GENERATED = 'src/proto/';
/** Generated too, with all operations of the API, even unused ones. */
const GENERATED_CLIENT = 'src/clients/facteur/operations.ts';

/** An error and its place; `line` is missing if the whole file is at fault. */
export interface Fault {
  readonly path: string;
  readonly line?: number;
  readonly message: string;
}

interface Tree {
  readonly root: string;
  readonly files: readonly SourceFile[];
  readonly paths: ReadonlySet<string>;
  /** Packages present in production. */
  readonly dependencies: ReadonlySet<string>;
}

/** All faults in the repository at `root`, sorted by path. */
export function checkTree(root: string): Fault[] {
  const paths = sourcePaths(root);
  const tree: Tree = {
    root,
    files: paths.map((path) => readSourceFile(root, path)),
    paths: new Set(paths),
    dependencies: productionPackages(root),
  };
  return [
    ...tree.files.flatMap((file) => [
      ...nameFaults(file.path),
      ...file.imports.flatMap((wanted) => {
        const message = importFault(tree, file, wanted);
        return message === undefined ? [] : [{ path: file.path, line: wanted.line, message }];
      }),
    ]),
    ...cycleFaults(tree),
    ...exportFaults(tree),
    ...startFaults(tree),
  ];
}

function productionPackages(root: string): Set<string> {
  const manifest = JSON.parse(readFileSync(join(root, 'package.json'), 'utf8')) as {
    readonly dependencies?: Record<string, string>;
  };
  return new Set(Object.keys(manifest.dependencies ?? {}));
}

function nameFaults(path: string): Fault[] {
  if (path.startsWith(GENERATED)) {
    return [];
  }
  const empty = path.split(/[/.-]/).find((word) => EMPTY_NAMES.has(word));
  const named = empty === undefined ? [] : [`"${empty}" says nothing about what is inside: name it after what it does`];
  return [...named, ...(isSource(path) ? placeFaults(path) : [])].map((message) => ({ path, message }));
}

function placeFaults(path: string): string[] {
  const faults: string[] = [];
  if (path.split('/').length > 4) {
    faults.push('too deep: src/a/b/file.ts is the deepest there is');
  }
  if (posix.basename(path) === 'index.ts') {
    faults.push('no barrels in src: import from the file that has it');
  }
  if (!isTest(path) && layerRank(path) === undefined && !(layerOf(path) in BESIDE)) {
    faults.push(`"${layerOf(path)}" is no layer: add it to LAYERS in scripts/check-imports.ts, with its place`);
  }
  return faults;
}

function importFault(tree: Tree, file: SourceFile, wanted: SourceImport): string | undefined {
  if (!wanted.specifier.startsWith('.')) {
    return packageFault(tree, file, wanted);
  }
  const target = resolve(file.path, wanted.specifier);
  return (
    missingFault(tree, target, wanted.specifier) ??
    testFault(file.path, target) ??
    layerFault(file.path, target) ??
    lazyFault(file.path, target, wanted)
  );
}

function packageFault(tree: Tree, file: SourceFile, { specifier, typeOnly }: SourceImport): string | undefined {
  if (specifier.startsWith('/') || specifier.startsWith('#') || specifier.startsWith('file:')) {
    return `import "${specifier}" by a relative path`;
  }
  if (!isProduction(file.path) || specifier.startsWith('node:') || typeOnly) {
    return undefined;
  }
  const name = specifier.split('/', specifier.startsWith('@') ? 2 : 1).join('/');
  return tree.dependencies.has(name) ? undefined : `"${name}" is not in "dependencies", so production does not have it`;
}

function missingFault(tree: Tree, target: string, specifier: string): string | undefined {
  if (
    tree.paths.has(target) ||
    (!target.endsWith('.js') && posix.extname(target) !== '' && existsSync(join(tree.root, target)))
  ) {
    return undefined;
  }
  // tsc resolves './b.js' and './b' to b.ts, Node does not.
  const meant = [target.replace(/\.js$/, '.ts'), `${target}.ts`].find((path) => tree.paths.has(path));
  return meant === undefined
    ? `there is no file "${specifier}"`
    : `"${specifier}" fails at run time: write the real name, ${posix.basename(meant)}`;
}

function testFault(from: string, target: string): string | undefined {
  if (!isProduction(from)) {
    return undefined;
  }
  if (isTest(target)) {
    return 'production code imports test code';
  }
  return isSource(target) || target.endsWith('.json')
    ? undefined
    : `production code imports from outside src: ${target}`;
}

function lazyFault(from: string, target: string, { lazy, typeOnly }: SourceImport): string | undefined {
  if (!isProduction(from) || LAZY.test(from) || layerOf(from) === 'sandbox' || lazy || typeOnly) {
    return undefined;
  }
  return LAZY.test(target) || layerOf(target) === 'sandbox'
    ? `${target} is loaded by \`import()\`, when it is wanted, or not at all`
    : undefined;
}

function layerFault(from: string, target: string): string | undefined {
  if (!isProduction(from) || !isSource(target) || layerOf(from) === layerOf(target)) {
    return undefined;
  }
  const [importer, imported] = [layerOf(from), layerOf(target)];
  const beside = BESIDE[importer];
  if (beside !== undefined) {
    return beside.mayImport.includes(imported)
      ? undefined
      : `${importer} may import only ${beside.mayImport.join(' and ')}, not ${imported}`;
  }
  if (imported in BESIDE) {
    return BESIDE[imported]?.importedBy.includes(importer) === true
      ? undefined
      : `${imported} stands beside the product: ${importer} must not import it`;
  }
  return directionFault(from, target);
}

function directionFault(from: string, target: string): string | undefined {
  const [lower, upper] = [layerRank(target), layerRank(from)];
  if (lower === undefined || upper === undefined || lower < upper) {
    return undefined;
  }
  return lower === upper
    ? `${layerOf(from)} and ${layerOf(target)} never import each other: they meet in the ledger`
    : `imports point down only: ${layerOf(from)} is below ${layerOf(target)}, so take what you need as an argument`;
}

/** Reports exports that no file imports: a private declaration saves readers a search. */
function exportFaults({ files }: Tree): Fault[] {
  const wanted = new Set(
    files.flatMap(({ path, imports }) =>
      imports.flatMap(({ specifier, names }) => names.map((name) => `${resolve(path, specifier)} ${name}`)),
    ),
  );
  return files
    .filter(
      ({ path }) =>
        isProduction(path) && !path.startsWith(GENERATED) && ![GENERATED_CLIENT, 'src/main.ts'].includes(path),
    )
    .filter(({ path }) => !wanted.has(`${path} *`))
    .flatMap(({ path, exports }) =>
      exports
        .filter(({ name }) => !wanted.has(`${path} ${name}`))
        .map(({ name, line }) => ({ path, line, message: `nobody imports ${name}: do not export it` })),
    );
}

function cycleFaults(tree: Tree): Fault[] {
  const edges = new Map(
    tree.files.map((file) => [
      file.path,
      file.imports
        .filter((wanted) => wanted.specifier.startsWith('.'))
        .map((wanted) => resolve(file.path, wanted.specifier))
        .filter((target) => tree.paths.has(target)),
    ]),
  );
  return findCycles(edges).map((cycle) => ({
    path: cycle[0] ?? '',
    message: `imports go in a circle: ${[...cycle, cycle[0]].join(' -> ')}`,
  }));
}

/** Each import that loads something before `serve` listens although it can wait. */
function startFaults(tree: Tree): Fault[] {
  const files = new Map(tree.files.map((file) => [file.path, file]));
  // A set iterates over elements that are added during the iteration.
  const reached = new Set(STARTING.filter((path) => files.has(path)));
  const faults: Fault[] = [];
  for (const path of reached) {
    for (const { specifier, line } of files.get(path)?.imports.filter(isLoadedAtOnce) ?? []) {
      const target = specifier.startsWith('.') ? resolve(path, specifier) : specifier;
      if (LOADED_LATER.test(target)) {
        faults.push({ path, line, message: `${target} is loaded before serve listens: import() it when it is needed` });
      } else if (files.has(target)) {
        reached.add(target);
      }
    }
  }
  return faults;
}

function isLoadedAtOnce({ lazy, typeOnly }: SourceImport): boolean {
  return !lazy && !typeOnly;
}

/** One cycle for each place where a depth-first walk meets its own path; empty exactly if there is none. */
function findCycles(edges: ReadonlyMap<string, readonly string[]>): string[][] {
  const done = new Set<string>();
  const cycles: string[][] = [];
  const walk = (path: string, trail: readonly string[]): void => {
    const seenAt = trail.indexOf(path);
    if (seenAt !== -1) {
      cycles.push(trail.slice(seenAt));
    } else if (!done.has(path)) {
      for (const next of edges.get(path) ?? []) {
        walk(next, [...trail, path]);
      }
      done.add(path);
    }
  };
  for (const path of edges.keys()) {
    walk(path, []);
  }
  return cycles;
}

function resolve(from: string, specifier: string): string {
  return posix.join(posix.dirname(from), specifier);
}

function isTest(path: string): boolean {
  return path.endsWith('.test.ts') || path.startsWith('test/');
}

function isSource(path: string): boolean {
  return path.startsWith('src/') || path.startsWith('sandbox/');
}

function isProduction(path: string): boolean {
  return isSource(path) && !isTest(path);
}

function layerOf(path: string): string {
  if (path.startsWith('sandbox/')) {
    return 'sandbox';
  }
  const [, folder = ''] = path.split('/');
  return folder === 'main.ts' ? 'main' : folder;
}

/** 0 is the bottom; undefined outside the layers. */
function layerRank(path: string): number | undefined {
  const rank = LAYERS.findIndex((row) => (row as readonly string[]).includes(layerOf(path)));
  return rank === -1 ? undefined : rank;
}

if (import.meta.main) {
  const root = process.argv[2] ?? join(import.meta.dirname, '..');
  const faults = checkTree(root);
  for (const { path, line, message } of faults) {
    console.error(`${path}${line === undefined ? '' : `:${line}`}: ${message}`);
  }
  console.log(`imports: ${sourcePaths(root).length} files, ${faults.length} faults`);
  process.exitCode = faults.length === 0 ? 0 : 1;
}
