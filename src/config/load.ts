import type { ConfigWith, Requirement } from './config.ts';
import { EVERYTHING } from './config.ts';
import type { Environment } from './environment.ts';
import { overlayEnvironment, read, unknownVariables } from './environment.ts';
import type { Fault, Place } from './fault.ts';
import { ConfigError } from './fault.ts';
import { listKeys } from './keys.ts';
import { lapses, unknownKeys } from './lapses.ts';
import type { Findings } from './reader.ts';
import { emptyTree, readNode } from './reader.ts';
import { isPublicKey, resolve } from './resolve.ts';
import { ruleFaults, valueAt } from './rules.ts';
import { FILE } from './schema.ts';
import { showValue } from './show.ts';
import { placeOf, validate } from './validate.ts';
import { parseYaml } from './yaml-source.ts';

type Tree = Record<string, unknown>;

export interface LoadOptions<R extends Requirement = Requirement> {
  /** The file; without it `FACTEUR_CONFIG_FILE` names it; without either the environment alone must do. */
  readonly path?: string | undefined;
  readonly env: Environment;
  /** Reads a text file; rejects as `node:fs` does. */
  readonly readFile: (path: string) => Promise<string>;
  /** The groups that must be whole; all of them unless said otherwise. */
  readonly require?: readonly R[] | undefined;
  /** For `config check`: what is only a warning at start-up, such as an unknown key, counts as a fault. */
  readonly strict?: boolean | undefined;
}

export interface ConfigResult<R extends Requirement = Requirement> {
  readonly config: ConfigWith<R>;
  /** What an operator should know and what keeps nothing from running. */
  readonly warnings: readonly Fault[];
  /** Where each configured key was written; keys that are not here have their default. */
  readonly sources: Readonly<Record<string, Place>>;
  /** Every key's value as it may be shown: secrets as `***`; undefined when there is none. */
  readonly shown: Readonly<Record<string, unknown>>;
}

/**
 * Reads the configuration from the file and the environment.
 *
 * @throws {ConfigError} with everything that is wrong, when anything is
 */
export async function loadConfig<R extends Requirement = Requirement>(
  options: LoadOptions<R>,
): Promise<ConfigResult<R>> {
  const { env, strict = false } = options;
  const findings: Findings = { places: new Map(), broken: new Set(), faults: [], unknown: [] };
  const keys = listKeys();
  const tree = await readFileTree(options, findings);
  overlayEnvironment(tree, keys, env, findings);

  const { values, faults } = validate(tree, findings);
  const doubtful = [...unknownKeys(findings, keys), ...lapses(tree, findings)];
  const required: readonly Requirement[] = options.require ?? EVERYTHING;
  const all = [...findings.faults, ...faults, ...ruleFaults(tree, findings, required), ...(strict ? doubtful : [])];
  const warnings = [...(strict ? [] : inOrder(doubtful)), ...notes(tree, findings), ...unknownVariables(keys, env)];
  if (values === undefined || all.length > 0) {
    throw new ConfigError(inOrder(all), { warnings });
  }
  return {
    // The rules above reported every required group that is not whole.
    config: resolve(values, env) as ConfigWith<R>,
    warnings,
    sources: Object.fromEntries([...findings.places].filter(([path]) => keys.some((info) => info.key === path))),
    shown: Object.fromEntries(keys.map((info) => [info.key, showValue(info, valueAt(tree, info.key))])),
  };
}

async function readFileTree(options: LoadOptions, findings: Findings): Promise<Tree> {
  const path = options.path ?? read(options.env, 'FACTEUR_CONFIG_FILE');
  if (path === undefined) {
    return emptyTree();
  }
  const text = await options.readFile(path).catch((error: unknown) => {
    throw new ConfigError([{ file: path, key: '', message: `the file cannot be read${reason(error)}` }], {
      cause: error,
    });
  });
  const source = parseYaml(text, path);
  if (source.faults.length > 0) {
    // What else such a file says is a guess, and faults from guesses would mislead.
    throw new ConfigError(source.faults);
  }
  return (readNode(FILE, source.root, '', { ...source, findings }) ?? emptyTree()) as Tree;
}

const REASONS: Readonly<Record<string, string>> = {
  ENOENT: ': it does not exist',
  EACCES: ': permission denied',
  EISDIR: ': it is a directory',
};

function reason(error: unknown): string {
  const code = error instanceof Error && 'code' in error ? String(error.code) : '';
  return REASONS[code] ?? (code === '' ? '' : ` (${code})`);
}

/** Faults in the order of the file, then those of the environment, then what is missing altogether. */
function inOrder(faults: readonly Fault[]): readonly Fault[] {
  const rank = ({ line, column = 0, variable }: Fault): number => {
    if (line !== undefined) {
      return line + Math.min(column, 999_999) / 1_000_000;
    }
    return variable === undefined ? Number.POSITIVE_INFINITY : Number.MAX_SAFE_INTEGER;
  };
  // Of equal rank, the order in which they were found stays. (Infinity minus itself is no number.)
  return faults.toSorted((a, b) => (rank(a) === rank(b) ? 0 : rank(a) - rank(b)));
}

function notes(tree: Tree, findings: Findings): readonly Fault[] {
  const key = 'discord.public_key';
  const value = valueAt(tree, key);
  return typeof value !== 'string' || isPublicKey(value)
    ? []
    : [
        {
          ...placeOf(key.split('.'), findings),
          key,
          message: `${key} is not 64 hex digits, so /discord/interactions answers 503`,
        },
      ];
}
