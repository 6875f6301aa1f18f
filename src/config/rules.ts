import { builtinCommands } from '../domain/builtin-commands.ts';
import type { Requirement } from './config.ts';
import type { Fault } from './fault.ts';
import { variableOf } from './keys.ts';
import type { Findings } from './reader.ts';
import { placeOf } from './validate.ts';

/** Discord's limit per guild, and for global commands. */
const MAX_COMMANDS = 100;

type Tree = Readonly<Record<string, unknown>>;

/** The required keys of each group. */
const REQUIRED_KEYS: Readonly<Record<Requirement, readonly string[]>> = {
  discord: ['discord.bot_token', 'discord.application_id'],
  redis: ['redis.url'],
  postgres: ['postgres.dsn'],
  argo: ['argo.namespace', 'argo.workflow_template'],
};

/** If all flags are true (or a key that is not a flag has a value), the keys are required. */
interface Condition {
  readonly when: readonly string[];
  readonly keys: readonly string[];
  /** Only commands that need this group need the keys. */
  readonly for?: Requirement;
}

const REQUIRED_WHEN: readonly Condition[] = [
  { when: ['consumer.enabled'], keys: ['consumer.brokers', 'consumer.topic', 'consumer.group_id'] },
  { when: ['consumer.enabled', 'consumer.dlq.enabled'], keys: ['consumer.dlq.topic'] },
  {
    when: ['consumer.enabled', 'consumer.sasl.enabled'],
    keys: ['consumer.sasl.username', 'consumer.sasl.password'],
  },
  { when: ['codex_listener.enabled'], keys: ['codex_listener.brokers'] },
  {
    when: ['codex_listener.enabled', 'codex_listener.sasl.enabled'],
    keys: ['codex_listener.sasl.username', 'codex_listener.sasl.password'],
  },
  { when: ['embeddings.url'], keys: ['embeddings.model'] },
  { when: ['server.intake_oidc.issuer'], keys: ['server.intake_oidc.audience', 'server.intake_oidc.subjects'] },
  // Only a process that creates workflows signs tokens: `maintain` and `migrate` do not need these secrets.
  { when: ['server.public_url'], keys: ['server.run_token_keys'], for: 'argo' },
];

/**
 * Conflicts between keys. Works on the raw values and not on the schema's result, so that all errors are reported
 * together.
 */
export function ruleFaults(tree: Tree, findings: Findings, required: readonly Requirement[]): readonly Fault[] {
  return [
    ...required
      .flatMap((group) => REQUIRED_KEYS[group])
      .filter((key) => isMissing(tree, key, findings))
      .map(missing),
    ...REQUIRED_WHEN.filter((condition) => condition.for === undefined || required.includes(condition.for)).flatMap(
      ({ when, keys }) => conditional(when, keys, tree, findings),
    ),
    ...sizeFaults(tree, findings),
    ...topicFaults(tree, findings),
    ...roleMapFaults(tree, findings),
    ...commandCountFaults(tree, findings),
  ];
}

function missing(key: string): Fault {
  // The Go service's operators know this sentence, and look for it in logs.
  const subject = key === 'postgres.dsn' ? 'postgres DSN' : key;
  return { key, message: `${subject} is required; set ${variableOf(key)} or configure ${key}` };
}

function conditional(
  when: readonly string[],
  keys: readonly string[],
  tree: Tree,
  findings: Findings,
): readonly Fault[] {
  const last = when.at(-1) ?? '';
  const applies = when.every((key) => {
    const value = valueAt(tree, key);
    return key.endsWith('.enabled') ? value === true : value !== undefined;
  });
  return applies
    ? keys
        .filter((key) => isMissing(tree, key, findings))
        .map((key) => ({ ...placeOf(last.split('.'), findings), key, message: whenSentence(key, last) }))
    : [];
}

function whenSentence(key: string, condition: string): string {
  return `${key} is required when ${condition.endsWith('.enabled') ? 'enabled' : `${condition} is set`}`;
}

function sizeFaults(tree: Tree, findings: Findings): readonly Fault[] {
  const key = 'consumer.min_bytes';
  const [min, max] = [valueAt(tree, key), valueAt(tree, 'consumer.max_bytes')];
  return typeof min === 'number' && typeof max === 'number' && min > max
    ? [{ ...placeOf(key.split('.'), findings), key, message: `${key} must not be greater than consumer.max_bytes` }]
    : [];
}

/** A dead letter in the topic that is consumed would be read and dead-lettered again, endlessly. */
function topicFaults(tree: Tree, findings: Findings): readonly Fault[] {
  const key = 'consumer.dlq.topic';
  const [parked, read] = [valueAt(tree, key), valueAt(tree, 'consumer.topic')];
  const isUsed = ['consumer.enabled', 'consumer.dlq.enabled'].every((flag) => valueAt(tree, flag) === true);
  return isUsed && parked !== undefined && parked === read
    ? [{ ...placeOf(key.split('.'), findings), key, message: `${key} must not be consumer.topic` }]
    : [];
}

/** Names are compared without case, so two that differ only by case would be ambiguous. */
function roleMapFaults(tree: Tree, findings: Findings): readonly Fault[] {
  const names = Object.keys(tree['role_map'] ?? {});
  const lower = names.map((name) => name.toLowerCase());
  return names.flatMap((name, index) =>
    lower.indexOf(name.toLowerCase()) < index
      ? [
          {
            ...placeOf(['role_map', name], findings),
            key: `role_map.${name}`,
            message: `role_map.${name} is a duplicate: names are compared without case`,
          },
        ]
      : [],
  );
}

function commandCountFaults(tree: Tree, findings: Findings): readonly Fault[] {
  const names = new Set([...Object.keys(builtinCommands()), ...Object.keys(tree['commands'] ?? {})]);
  const message = `commands must not make more than ${MAX_COMMANDS} commands, built-in ones included`;
  return names.size > MAX_COMMANDS ? [{ ...placeOf(['commands'], findings), key: 'commands', message }] : [];
}

function isMissing(tree: Tree, key: string, findings: Findings): boolean {
  const value = valueAt(tree, key);
  const absent = value === undefined || (Array.isArray(value) && value.length === 0);
  const parts = key.split('.');
  // Values of the wrong shape, here or above, were already reported.
  return absent && !parts.some((_, index) => findings.broken.has(parts.slice(0, index + 1).join('.')));
}

/** The raw value under a dotted key; undefined without one. */
export function valueAt(tree: Tree, key: string): unknown {
  return key
    .split('.')
    .reduce<unknown>(
      (value, part) => (typeof value === 'object' && value !== null ? (value as Tree)[part] : undefined),
      tree,
    );
}
