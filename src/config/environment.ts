import { Scalar } from 'yaml';
import * as z from 'zod';
import type { Fault } from './fault.ts';
import type { KeyInfo } from './keys.ts';
import { peel } from './keys.ts';
import { nearest, suggestion } from './nearest.ts';
import type { Findings } from './reader.ts';
import { emptyTree, readNode } from './reader.ts';
import { parseYaml } from './yaml-source.ts';

type Tree = Record<string, unknown>;

/** The variables as the process was given them. */
export type Environment = Readonly<Record<string, string | undefined>>;

/** Older names for a key's variable; the key's own wins. */
const ALIASES: Readonly<Record<string, string>> = {
  'codex_implementation_orchestrator.enabled': 'FACTEUR_CODEX_ENABLE_IMPLEMENTATION_ORCHESTRATION',
};

/** Variables that are not keys but have a meaning, here or in the scripts around facteur. */
const OTHER_VARIABLES = new Set([
  'FACTEUR_CONFIG_FILE',
  'FACTEUR_DISABLE_DISPATCHER',
  'FACTEUR_KUBECONFIG',
  'FACTEUR_VERSION',
  'FACTEUR_COMMIT',
  'FACTEUR_LOG_LEVEL',
  'FACTEUR_SERVER',
  'FACTEUR_URL',
  'FACTEUR_TOKEN',
  'FACTEUR_RUN_ID',
  'FACTEUR_SERVICES',
  'FACTEUR_CONSUMER_CONFIG',
  'FACTEUR_SANDBOX_DISCORD_URL',
  'FACTEUR_SANDBOX_DISCORD_KEY',
  ...Object.values(ALIASES),
]);
const OTHER_PREFIXES = /^FACTEUR_(?:E2E|IMAGE|TEST)_/;
/** Variables that Kubernetes sets in every pod for a Service called `facteur` or `facteur-…`. */
const SERVICE_LINK =
  /^(?=\w+$).*_(?:SERVICE_HOST$|SERVICE_PORT(?:_.|$)|PORT$|PORT_\d+_(?:TCP|UDP|SCTP)(?:_(?:PROTO|PORT|ADDR))?$)/;

/** Distinguishes a JSON list from `[::1]:9092`. */
const JSON_LIST = /^\[(?:.*"|.*\]$)/s;

/** The variable that names a file with the value of a secret key: `FACTEUR_POSTGRES_DSN_FILE`. */
export function fileVariableOf(info: Pick<KeyInfo, 'variable' | 'secret'>): string | undefined {
  return info.secret === 'no' ? undefined : `${info.variable}_FILE`;
}

/** A variable's value, or undefined if it is not set or empty. */
export function read(env: Environment, name: string): string | undefined {
  const value = env[name];
  return value === '' ? undefined : value;
}

/** Overrides the file's values with the environment: a variable that is set and not empty wins. */
export function overlayEnvironment(tree: Tree, keys: readonly KeyInfo[], env: Environment, findings: Findings): void {
  for (const info of keys) {
    const names = [info.variable, ALIASES[info.key] ?? info.variable];
    const variable = names.find((name) => read(env, name) !== undefined);
    const text = variable === undefined ? undefined : read(env, variable);
    if (variable !== undefined && text !== undefined) {
      forget(info.key, findings);
      setAt(tree, info.key, readVariable(info, variable, text, findings));
    }
  }
}

/** Unknown `FACTEUR_*` variables, each with the most similar known one. */
export function unknownVariables(keys: readonly KeyInfo[], env: Environment): readonly Fault[] {
  const files = keys.flatMap((info) => fileVariableOf(info) ?? []);
  const known = new Set([...keys.map((info) => info.variable), ...files, ...OTHER_VARIABLES]);
  return Object.keys(env)
    .filter((name) => name.startsWith('FACTEUR_') && read(env, name) !== undefined)
    .filter((name) => !known.has(name) && !OTHER_PREFIXES.test(name) && !SERVICE_LINK.test(name))
    .map((name) => ({
      variable: name,
      key: '',
      message: `unknown variable${suggestion(nearest(name, known))}`,
    }));
}

function readVariable(info: KeyInfo, variable: string, text: string, findings: Findings): unknown {
  const place = { variable };
  const shape = peel(info.schema);
  const structured = shape instanceof z.ZodRecord || (shape instanceof z.ZodArray && JSON_LIST.test(text.trim()));
  // JSON is YAML, so one reader serves both, and long numbers keep their digits.
  const source = parseYaml(structured ? text.trim() : '', variable);
  const wanted = shape instanceof z.ZodRecord ? 'a JSON object' : 'a JSON array or comma-separated text';
  if (structured && !(isJson(text) && source.faults.length === 0)) {
    findings.broken.add(info.key);
    findings.faults.push({ ...place, key: info.key, message: `${info.key} must be ${wanted}` });
    return undefined;
  }
  const node = structured ? source.root : new Scalar(text);
  return readNode(info.schema, node, info.key, { document: source.document, locate: () => place, findings });
}

/** The parser's message would quote the text, so only its verdict is kept. */
function isJson(text: string): boolean {
  try {
    JSON.parse(text);
    return true;
  } catch (error) {
    if (error instanceof SyntaxError) {
      return false;
    }
    throw error;
  }
}

/** Drops the positions of a key whose value in the file was overridden. */
function forget(key: string, findings: Findings): void {
  for (const path of findings.places.keys()) {
    if (path === key || path.startsWith(`${key}.`) || path.startsWith(`${key}[`)) {
      findings.places.delete(path);
    }
  }
}

function setAt(tree: Tree, key: string, value: unknown): void {
  const parts = key.split('.');
  const last = parts.pop() ?? '';
  let group = tree;
  for (const part of parts) {
    group[part] ??= emptyTree();
    group = group[part] as Tree;
  }
  group[last] = value;
}
