/** Builds the servers of the test cluster from their Go modules, once for each state of their sources. */
import { spawnSync } from 'node:child_process';
import { createHash } from 'node:crypto';
import {
  cpSync,
  existsSync,
  mkdirSync,
  mkdtempSync,
  readdirSync,
  readFileSync,
  renameSync,
  rmSync,
  statfsSync,
} from 'node:fs';
import { dirname, join } from 'node:path';
import { startTicks } from '../services/daemon.ts';
import type { ServiceContext } from '../services/service.ts';

const SOURCES = join(import.meta.dirname, '../../test/cluster');
const ARGO = 'github.com/argoproj/argo-workflows/v4';

/** Space for modules, compiled packages and the linker's temporary files. */
const NEEDED_BYTES = 8e9;

/** The programs. Each reports the version of a module, from a variable that is set by the linker. */
const PROGRAMS = [
  { name: 'server', module: 'k8s.io/kubernetes', variable: 'k8s.io/component-base/version.gitVersion' },
  { name: 'argo', module: ARGO, variable: `${ARGO}.version` },
] as const;

/** Paths of the built files. */
export interface Binaries {
  readonly server: string;
  readonly argo: string;
  /** A folder with `full` and `minimal`, Argo's custom resource definitions. */
  readonly definitions: string;
}

/** Names of cache folders with built programs, and with builds in progress. */
const BUILT = /^cluster-[0-9a-f]{12}$/;
const DRAFT = /^cluster-draft-(\d+)-/;

/** The programs, from the cache or built now, which takes a quarter of an hour with an empty Go build cache. */
export function ensureBinaries({ cache, say }: Pick<ServiceContext, 'cache' | 'say'>): Binaries {
  const folder = join(cache, `cluster-${sourceHash()}`);
  if (!existsSync(folder)) {
    assertGo();
    mkdirSync(cache, { recursive: true });
    // Most of the space is for Go's downloads and build cache.
    for (const directory of [cache, ...go('server', ['env', 'GOCACHE', 'GOMODCACHE']).split('\n')]) {
      assertSpace(directory);
    }
    const draft = mkdtempSync(join(cache, `cluster-draft-${process.pid}-`));
    try {
      for (const program of PROGRAMS) {
        say(`building ${program.module} (once; up to 15 minutes)`);
        build(program, draft);
      }
      copyDefinitions(draft);
      publish(draft, folder);
    } finally {
      rmSync(draft, { recursive: true, force: true });
    }
  }
  return {
    server: join(folder, 'server'),
    argo: join(folder, 'argo'),
    definitions: join(folder, 'definitions'),
  };
}

/** Removes programs that were built from other sources, and remains of killed builds. */
export function removeOldBinaries({ cache, say }: Pick<ServiceContext, 'cache' | 'say'>): void {
  const current = `cluster-${sourceHash()}`;
  for (const name of readdirSync(cache)) {
    if ((BUILT.test(name) && name !== current) || isAbandoned(name)) {
      say(`removing ${join(cache, name)}, which nothing uses any more`);
      rmSync(join(cache, name), { recursive: true, force: true });
    }
  }
}

function isAbandoned(name: string): boolean {
  const [, pid] = DRAFT.exec(name) ?? [];
  return pid !== undefined && startTicks(Number(pid)) === undefined;
}

function build({ name, module, variable }: (typeof PROGRAMS)[number], target: string): void {
  const version = go(name, ['list', '-m', '-f', '{{.Version}}', module]);
  const flags = `-s -w -X ${variable}=${version}`;
  const { status } = spawnSync(
    'go',
    ['build', '-p=2', '-trimpath', `-ldflags=${flags}`, '-o', join(target, name), '.'],
    {
      cwd: join(SOURCES, name),
      env: environment(),
      // Standard output has only the variables.
      stdio: ['ignore', process.stderr, process.stderr],
    },
  );
  if (status !== 0) {
    throw new Error(`building ${module} failed: see above, correct it and try again`);
  }
}

function copyDefinitions(target: string): void {
  const module = go('argo', ['list', '-m', '-f', '{{.Dir}}', ARGO]);
  for (const size of ['full', 'minimal']) {
    const from = join(module, 'manifests/base/crds', size);
    mkdirSync(join(target, 'definitions', size), { recursive: true });
    for (const file of readdirSync(from).filter((name) => name.startsWith('argoproj.io_'))) {
      cpSync(join(from, file), join(target, 'definitions', size, file));
    }
  }
}

/** Two concurrent builds both succeed: the second finds the folder already there. */
function publish(draft: string, folder: string): void {
  try {
    renameSync(draft, folder);
  } catch (error) {
    if (!existsSync(folder)) {
      throw error;
    }
  }
}

/** The output of a Go command in one of our modules. */
function go(name: string, args: readonly string[]): string {
  const { status, stdout, stderr } = spawnSync('go', args, {
    cwd: join(SOURCES, name),
    env: environment(),
    encoding: 'utf8',
  });
  if (status !== 0) {
    const why = stderr.trim().split('\n').at(-1) ?? '';
    throw new Error(`Go cannot read test/cluster/${name}/go.mod: ${why} (needed is Go 1.26, https://go.dev/dl)`);
  }
  return stdout.trim();
}

/** Overrides the developer's own Go settings that would affect the build. */
function environment(): NodeJS.ProcessEnv {
  return { ...process.env, GOFLAGS: '', GOWORK: 'off', CGO_ENABLED: '0' };
}

function assertGo(): void {
  if (spawnSync('go', ['version'], { stdio: 'ignore' }).status !== 0) {
    throw new Error('the test cluster is built with Go, which is not on PATH: install Go 1.26 (https://go.dev/dl)');
  }
}

function assertSpace(directory: string): void {
  const { bavail, bsize } = statfsSync(existingParent(directory));
  const fault = spaceFault(directory, bavail * bsize);
  if (fault !== undefined) {
    throw new Error(fault);
  }
}

/** The directory, or its nearest existing parent. */
function existingParent(directory: string): string {
  return existsSync(directory) ? directory : existingParent(dirname(directory));
}

/** Instructions if there is too little space to build; undefined if there is enough. */
export function spaceFault(directory: string, freeBytes: number): string | undefined {
  return freeBytes >= NEEDED_BYTES
    ? undefined
    : `building the test cluster takes ${gigabytes(NEEDED_BYTES)}, and ${directory} has ${gigabytes(freeBytes)}: free some`;
}

function gigabytes(bytes: number): string {
  return `${(bytes / 1e9).toFixed(1)} GB`;
}

/** A hash of everything that affects the build. */
function sourceHash(): string {
  const hash = createHash('sha256');
  for (const { name } of PROGRAMS) {
    for (const file of readdirSync(join(SOURCES, name)).toSorted()) {
      hash.update(`${name}/${file}\n`).update(readFileSync(join(SOURCES, name, file)));
    }
  }
  return hash.digest('hex').slice(0, 12);
}
