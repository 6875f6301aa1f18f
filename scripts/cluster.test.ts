import { execFile, spawnSync } from 'node:child_process';
import { chmodSync, existsSync, mkdirSync, mkdtempSync, readdirSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { promisify } from 'node:util';
import { afterEach, beforeEach, expect, test, vi } from 'vitest';
import { startSimulatedCluster } from '../sandbox/cluster/cluster.ts';
import { ensureBinaries, removeOldBinaries, spaceFault } from './cluster/binaries.ts';
import { LocalCluster } from './cluster/local-cluster.ts';

const SCRIPT = join(import.meta.dirname, 'cluster.ts');

let folder: string;
beforeEach(() => {
  folder = mkdtempSync(join(tmpdir(), 'facteur-cluster-test-'));
});
afterEach(() => rmSync(folder, { recursive: true }));

function cluster(args: readonly string[], kubeconfig: string) {
  const { status, stdout, stderr } = spawnSync(process.execPath, [SCRIPT, ...args], {
    env: { ...process.env, FACTEUR_TEST_KUBECONFIG: kubeconfig },
    encoding: 'utf8',
  });
  return { status, out: stdout, err: stderr };
}

test.each([
  ['does not exist', undefined, 'no such file'],
  ['is invalid', 'hello', 'not a kubeconfig'],
  ['points to no server', kubeconfigOf('http://127.0.0.1:1'), 'ECONNREFUSED'],
])('a kubeconfig that %s fails with one line that says what to do', (_what, text, why) => {
  const file = join(folder, 'config');
  if (text !== undefined) {
    writeFileSync(file, text);
  }
  const { status, out, err } = cluster(['run', '--', 'echo', 'ran'], file);
  expect({ status, out }).toEqual({ status: 1, out: '' });
  expect(err).toMatch(
    /^cluster: [^\n]* leads to no cluster with Argo Workflows [^\n]*FACTEUR_TEST_KUBECONFIG[^\n]*\n$/,
  );
  expect(err).toContain(why);
});

test('uses the configured cluster', async () => {
  const simulated = await startSimulatedCluster();
  try {
    const file = join(folder, 'config');
    writeFileSync(file, simulated.kubeconfig());
    const env = { ...process.env, FACTEUR_TEST_KUBECONFIG: file, FACTEUR_TEST_ARGO: '/argo' };
    const { stdout, stderr } = await promisify(execFile)(process.execPath, [SCRIPT, 'up'], { env });
    expect(stdout + stderr).toBe(`export FACTEUR_TEST_KUBECONFIG='${file}'\nexport FACTEUR_TEST_ARGO='/argo'\n`);
  } finally {
    await simulated.close();
  }
});

test('removes builds of older sources and leftovers of killed builds, but not a running build', () => {
  const over = spawnSync(process.execPath, ['--version']).pid;
  const stale = ['cluster-0123456789ab', `cluster-draft-${over}-abc`];
  const others = [`cluster-draft-${process.pid}-abc`, 'cluster-notes', 'kafka-jars-0123456789ab'];
  for (const name of [...stale, ...others]) {
    mkdirSync(join(folder, name, 'definitions'), { recursive: true });
  }
  const said: string[] = [];
  removeOldBinaries({ cache: folder, say: (line) => said.push(line) });
  expect(readdirSync(folder).toSorted()).toEqual(others.toSorted());
  expect(said.toSorted()).toEqual(
    stale.map((name) => `removing ${join(folder, name)}, which nothing uses any more`).toSorted(),
  );
});

test('fails without Go, says what to do, and leaves nothing behind', () => {
  vi.stubEnv('PATH', folder);
  expect(() => ensureBinaries({ cache: folder, say: () => undefined })).toThrow(
    /^the test cluster is built with Go, which is not on PATH: install Go 1\.26 [^\n]*$/,
  );
  expect(readdirSync(folder)).toEqual([]);
});

test('fails with one line if Go is too old', () => {
  const go = join(folder, 'go');
  writeFileSync(go, '#!/bin/sh\n[ "$1" = version ] || { echo "go: go.mod requires go >= 1.26" >&2; exit 1; }\n');
  chmodSync(go, 0o755);
  vi.stubEnv('PATH', `${folder}:${process.env['PATH'] ?? ''}`);
  expect(() => ensureBinaries({ cache: join(folder, 'cache'), say: () => undefined })).toThrow(
    /^Go cannot read test\/cluster\/server\/go\.mod: go: go\.mod requires go >= 1\.26 \(needed is Go 1\.26, [^\n]*\)$/,
  );
});

test('reports the required and the free disk space if there is too little', () => {
  expect(spaceFault('/cache', 2e9)).toMatch(
    /^building the test cluster takes 8\.0 GB, and \/cache has 2\.0 GB: free some$/,
  );
  expect(spaceFault('/cache', 9e9)).toBeUndefined();
});

test('a port that was taken meanwhile fails with one line, and leaves nothing behind', async () => {
  const server = join(folder, 'server');
  writeFileSync(server, '#!/bin/sh\necho "listen tcp 127.0.0.1:1: bind: address already in use"\nexit 1\n');
  chmodSync(server, 0o755);
  const local = await LocalCluster.create({ server, argo: server, definitions: folder });
  await expect(local.start('etcd')).rejects.toThrow(
    /^a port of etcd was free and has been taken meanwhile: try again$/,
  );
  expect(existsSync(local.folder)).toBe(false);
});

function kubeconfigOf(server: string): string {
  return JSON.stringify({
    'current-context': 'c',
    clusters: [{ name: 'c', cluster: { server } }],
    users: [{ name: 'u', user: {} }],
    contexts: [{ name: 'c', context: { cluster: 'c', user: 'u' } }],
  });
}
