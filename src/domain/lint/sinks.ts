import { argumentRule, isShell, runsFile, shellCode } from './argv.ts';
import { fieldsOf, listOf } from '../../base/json.ts';
import type { Fields } from './json-fields.ts';
import type { RuleId } from './rules.ts';
import type { Tag } from './tags.ts';

/** The path from a template (or a manifest) to a value in it. */
export type Path = readonly (string | number)[];

/** A text with a tag in it, and its path. */
export interface Leaf {
  readonly path: Path;
  readonly text: string;
  readonly tag: Tag;
}

type Sink = (path: Path, leaf: Leaf, template: Fields) => RuleId | undefined;

/** By the first key of the path within a template. Absent keys are harmless. */
const TEMPLATE_SINKS: Readonly<Record<string, Sink>> = {
  script: containerSink,
  container: containerSink,
  sidecars: listed,
  initContainers: listed,
  containerSet: ([, ...path], leaf, template) => listed(path, leaf, fieldsOf(template['containerSet'])),
  resource: ([, key], leaf) => resourceSink(key, leaf),
  http: ([, key], leaf) => httpSink(key, leaf),
  data: () => 'data',
  plugin: () => 'plugin',
  podSpecPatch: () => 'pod-spec-patch',
  serviceAccountName: () => 'service-account',
  executor: () => 'service-account',
  nodeSelector: () => 'placement',
  tolerations: () => 'placement',
  affinity: () => 'placement',
  hostAliases: () => 'placement',
  securityContext: () => 'placement',
  schedulerName: () => 'placement',
  priorityClassName: () => 'placement',
  imagePullSecrets: () => 'secret',
  volumes: volumeSink,
  volumeClaimTemplates: () => 'placement',
  archiveLocation: () => 'artifact-location',
  artifactRepositoryRef: () => 'artifact-location',
  inputs: parametersSink,
  outputs: parametersSink,
  arguments: parametersSink,
  memoize: () => 'memoize',
  synchronization: () => 'mutex',
  retryStrategy: ([, key]) => (key === 'expression' ? 'expression' : undefined),
  metrics: (path) => (path.at(-1) === 'when' ? 'expression' : undefined),
  dag: ([, key]) => (key === 'target' ? 'expression' : undefined),
};

/** By the first key of the path within a step, a task or a hook. */
const CALL_SINKS: Readonly<Record<string, Sink>> = {
  when: () => 'expression',
  expression: () => 'expression',
  depends: () => 'expression',
  dependencies: () => 'expression',
  template: () => 'template-name',
  templateRef: () => 'template-name',
  onExit: () => 'template-name',
  arguments: parametersSink,
  withParam: (_, leaf) => (isWhole(leaf) || isJsonValue(leaf.text, leaf.tag) ? undefined : 'with-param'),
};

/** The rule that a tag in this place of a template breaks if its text comes from a user. */
export function templateSink(leaf: Leaf, template: Fields): RuleId | undefined {
  return lookUp(TEMPLATE_SINKS, leaf, template);
}

/** The same for a place in a step, a task or a hook. */
export function callSink(leaf: Leaf, call: Fields): RuleId | undefined {
  return lookUp(CALL_SINKS, leaf, call);
}

/** The text is nothing but the tag. */
function isWhole({ text, tag }: Leaf): boolean {
  return text.length - tag.text.length < MAX_LINE && text.trim() === tag.text;
}

function lookUp(sinks: Readonly<Record<string, Sink>>, leaf: Leaf, fields: Fields): RuleId | undefined {
  const key = String(leaf.path[0]);
  const rule = Object.hasOwn(sinks, key) ? sinks[key]?.(leaf.path, leaf, fields) : undefined;
  return rule !== undefined && leaf.tag.nested ? 'nested-tag' : rule;
}

/** More than every real list has; later entries count as the worst case. Each entry is compared with those before it. */
const MAX_ENTRIES = 200;
const MAX_LINE = 500;

/** The words of a container's command line. */
function commandLine(container: Fields): { readonly command: readonly string[]; readonly args: readonly string[] } {
  const words = (value: unknown): readonly string[] =>
    Array.isArray(value) ? value.slice(0, MAX_ENTRIES).map((word) => (typeof word === 'string' ? word : '')) : [];
  return { command: words(container['command']), args: words(container['args']) };
}

function listed([key, index, ...path]: Path, _leaf: Leaf, template: Fields): RuleId | undefined {
  const list = template[String(key)];
  const container = Array.isArray(list) ? fieldsOf(list[Number(index)]) : {};
  return containerRule(path, container);
}

function containerSink([key, ...path]: Path, _leaf: Leaf, template: Fields): RuleId | undefined {
  return containerRule(path, fieldsOf(template[String(key)]));
}

/** By the first key of the path within a container. */
const CONTAINER_RULES: Readonly<Record<string, RuleId>> = {
  source: 'script-source',
  command: 'command',
  image: 'image',
  envFrom: 'secret',
  workingDir: 'placement',
  volumeMounts: 'placement',
  volumeDevices: 'placement',
  securityContext: 'placement',
};

