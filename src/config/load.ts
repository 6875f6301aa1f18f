import { errorMessage, fileProblem } from '../base/errors.ts';
import { LOG_LEVELS, logLevel } from '../base/log-level.ts';
import { type ConfigWith, type Requirement, EVERYTHING } from './config.ts';
import { readProxies } from './egress-proxy.ts';
import { type Environment, overlayEnvironment, read, unknownVariables } from './environment.ts';
import { type Fault, type Place, ConfigError, formatPlace } from './fault.ts';
import { listKeys, type KeyInfo } from './keys.ts';
import { idleRules, lapses, unknownKeys } from './lapses.ts';
import { type Findings, emptyTree, readNode } from './reader.ts';
import { isPublicKey, resolve } from './resolve.ts';
import { ruleFaults, valueAt } from './rules.ts';
import { FILE } from './schema.ts';
import { withSecretFiles } from './secret-files.ts';
import { placeOf, validate } from './validate.ts';
import { encodingFault, parseYaml } from './yaml-source.ts';
import { redactUrl } from '../base/secret.ts';
import { completeDsn } from './postgres-dsn.ts';

type Tree = Record<string, unknown>;

/** Where a configuration comes from. */
interface ConfigSource {
  /** The file; defaults to `FACTEUR_CONFIG_FILE`. Without either, only the environment is read. */
  readonly path?: string | undefined;
  readonly env: Environment;
  /** Reads a text file; rejects as `node:fs` does. */
  readonly readFile: (path: string) => Promise<string>;
}

export interface LoadOptions<R extends Requirement = Requirement> extends ConfigSource {
  /** The groups that must be complete; all by default. */
  readonly require?: readonly R[] | undefined;
  /** The groups that the command reads, by the first part of their keys; errors in others are warnings. All by default. */
  readonly reads?: ((group: string) => boolean) | undefined;
  /** For `config check`: treats start-up warnings, such as unknown keys, as errors. */
  readonly strict?: boolean | undefined;
}

export interface ConfigResult<R extends Requirement = Requirement> {
  readonly config: ConfigWith<R>;
  /** Problems that an operator should know about but that do not prevent a start. */
  readonly warnings: readonly Fault[];
  /** Where each configured key was written; keys that are not here have their default. */
  readonly sources: Readonly<Record<string, Place>>;
  /** Every key's printable value: secrets as `***`; undefined without a value. */
  readonly shown: Readonly<Record<string, unknown>>;
}

/**
 * Reads the configuration from the file and the environment.
 *
 * @throws {ConfigError} with all errors, if there are any
 */
export async function loadConfig<R extends Requirement = Requirement>(
  options: LoadOptions<R>,
): Promise<ConfigResult<R>> {
  const { env, strict = false } = options;
  const written = await readWritten(options);
  const { tree, findings, keys } = written;
  const required: readonly Requirement[] = options.require ?? EVERYTHING;
  const { values, faults, unread } = validateRead(written, required, options);
  const doubtful = doubts(written);
  const all = [...faults, ...proxyFaults(env), ...(strict ? doubtful : [])];
  const warnings = warningsOf(written, [...unread, ...(strict ? [] : doubtful)], env);
  if (values === undefined || all.length > 0) {
    throw new ConfigError(inOrder(all), { warnings: [...warnings, ...unreadFile(options, all)] });
  }
  return {
    // The rules above reported every required group that is incomplete.
    config: resolve(values, env) as ConfigWith<R>,
    warnings,
    sources: Object.fromEntries([...findings.places].filter(([path]) => keys.some((info) => info.key === path))),
    shown: Object.fromEntries(keys.map((info) => [info.key, showValue(info, valueAt(tree, info.key))])),
  };
}

/**
 * The values, without invalid groups that the command does not read. The Go service started without reading them, and its pods
 * may have a placeholder DSN or a login without its password.
 */
