import { Document, isCollection, isScalar } from 'yaml';
import * as z from 'zod';
import type { ConfigWith } from './config.ts';
import type { Place } from './fault.ts';
import { ConfigError, formatFault, formatPlace } from './fault.ts';
import { listKeys } from './keys.ts';
import type { ConfigResult, LoadOptions } from './load.ts';
import { loadConfig } from './load.ts';
import { FILE } from './schema.ts';

export interface CheckReport {
  readonly ok: boolean;
  /** One line each: `error: …`, `warning: …`, and the verdict last. */
  readonly lines: readonly string[];
}

/** `facteur config check`: everything that is wrong or doubtful; unknown keys count as errors. */
export async function checkConfig(options: LoadOptions): Promise<CheckReport> {
  try {
    const { warnings } = await loadConfig({ ...options, strict: true });
    const lines = warnings.map((warning) => `warning: ${formatFault(warning)}`);
    return { ok: true, lines: [...lines, verdict(0, warnings.length)] };
  } catch (error) {
    if (!(error instanceof ConfigError)) {
      throw error;
    }
    const errors = error.faults.map((fault) => `error: ${formatFault(fault)}`);
    const warnings = error.warnings.map((warning) => `warning: ${formatFault(warning)}`);
    return { ok: false, lines: [...errors, ...warnings, verdict(errors.length, 0)] };
  }
}

function verdict(errors: number, warnings: number): string {
  const counted = (count: number, word: string): string => `${count} ${word}${count === 1 ? '' : 's'}`;
  if (errors > 0) {
    return `the configuration has ${counted(errors, 'error')}`;
  }
  return warnings > 0
    ? `the configuration is valid, with ${counted(warnings, 'warning')}`
    : 'the configuration is valid';
}

/**
 * `facteur config print`: every key with a value, and where the value came from: as YAML with a comment a key, or as JSON
 * `{"config": …, "sources": …, "environment": …}`. Secrets are `***`.
 */
export function printConfig(
  result: Pick<ConfigResult<never>, 'config' | 'shown' | 'sources'>,
  format: 'yaml' | 'json',
): string {
  const keys = Object.keys(result.shown).filter((key) => result.shown[key] !== undefined);
  const sources = new Map(keys.map((key) => [key, sourceOf(result.sources[key])]));
  const environment = otherVariables(result.config);
  const document = new Document({});
  for (const key of keys) {
    document.setIn(key.split('.'), document.createNode(result.shown[key]));
  }
  if (format === 'json') {
    const config: unknown = document.toJS();
    return `${JSON.stringify({ config, sources: Object.fromEntries(sources), environment }, undefined, 2)}\n`;
  }
  for (const [key, source] of sources) {
    annotate(document.getIn(key.split('.'), true), ` ${source}`);
  }
  const variables = Object.entries(environment).map(([name, value]) => ` ${name}=${value}`);
  document.comment = variables.length === 0 ? null : variables.join('\n');
  return document.toString({ lineWidth: 0 });
}

/** `default`, `facteur.yaml:3:5` or `env FACTEUR_REDIS_URL`. */
function sourceOf(place: Place | undefined): string {
  if (place === undefined) {
    return 'default';
  }
  return place.variable === undefined ? formatPlace(place) : `env ${place.variable}`;
}

function annotate(node: unknown, comment: string): void {
  if (isScalar(node)) {
    node.comment = comment;
  } else if (isCollection(node)) {
    // On a line of its own below the key, unless the collection is empty and fits on the key's line.
    Object.assign(node, node.items.length === 0 ? { comment, flow: true } : { commentBefore: comment });
  }
}

/** The variables with a meaning that belong to no key, as they are in effect. */
function otherVariables(config: ConfigWith<never>): Readonly<Record<string, string>> {
  const { dispatcherDisabled, facteurKubeconfig, kubeconfig, version, commit } = config;
  const variables = {
    FACTEUR_DISABLE_DISPATCHER: dispatcherDisabled ? 'true' : undefined,
    FACTEUR_KUBECONFIG: facteurKubeconfig,
    KUBECONFIG: kubeconfig,
    FACTEUR_VERSION: version,
    FACTEUR_COMMIT: commit,
  };
  return Object.fromEntries(
    Object.entries(variables).filter((entry): entry is [string, string] => (entry[1] ?? '') !== ''),
  );
}

/** `facteur config schema`: the JSON Schema (draft 2020-12) of the file, for editors. */
export function configSchema(): string {
  const schema = z.toJSONSchema(FILE, { io: 'input', target: 'draft-2020-12', override: dropNoise });
  return `${JSON.stringify(schema, undefined, 2)}\n`;
}

/** Sections are optional, which `default: {}` says less well; no number here has JavaScript's own limit as a meaning. */
function dropNoise({ jsonSchema }: { readonly jsonSchema: z.core.JSONSchema.BaseSchema }): void {
  if (jsonSchema.maximum === Number.MAX_SAFE_INTEGER) {
    delete jsonSchema.maximum;
  }
  if (jsonSchema.type === 'object' && JSON.stringify(jsonSchema.default) === '{}') {
    delete jsonSchema.default;
  }
}

/** The table of keys in `docs/configuration.md`. */
export function keyTable(): string {
  const rows = listKeys().map(({ key, variable, fallback, about }) => {
    const value =
      fallback === undefined || fallback === '' ? '' : `\`${JSON.stringify(fallback).replaceAll('"', '')}\``;
    return `| \`${key}\` | \`${variable}\` | ${value} | ${about.replaceAll('|', '\\|')} |`;
  });
  return ['| key | variable | default | meaning |', '|---|---|---|---|', ...rows, ''].join('\n');
}