function containerRule(path: Path, container: Fields): RuleId | undefined {
  const key = String(path[0]);
  switch (key) {
    case 'args':
      return argumentsRule(Number(path[1]), container);
    case 'env':
      return environmentRule(path, container['env']);
    case 'lifecycle':
    case 'livenessProbe':
    case 'readinessProbe':
    case 'startupProbe':
      return path.includes('exec') ? 'command' : undefined;
    default:
      return Object.hasOwn(CONTAINER_RULES, key) ? CONTAINER_RULES[key] : undefined;
  }
}

function argumentsRule(index: number, container: Fields): RuleId | undefined {
  const { command, args } = commandLine(container);
  const rule = index < MAX_ENTRIES ? argumentRule([...command, ...args], command.length + index) : 'argument';
  return rule ?? (hasSecrets(container) ? 'secret-expansion' : undefined);
}

/** Kubernetes expands `$(NAME)` in arguments, whatever the program is. */
function hasSecrets({ env, envFrom }: Fields): boolean {
  const entries = [...listOf(env).slice(0, MAX_ENTRIES), ...listOf(envFrom).slice(0, MAX_ENTRIES)].map(fieldsOf);
  return entries.some(({ valueFrom, secretRef }) => secretRef !== undefined || 'secretKeyRef' in fieldsOf(valueFrom));
}

/** Variables whose values are run, or are options that can name a program to run. */
const RUN = new Set(
  [
    'BASH_ENV PROMPT_COMMAND PS4 LD_PRELOAD LD_AUDIT NODE_OPTIONS JAVA_TOOL_OPTIONS JDK_JAVA_OPTIONS _JAVA_OPTIONS',
    'PERL5OPT RUBYOPT PYTHONSTARTUP GIT_SSH GIT_SSH_COMMAND GIT_EXTERNAL_DIFF GIT_PAGER GIT_EDITOR PAGER EDITOR VISUAL',
    'LESSOPEN',
  ].flatMap((names) => names.split(' ')),
);
/** Search paths of programs: an attack also needs a file at that path. */
const SEARCHED = new Set(['PATH', 'LD_LIBRARY_PATH', 'PYTHONPATH', 'PERL5LIB', 'RUBYLIB', 'NODE_PATH']);

function environmentRule([, index, key]: Path, env: unknown): RuleId | undefined {
  if (key === 'name') {
    return 'variable-name';
  }
  if (key === 'valueFrom') {
    return 'secret';
  }
  const name = String(fieldsOf(listOf(env)[Number(index)])['name']);
  if (RUN.has(name) || SEARCHED.has(name)) {
    return RUN.has(name) ? 'interpreter-argument' : 'placement';
  }
  const earlier = Array.isArray(env) ? env.slice(0, Math.min(Number(index), MAX_ENTRIES)) : [];
  return Number(index) > MAX_ENTRIES || earlier.some((one) => 'secretKeyRef' in fieldsOf(fieldsOf(one)['valueFrom']))
    ? 'secret-expansion'
    : undefined;
}

function resourceSink(key: unknown, { text, tag }: Leaf): RuleId | undefined {
  switch (key) {
    case 'manifestFrom':
      return 'artifact-location';
    case 'successCondition':
    case 'failureCondition':
      return 'expression';
    case 'manifest':
      return isJsonValue(text, tag) ? undefined : 'manifest';
    default:
      return 'manifest';
  }
}

