import { parseArgs } from 'node:util';

/** The options of one deployment. */
export interface DeployOptions {
  /** A folder of deploy/overlays. */
  readonly overlay: string;
  /** Context of the kubeconfig; the current one if undefined. */
  readonly context: string | undefined;
  readonly platforms: string;
  /** Registry; that of the overlay's image if undefined. */
  readonly registry: string | undefined;
  /** Repository; that of the overlay's image if undefined. */
  readonly repository: string | undefined;
  /** Tag; the commit if undefined. */
  readonly tag: string | undefined;
  readonly timeoutSeconds: number;
  readonly dryRun: boolean;
  readonly allowDirty: boolean;
  readonly skipBuild: boolean;
}

/** Wrong usage: exit code 2. */
export class UsageError extends Error {}

export const USAGE = `npm run deploy -- [--overlay NAME] [--context NAME] [--dry-run] [--allow-dirty] [--skip-build]
                  [--platform LIST] [--timeout SECONDS]

Builds the image, pushes it, writes its tag and digest into deploy/overlays/NAME/kustomization.yaml, applies the overlay, waits
until it runs, and says which digest that is.

  --overlay NAME      knative unless said otherwise
  --context NAME      of the kubeconfig; the current one unless said otherwise
  --dry-run           prints every command and changes nothing
  --allow-dirty       deploys what was not committed; the tag ends in -dirty
  --skip-build        deploys the image that FACTEUR_IMAGE_TAG names: the way back
  --platform LIST     linux/amd64,linux/arm64 unless said otherwise
  --timeout SECONDS   how long a rollout may take: 300 unless said otherwise

  FACTEUR_IMAGE_REGISTRY     that of the overlay's image unless set
  FACTEUR_IMAGE_REPOSITORY   that of the overlay's image unless set
  FACTEUR_IMAGE_TAG          the commit unless set`;

type Environment = Readonly<Record<string, string | undefined>>;

/**
 * Reads the command line and the environment.
 *
 * @returns undefined if only help was requested
 * @throws UsageError
 */
export function parseOptions(args: readonly string[], env: Environment): DeployOptions | undefined {
  const values = parseFlags(args);
  if (values.help) {
    return undefined;
  }
  const tag = valueOf(env, 'FACTEUR_IMAGE_TAG');
  if (values['skip-build'] && tag === undefined) {
    throw new UsageError('--skip-build deploys an image that is there: say which in FACTEUR_IMAGE_TAG');
  }
  if (!/^[a-z0-9-]+$/.test(values.overlay)) {
    throw new UsageError('--overlay: the name of a folder in deploy/overlays');
  }
  if (tag !== undefined && !/^\w[\w.-]{0,127}$/.test(tag)) {
    throw new UsageError('FACTEUR_IMAGE_TAG: letters, digits, _ . and -, at most 128');
  }
  return {
    overlay: values.overlay,
    context: values.context,
    platforms: values.platform,
    registry: valueOf(env, 'FACTEUR_IMAGE_REGISTRY'),
    repository: valueOf(env, 'FACTEUR_IMAGE_REPOSITORY'),
    tag,
    timeoutSeconds: seconds(values.timeout),
    dryRun: values['dry-run'],
    allowDirty: values['allow-dirty'],
    skipBuild: values['skip-build'],
  };
}

function parseFlags(args: readonly string[]) {
  try {
    return parseArgs({
      args: [...args],
      options: {
        overlay: { type: 'string', default: 'knative' },
        context: { type: 'string' },
        platform: { type: 'string', default: 'linux/amd64,linux/arm64' },
        timeout: { type: 'string', default: '300' },
        'dry-run': { type: 'boolean', default: false },
        'allow-dirty': { type: 'boolean', default: false },
        'skip-build': { type: 'boolean', default: false },
        help: { type: 'boolean', default: false },
      },
    }).values;
  } catch (error) {
    throw new UsageError(error instanceof Error ? error.message : String(error), { cause: error });
  }
}

function seconds(text: string): number {
  if (!/^[1-9]\d{0,4}$/.test(text)) {
    throw new UsageError('--timeout: a whole number of seconds');
  }
  return Number(text);
}

function valueOf(env: Environment, name: string): string | undefined {
  const value = env[name]?.trim();
  return value === '' ? undefined : value;
}
