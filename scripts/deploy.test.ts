import { execFileSync, spawnSync } from 'node:child_process';
import { chmodSync, cpSync, existsSync, mkdirSync, mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { parse } from 'yaml';
import { USAGE } from './deploy/options.ts';
import { afterEach, beforeEach, describe, expect, test } from 'vitest';

const ROOT = join(import.meta.dirname, '..');
const DIGEST = `sha256:${'ab'.repeat(32)}`;
const IMAGE = 'ghcr.io/proompteng/facteur';
const READY = {
  metadata: { generation: 2 },
  status: {
    observedGeneration: 2,
    latestCreatedRevisionName: 'facteur-00002',
    latestReadyRevisionName: 'facteur-00002',
    conditions: [{ type: 'Ready', status: 'True' }],
  },
};

/** A repository with the layout of this one, and a folder of fake executables that record their calls. */
let root: string;
let folder: string;

beforeEach(() => {
  folder = mkdtempSync(join(tmpdir(), 'deploy-'));
  root = join(folder, 'repository');
  mkdirSync(join(folder, 'bin'));
  mkdirSync(root);
  cpSync(join(ROOT, 'deploy'), join(root, 'deploy'), { recursive: true });
  writeFileSync(join(root, 'package.json'), '{"version":"1.2.3"}');
  git('init', '--quiet');
  git('add', '.');
  git('-c', 'user.name=t', '-c', 'user.email=t@example.org', 'commit', '--quiet', '--message', 'first');
  docker();
  kubectl([READY]);
});

afterEach(() => {
  rmSync(folder, { recursive: true });
});

function git(...args: string[]): string {
  return execFileSync('git', args, { cwd: root, encoding: 'utf8' }).trim();
}

/** Puts an executable on PATH that records its call and then runs the shell script. */
function standIn(name: string, script: string): void {
  const path = join(folder, 'bin', name);
  writeFileSync(path, `#!/bin/bash\necho "${name} $*" >>'${folder}/calls'\n${script}\n`);
  chmodSync(path, 0o755);
}

function docker(status = 0): void {
  standIn(
    'docker',
    `all="$*"
    case "$all" in
      *' build '*) file=\${all#*--metadata-file }; echo '{"containerimage.digest":"${DIGEST}"}' >"\${file%% *}" ;;
      *imagetools*) echo '{"digest":"${DIGEST}","size":1}' ;;
    esac
    exit ${status}`,
  );
}

/** A fake kubectl. Its Knative Service has these states, one per query, the last one forever. */
function kubectl(states: readonly object[], failing = 'nothing'): void {
  const labels = { 'app.kubernetes.io/name': 'facteur' };
  const rendered = [
    {
      apiVersion: 'serving.knative.dev/v1',
      kind: 'Service',
      metadata: { name: 'facteur', namespace: 'facteur', labels },
    },
    { apiVersion: 'apps/v1', kind: 'Deployment', metadata: { name: 'facteur-consumer', namespace: 'facteur', labels } },
    { apiVersion: 'v1', kind: 'Service', metadata: { name: 'facteur-discord', namespace: 'facteur', labels } },
  ];
  writeFileSync(join(folder, 'rendered'), rendered.map((manifest) => JSON.stringify(manifest)).join('\n---\n'));
  writeFileSync(join(folder, 'states'), states.map((state) => `${JSON.stringify(state)}\n`).join(''));
  standIn(
    'kubectl',
    `case "$*" in
      *${failing}*) exit 3 ;;
      *kustomize*) cat '${folder}/rendered' ;;
      *' get '*) head -n "$(grep -c ' get ' '${folder}/calls')" '${folder}/states' | tail -n 1 ;;
    esac`,
  );
}

function deploy(args: readonly string[] = [], env: Record<string, string> = {}) {
  const { status, stdout, stderr } = spawnSync(process.execPath, [join(ROOT, 'scripts/deploy.ts'), ...args], {
    cwd: root,
    env: { PATH: `${join(folder, 'bin')}:${process.env['PATH']}`, ...env },
    encoding: 'utf8',
  });
  return { status, lines: stdout.trimEnd().split('\n'), stderr };
}

function calls(): string[] {
  const path = join(folder, 'calls');
  return existsSync(path) ? readFileSync(path, 'utf8').trimEnd().split('\n') : [];
}

function kustomization(overlay = 'knative'): string {
  return readFileSync(join(root, 'deploy/overlays', overlay, 'kustomization.yaml'), 'utf8');
}

describe('npm run deploy', () => {
  test('builds, pushes, writes the image to the kustomization, applies, waits and prints what runs', () => {
    const commit = git('rev-parse', 'HEAD');
    const { status, lines, stderr } = deploy();
    expect({ status, stderr }).toEqual({ status: 0, stderr: '' });
    expect(calls()).toEqual([
      'kubectl kustomize deploy/overlays/knative',
      expect.stringMatching(
        new RegExp(
          `^docker buildx build --platform linux/amd64,linux/arm64 --tag ${IMAGE}:${commit} --build-arg FACTEUR_VERSION=1\\.2\\.3 ` +
            `--build-arg FACTEUR_COMMIT=${commit} --provenance=mode=max --sbom=true --metadata-file \\S+ --push \\.$`,
        ),
      ),
      'kubectl apply -k deploy/overlays/knative',
      'kubectl --namespace facteur get services.serving.knative.dev facteur --output json',
      'kubectl --namespace facteur rollout status deployment/facteur-consumer --timeout=300s',
    ]);
    expect(lines).toContain(`running: ${IMAGE}:${commit}@${DIGEST}`);
    expect(parse(kustomization()).images).toEqual([
      { name: 'facteur', newName: IMAGE, newTag: commit, digest: DIGEST },
    ]);
  });

  test('changes nothing else of the kustomization', () => {
    const before = kustomization().split('\n');
    deploy();
    const after = kustomization().split('\n');
    expect(before.filter((line) => !after.includes(line))).toEqual(['    newTag: main']);
    expect(after.filter((line) => !before.includes(line))).toEqual([
      `    newTag: ${git('rev-parse', 'HEAD')}`,
      `    digest: ${DIGEST}`,
    ]);
    // A second deploy can read the written file and write it again.
    expect(deploy(['--allow-dirty'], { FACTEUR_IMAGE_TAG: '1.2.4' }).status).toBe(0);
    expect(kustomization().split('\n')).toEqual(
      after.map((line) => (line.startsWith('    newTag: ') ? '    newTag: 1.2.4' : line)),
    );
  });

  test('uses the configured destination', () => {
    const env = { FACTEUR_IMAGE_REGISTRY: 'ghcr.io', FACTEUR_IMAGE_REPOSITORY: 'me/facteur', FACTEUR_IMAGE_TAG: 'v7' };
    const { status } = deploy(
      ['--overlay', 'kubernetes', '--context', 'staging', '--platform', 'linux/arm64', '--timeout', '9'],
      env,
    );
    expect(status).toBe(0);
    expect(calls()).toContainEqual(expect.stringContaining('--platform linux/arm64 --tag ghcr.io/me/facteur:v7 '));
    expect(calls()).toContain('kubectl --context staging apply -k deploy/overlays/kubernetes');
    expect(calls()).toContainEqual(
      expect.stringMatching(/--context staging --namespace facteur rollout status .* --timeout=9s$/),
    );
    expect(parse(kustomization('kubernetes')).images[0]).toMatchObject({ newName: 'ghcr.io/me/facteur', newTag: 'v7' });
    expect(git('status', '--porcelain')).toBe('M deploy/overlays/kubernetes/kustomization.yaml');
  });

  test('prints every command in a dry run, and changes nothing', () => {
    const { status, lines } = deploy(['--dry-run']);
    expect(status).toBe(0);
    expect(calls()).toEqual(['kubectl kustomize deploy/overlays/knative']);
    expect(git('status', '--porcelain')).toBe('');
    const printed = lines.filter((line) => line.startsWith('+ ')).map((line) => line.slice(2));
    expect(lines.at(-1)).toBe('nothing was changed');
    rmSync(join(folder, 'calls'));
    deploy();
    const withoutFolder = (line: string): string => line.replace(/facteur-deploy-\w+/, '');
    expect(printed.filter((line) => !line.startsWith('git ')).map(withoutFolder)).toEqual(calls().map(withoutFolder));
  });

  test('refuses a tree with uncommitted changes before the build', () => {
    writeFileSync(join(root, 'new'), '');
    const { status, stderr } = deploy();
    expect(status).toBe(1);
    expect(stderr).toBe(
      'deploy: the tree has changes that no commit holds; commit them, or say --allow-dirty:\n?? new\n',
    );
    expect(calls()).toEqual(['kubectl kustomize deploy/overlays/knative']);
  });

  test('marks the tag of a tree with uncommitted changes as dirty', () => {
    writeFileSync(join(root, 'new'), '');
    expect(deploy(['--allow-dirty']).status).toBe(0);
    expect(parse(kustomization()).images[0].newTag).toBe(`${git('rev-parse', 'HEAD')}-dirty`);
  });

  test('rolls back to an existing image', () => {
    writeFileSync(join(root, 'new'), '');
    expect(deploy(['--skip-build'], { FACTEUR_IMAGE_TAG: 'v6' }).status).toBe(0);
    expect(calls()).toContain(`docker buildx imagetools inspect ${IMAGE}:v6 --format {{json .Manifest}}`);
    expect(calls().filter((line) => line.includes('buildx build'))).toEqual([]);
    expect(parse(kustomization()).images[0]).toMatchObject({ newTag: 'v6', digest: DIGEST });
  });

  test('waits until Knative has seen the change and is ready', () => {
    const unseen = { ...READY, metadata: { generation: 3 } };
    const starting = {
      ...READY,
      status: { ...READY.status, conditions: [{ type: 'Ready', status: 'Unknown', message: 'pulling' }] },
    };
    kubectl([unseen, starting, READY]);
    const { status, lines } = deploy();
    expect(status).toBe(0);
    expect(lines).toContain('  the change has not been seen yet');
    expect(lines).toContain('  pulling');
    expect(calls().filter((line) => line.includes(' get '))).toHaveLength(3);
  });

  test('times out if a revision does not start, and prints the reason', () => {
    const broken = {
      ...READY,
      status: { ...READY.status, conditions: [{ type: 'Ready', status: 'False', message: 'image not found' }] },
    };
    kubectl([broken]);
    const { status, stderr } = deploy(['--timeout', '1']);
    expect({ status, stderr }).toEqual({
      status: 1,
      stderr: 'deploy: facteur is not rolled out after 1 s: image not found\n',
    });
  });

  test('stops if a command fails', () => {
    docker(5);
    expect(deploy()).toMatchObject({ status: 1, stderr: 'deploy: docker buildx ended with 5\n' });
    expect(git('status', '--porcelain')).toBe('');
    docker();
    kubectl([READY], 'apply');
    expect(deploy()).toMatchObject({ status: 1, stderr: 'deploy: kubectl apply ended with 3\n' });
    expect(calls().filter((line) => line.includes(' get '))).toEqual([]);
  });

  test('exits with 2 for wrong usage, and runs nothing', () => {
    expect(deploy(['--overlay', 'nowhere'])).toMatchObject({
      status: 2,
      stderr: expect.stringMatching(/^deploy: --overlay: .+\n$/),
    });
    expect(calls()).toEqual([]);
  });

  test('prints its usage', () => {
    expect(deploy(['--help'])).toMatchObject({ status: 0, stderr: '', lines: USAGE.split('\n') });
  });
});
