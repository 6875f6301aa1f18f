import { Document, isCollection, isScalar } from 'yaml';
import * as z from 'zod';
import { redactUrl, type Secret } from '../base/secret.ts';
import type { ConfigWith } from './config.ts';
import { exposures } from './exposure.ts';
import type { Fault, Place } from './fault.ts';
import { ConfigError, formatFault, formatPlace } from './fault.ts';
import { listKeys } from './keys.ts';
import type { ConfigResult, LoadOptions } from './load.ts';
import { loadConfig } from './load.ts';
import { FILE } from './schema.ts';

interface CheckReport {
  readonly ok: boolean;
  /** One line each: `error: …`, `warning: …`, and the verdict last. */
  readonly lines: readonly string[];
  /** The same, for programs. */
  readonly problems: readonly Problem[];
}

/** An error or a warning, with its place. */
interface Problem extends Fault {
  readonly severity: 'error' | 'warning';
}

/** `facteur config check`: all errors and warnings; unknown keys count as errors. */
export async function checkConfig(options: LoadOptions): Promise<CheckReport> {
  try {
    const { config, warnings: found } = await loadConfig({ ...options, strict: true });
    const warnings = [...found, ...exposures(config)];
    const lines = warnings.map((warning) => `warning: ${formatFault(warning)}`);
    return { ok: true, lines: [...lines, verdict(0, warnings.length)], problems: problemsOf([], warnings) };
  } catch (error) {
    if (!(error instanceof ConfigError)) {
      throw error;
    }
    const errors = error.faults.map((fault) => `error: ${formatFault(fault)}`);
    const warnings = error.warnings.map((warning) => `warning: ${formatFault(warning)}`);
    const problems = problemsOf(error.faults, error.warnings);
    return { ok: false, lines: [...errors, ...warnings, verdict(errors.length, 0)], problems };
  }
}

function problemsOf(errors: readonly Fault[], warnings: readonly Fault[]): readonly Problem[] {
  return [
    ...errors.map((fault) => ({ severity: 'error' as const, ...fault })),
    ...warnings.map((fault) => ({ severity: 'warning' as const, ...fault })),
  ];
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
 * `facteur config print`: every key that has a value, and the value's source: as YAML with a comment per key, or as
 * JSON `{"config": …, "sources": …, "environment": …}`. Secrets are `***`.
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

/** The effective variables that belong to no key. */
function otherVariables(config: ConfigWith<never>): Readonly<Record<string, string>> {
  const { dispatcherDisabled, facteurKubeconfig, kubeconfig, proxies, version, commit } = config;
  const variables = {
    FACTEUR_DISABLE_DISPATCHER: dispatcherDisabled ? 'true' : undefined,
    FACTEUR_KUBECONFIG: facteurKubeconfig,
    KUBECONFIG: kubeconfig,
    HTTP_PROXY: shownUrl(proxies.http),
    HTTPS_PROXY: shownUrl(proxies.https),
    NO_PROXY: proxies.noProxy,
    FACTEUR_VERSION: version,
    FACTEUR_COMMIT: commit,
  };
  return Object.fromEntries(
    Object.entries(variables).filter((entry): entry is [string, string] => (entry[1] ?? '') !== ''),
  );
}

function shownUrl(url: Secret | undefined): string | undefined {
  return url === undefined ? undefined : redactUrl(url.reveal());
}

/** `facteur config schema`: the JSON Schema (draft 2020-12) of the file, for editors. */
export function configSchema(): string {
  const schema = z.toJSONSchema(FILE, { io: 'input', target: 'draft-2020-12', override: dropNoise });
  return `${JSON.stringify(schema, undefined, 2)}\n`;
}

/**
 * Drops the `default: {}` of sections, which are optional anyway, and JavaScript's own limit on numbers, which means nothing
 * here.
 */
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
