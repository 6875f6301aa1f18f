/**
 * Deploys a build: builds and pushes the image, writes tag and digest into the overlay, applies it, and waits. See `npm run
 * deploy -- --help`.
 *
 * A dry run also executes read-only commands, so it prints exactly what would happen.
 */
import { existsSync, mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { setTimeout as wait } from 'node:timers/promises';
import { createCommands, type Commands } from './deploy/commands.ts';
import { imageName, withImage } from './deploy/kustomization.ts';
import { parseOptions, USAGE, UsageError, type DeployOptions } from './deploy/options.ts';
import { knativeProgress, rolloutsOf, type Rollout } from './deploy/rollout.ts';

const POLL_MS = 2_000;
/** Placeholder digest in a dry run, which does not build the image. */
const UNKNOWN_DIGEST = `sha256:${'0'.repeat(64)}`;

interface Deployment {
  readonly options: DeployOptions;
  readonly commands: Commands;
  readonly print: (line: string) => void;
  /** The repository's folder. */
  readonly root: string;
}

/** @throws Error with a one-line message on any failure */
async function deploy(deployment: Deployment): Promise<void> {
  const { options, commands, print, root } = deployment;
  const kustomization = join(root, 'deploy/overlays', options.overlay, 'kustomization.yaml');
  if (!existsSync(kustomization)) {
    throw new UsageError(`--overlay: there is no ${kustomization}`);
  }
  // Rendered before the build: an overlay that cannot be rendered cannot be applied.
  const folder = join('deploy/overlays', options.overlay);
  const rollouts = rolloutsOf(commands.read('kubectl', 'kustomize', folder));
  const commit = commands.read('git', 'rev-parse', 'HEAD').trim();
  const dirty = checkTree(deployment);
  const name = imageName(readFileSync(kustomization, 'utf8'), options);
  const tag = options.tag ?? `${commit}${dirty ? '-dirty' : ''}`;
  const digest = options.skipBuild ? find(deployment, `${name}:${tag}`) : build(deployment, `${name}:${tag}`, commit);

  print(`${kustomization}: ${name}:${tag}@${digest}`);
  if (!options.dryRun) {
    writeFileSync(kustomization, withImage(readFileSync(kustomization, 'utf8'), { name, tag, digest }));
  }
  const kubectl = options.context === undefined ? [] : ['--context', options.context];
  commands.run('kubectl', ...kubectl, 'apply', '-k', folder);
  for (const rollout of rollouts) {
    await waitFor(rollout, deployment, kubectl);
  }
  if (options.dryRun) {
    print('nothing was changed');
  } else {
    print(`running: ${name}:${tag}@${digest}`);
    print(`commit ${folder}/kustomization.yaml, or whoever applies it next goes back`);
  }
}

/** Whether the tree has uncommitted changes. @throws Error if it has, unless that is allowed */
function checkTree({ commands, options }: Deployment): boolean {
  const changes = commands.read('git', 'status', '--porcelain').trimEnd();
  // An existing image does not depend on this tree.
  if (changes !== '' && !options.allowDirty && !options.skipBuild) {
    throw new Error(`the tree has changes that no commit holds; commit them, or say --allow-dirty:\n${changes}`);
  }
  return changes !== '';
}

/** Builds the image for all platforms and pushes it, with an SBOM and provenance. Returns the digest. */
function build({ commands, options, root }: Deployment, image: string, commit: string): string {
  const { version } = JSON.parse(readFileSync(join(root, 'package.json'), 'utf8')) as { readonly version: string };
  const folder = mkdtempSync(join(tmpdir(), 'facteur-deploy-'));
  const metadata = join(folder, 'metadata.json');
  try {
    commands.run(
      'docker',
      ...['buildx', 'build', '--platform', options.platforms, '--tag', image],
      ...['--build-arg', `FACTEUR_VERSION=${version}`, '--build-arg', `FACTEUR_COMMIT=${commit}`],
      ...['--provenance=mode=max', '--sbom=true', '--metadata-file', metadata, '--push', '.'],
    );
    return options.dryRun ? UNKNOWN_DIGEST : digestIn(readFileSync(metadata, 'utf8'), 'containerimage.digest');
  } finally {
    rmSync(folder, { recursive: true });
  }
}

function find({ commands }: Deployment, image: string): string {
  return digestIn(
    commands.read('docker', 'buildx', 'imagetools', 'inspect', image, '--format', '{{json .Manifest}}'),
    'digest',
  );
}

function digestIn(json: string, key: string): string {
  const digest = (JSON.parse(json) as Record<string, unknown>)[key];
  if (typeof digest !== 'string' || !/^sha256:[0-9a-f]{64}$/.test(digest)) {
    throw new Error(`docker said nothing of a digest (${key})`);
  }
  return digest;
}

async function waitFor(
  { kind, name, namespace }: Rollout,
  { commands, options, print }: Deployment,
  kubectl: string[],
): Promise<void> {
  const where = [...kubectl, '--namespace', namespace];
  if (kind === 'Deployment') {
    commands.run(
      'kubectl',
      ...where,
      'rollout',
      'status',
      `deployment/${name}`,
      `--timeout=${options.timeoutSeconds}s`,
    );
    return;
  }
  const get = [...where, 'get', 'services.serving.knative.dev', name, '--output', 'json'];
  if (options.dryRun) {
    commands.run('kubectl', ...get);
    return;
  }
  const deadline = Date.now() + options.timeoutSeconds * 1000;
  for (;;) {
    const { ready, detail } = knativeProgress(commands.read('kubectl', ...get));
    if (ready) {
      return;
    }
    if (Date.now() > deadline) {
      throw new Error(`${name} is not rolled out after ${options.timeoutSeconds} s: ${detail}`);
    }
    print(`  ${detail}`);
    await wait(POLL_MS);
  }
}

try {
  const options = parseOptions(process.argv.slice(2), process.env);
  const [root, print] = [process.cwd(), console.log];
  if (options === undefined) {
    print(USAGE);
  } else {
    await deploy({ options, print, root, commands: createCommands(root, options.dryRun, print) });
  }
} catch (error) {
  console.error(`deploy: ${error instanceof Error ? error.message : String(error)}`);
  process.exitCode = error instanceof UsageError ? 2 : 1;
}