function validateRead(
  { tree, findings }: Written,
  required: readonly Requirement[],
  { env, reads = () => true }: Pick<LoadOptions, 'env' | 'reads'>,
): ReturnType<typeof validate> & { readonly unread: readonly Fault[] } {
  const first = validate(tree, findings);
  const wrong = [...findings.faults, ...first.faults];
  const found = [...wrong, ...ruleFaults(tree, findings, required), ...dsnFaults(tree, wrong, env)];
  const groupOf = ({ key }: Fault): string => /^[^.[]*/.exec(key)?.[0] ?? '';
  const counts = (fault: Fault): boolean => fault.key === '' || reads(groupOf(fault));
  const unread = found.filter((fault) => !counts(fault));
  for (const fault of unread) {
    delete tree[groupOf(fault)];
  }
  const { values } = unread.length === 0 ? first : validate(tree, findings);
  return { values, faults: found.filter(counts), unread };
}

/**
 * Whether a group is enabled, for commands that have nothing to do if it is not: other errors in the configuration do not matter
 * then.
 *
 * @throws {ConfigError} if the file cannot be read, or the switch itself is invalid
 */
export async function isEnabled(
  group: 'consumer',
  source: ConfigSource,
): Promise<Pick<ConfigResult, 'warnings'> & { readonly enabled: boolean }> {
  const written = await readWritten(source);
  const key = `${group}.enabled`;
  const found = [...written.findings.faults, ...validate(written.tree, written.findings).faults];
  const faults = found.filter((fault) => fault.key === key || fault.key === group);
  if (faults.length > 0) {
    throw new ConfigError(faults);
  }
  return {
    enabled: valueAt(written.tree, key) === true,
    warnings: warningsOf(written, doubts(written), source.env),
  };
}

/** The contents of the file and the environment before validation. */
interface Written {
  readonly tree: Tree;
  readonly findings: Findings;
  readonly keys: readonly KeyInfo[];
}

async function readWritten(source: ConfigSource): Promise<Written> {
  const findings: Findings = { places: new Map(), broken: new Set(), faults: [], unknown: [] };
  const keys = listKeys();
  const tree = await readFileTree(source, findings);
  const { env, faults } = await withSecretFiles(source.env, keys, source.readFile);
  findings.faults.push(...faults);
  overlayEnvironment(tree, keys, env, findings);
  return { tree, findings, keys };
}

function doubts({ tree, findings, keys }: Written): readonly Fault[] {
  return [...unknownKeys(findings, keys), ...lapses(tree, findings)];
}

function warningsOf({ tree, findings, keys }: Written, doubtful: readonly Fault[], env: Environment): readonly Fault[] {
  return [
    ...inOrder([...doubtful, ...idleRules(tree, findings)]),
    ...notes(tree, findings),
    ...unknownVariables(keys, env),
    ...logLevelFaults(env),
  ];
}

function logLevelFaults(env: Environment): readonly Fault[] {
  const variable = 'FACTEUR_LOG_LEVEL';
  const level = read(env, variable);
  const message = `must be one of ${LOG_LEVELS.join(', ')}; the level is info`;
  return level === undefined || logLevel(level) !== undefined ? [] : [{ variable, key: '', message }];
}

function proxyFaults(env: Environment): readonly Fault[] {
  try {
    readProxies(env);
    return [];
  } catch (error) {
    return [{ key: '', message: errorMessage(error) }];
  }
}

/** An empty path counts as missing, as in the Go service: `--config "$CONFIG"`. */
function pathOf({ path = '', env }: ConfigSource): string | undefined {
  return path === '' ? read(env, 'FACTEUR_CONFIG_FILE') : path;
}

/** A hint that the file was not named, if none was read and several keys are missing. A missing key has no place. */
function unreadFile(source: ConfigSource, faults: readonly Fault[]): readonly Fault[] {
  const missing = faults.filter((fault) => fault.key !== '' && formatPlace(fault) === '');
  return pathOf(source) === undefined && missing.length > 1
    ? [{ key: '', message: 'no configuration file was read; name one with --config or FACTEUR_CONFIG_FILE' }]
    : [];
}

/** @param wrong faults found before: an invalid DSN needs no second error */
function dsnFaults(tree: Tree, wrong: readonly Fault[], env: Environment): readonly Fault[] {
  const key = 'postgres.dsn';
  const dsn = valueAt(tree, key);
  if (typeof dsn !== 'string' || wrong.some((fault) => fault.key === key)) {
    return [];
  }
  try {
    completeDsn(dsn.trim(), env);
    return [];
  } catch (error) {
    return [{ key, message: `${key}, completed by the PG variables of the environment, ${errorMessage(error)}` }];
  }
}

async function readFileTree(options: ConfigSource, findings: Findings): Promise<Tree> {
  const path = pathOf(options);
  if (path === undefined) {
    return emptyTree();
  }
  const text = await options.readFile(path).catch((error: unknown) => {
    throw new ConfigError([{ file: path, key: '', message: `cannot read the file: ${fileProblem(error)}` }], {
      cause: error,
    });
  });
  const encoding = encodingFault(text, path);
  if (encoding !== undefined) {
    throw new ConfigError([encoding]);
  }
  const source = parseYaml(text, path);
  if (source.faults.length > 0) {
    // After a syntax error the rest of the file is a guess, and errors in a guess would mislead.
    throw new ConfigError(source.faults);
  }
  return (readNode(FILE, source.root, '', { ...source, findings }) ?? emptyTree()) as Tree;
}

/** Errors in the order of the file, then those of the environment, then missing keys. */
function inOrder(faults: readonly Fault[]): readonly Fault[] {
  const rank = ({ line, column = 0, variable }: Fault): number => {
    if (line !== undefined) {
      return line + Math.min(column, 999_999) / 1_000_000;
    }
    return variable === undefined ? Number.POSITIVE_INFINITY : Number.MAX_SAFE_INTEGER;
  };
  // Equal ranks keep the order in which they were found. (Infinity minus itself is not a number.)
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

/** The configured or default value of a key in printable form: secrets as `***`, URLs without their password. */
function showValue(info: Pick<KeyInfo, 'secret' | 'fallback'>, written: unknown): unknown {
  const value = written ?? info.fallback;
  if (value === undefined || info.secret === 'no') {
    return value;
  }
  if (Array.isArray(value)) {
    return value.map(() => '***');
  }
  return info.secret === 'url' && typeof value === 'string' ? redactUrl(value.trim()) : '***';
}