/** No string is open at the end. */
const WHOLE_STRINGS = /^(?:[^'"]|"(?:[^"\\]|\\.)*"|'[^']*')*$/;

/** Whether a tag that produces a JSON string is where YAML and JSON expect a value, outside of quotes. */
function isJsonValue(text: string, { quoted, offset }: Tag): boolean {
  const line = text.slice(Math.max(0, offset - MAX_LINE), offset);
  const start = line.lastIndexOf('\n');
  const known = start !== -1 || offset <= MAX_LINE;
  const before = line.slice(start + 1).trimEnd();
  return quoted && known && WHOLE_STRINGS.test(before) && ':,[-'.includes(before.at(-1) ?? ' ');
}

function httpSink(key: unknown, { text, tag }: Leaf): RuleId | undefined {
  switch (key) {
    case 'url':
      return /^[a-z]+:\/\/[^/?#{}@]+\//i.test(text.slice(0, Math.min(tag.offset, MAX_LINE)))
        ? 'http-content'
        : 'url-host';
    case 'successCondition':
      return 'expression';
    case 'headers':
    case 'body':
    case 'bodyFrom':
    case 'method':
      return isJsonValue(text, tag) ? undefined : 'http-content';
    default:
      return undefined;
  }
}

function volumeSink(path: Path): RuleId | undefined {
  const chosen = ['secret', 'hostPath', 'projected', 'csi', 'serviceAccountToken'].some((key) => path.includes(key));
  return chosen ? 'secret' : 'placement';
}

/** `inputs`, `outputs` and `arguments`: parameter values are harmless here, because the flow of text tracks them further. */
function parametersSink([scope, kind, index, ...path]: Path, _leaf: Leaf, template: Fields): RuleId | undefined {
  if (kind === 'parameters') {
    return path.at(-1) === 'expression' && path.includes('valueFrom') ? 'expression' : undefined;
  }
  const artifact = fieldsOf(listOf(fieldsOf(template[String(scope)])['artifacts'])[Number(index)]);
  return kind === 'artifacts' ? artifactRule(path, template, artifact['path']) : undefined;
}

/** A file with user text is data, unless it is applied as a manifest or run as a script. */
function rawRule({ resource, script, container }: Fields, file: unknown): RuleId | undefined {
  if ('manifestFrom' in fieldsOf(resource)) {
    return 'manifest';
  }
  const isRun = [script, container].map(fieldsOf).some((one) => {
    const { command, args } = commandLine(one);
    return runsFile([...command, ...args], file);
  });
  return isRun ? 'script-source' : undefined;
}

function artifactRule(path: Path, template: Fields, file: unknown): RuleId | undefined {
  switch (path[0]) {
    case 'raw':
      return rawRule(template, file);
    case 'fromExpression':
      return 'expression';
    case 'path':
    case 'subPath':
      return 'placement';
    case 'from':
    case 'name':
    case undefined:
      return undefined;
    default:
      return 'artifact-location';
  }
}

/** A shell script in a container, and the variables that it can read. */
interface ShellScript {
  readonly path: Path;
  readonly text: string;
  /** The texts of the variables: those in `env`, and arguments as `1`, `2`…. */
  readonly variables: ReadonlyMap<string, readonly string[]>;
}

/**
 * The shell script that a container runs, if it does.
 *
 * @param pod the metadata of its pod, what takes precedence first
 */
export function shellScript(container: Fields, pod: readonly Fields[]): ShellScript | undefined {
  const { command, args } = commandLine(container);
  const words = [...command, ...args];
  const variables = environment(container['env'], pod);
  const source = container['source'];
  if (typeof source === 'string') {
    const shell = isShell(command) || /^#!.{0,40}\b(?:ba|da|a|z|k)?sh\b/.test(source);
    return shell ? { path: ['source'], text: source, variables } : undefined;
  }
  const code = shellCode(words);
  if (code === undefined) {
    return undefined;
  }
  const given = words.slice(code.after);
  for (const [nth, word] of given.entries()) {
    variables.set(String(nth + 1), [word]);
  }
  variables.set('@', given).set('*', given);
  const inArgs = code.index - command.length;
  const path = inArgs < 0 ? ['command', code.index] : ['args', inArgs];
  return { path, text: words[code.index] ?? '', variables };
}

/** A variable in a command line: Kubernetes replaces `$(NAME)` with its text. */
interface Expansion {
  readonly rule: RuleId;
  readonly path: Path;
  readonly text: string;
  /** The texts of the variable. */
  readonly texts: readonly string[];
}

const EXPANSION = /(?<!\$)\$\(([-\w.]{1,200})\)/g;

/** The variables that a text contains, as written and by name, each once. */
function namedIn(text: string): readonly (readonly [text: string, name: string])[] {
  return [...new Map([...text.matchAll(EXPANSION)].map(([written, name = '']) => [written, name]))];
}

/** The variables that Kubernetes puts into a container's command line as text. */
export function expansions(container: Fields, pod: readonly Fields[]): readonly Expansion[] {
  const { command, args } = commandLine(container);
  const variables = environment(container['env'], pod);
  const places = [
    ...command.map((word, nth) => ({ word, path: ['command', nth], rule: 'command' as const })),
    ...args.map((word, nth) => ({ word, path: ['args', nth], rule: argumentsRule(nth, container) })),
  ];
  return places.flatMap(({ word, path, rule }) =>
    rule === undefined
      ? []
      : namedIn(word).map(([text, name]) => ({ rule, path, text, texts: variables.get(name) ?? [] })),
  );
}

const FIELD = /^metadata\.(annotations|labels)\['([^']{1,400})'\]$/;

/** An annotation or label that a variable takes its value from. */
function textOfPod(valueFrom: unknown, pod: readonly Fields[]): unknown {
  const { fieldPath } = fieldsOf(fieldsOf(valueFrom)['fieldRef']);
  const [, kind = '', key = ''] = FIELD.exec(typeof fieldPath === 'string' ? fieldPath : '') ?? [];
  return pod.map((metadata) => fieldsOf(metadata[kind])[key]).find((text) => typeof text === 'string');
}

/** The texts of each variable, those that Kubernetes puts into them included. */
function environment(env: unknown, pod: readonly Fields[]): Map<string, readonly string[]> {
  const variables = new Map<string, readonly string[]>();
  for (const { name, value: given, valueFrom } of listOf(env).map(fieldsOf)) {
    const value = given ?? textOfPod(valueFrom, pod);
    if (typeof name === 'string' && typeof value === 'string') {
      const earlier = namedIn(value).flatMap(([, one]) => variables.get(one) ?? []);
      variables.set(name, [value, ...earlier].slice(0, MAX_ENTRIES));
    }
  }
  return variables;
}
