import { builtinCommands } from '../domain/builtin-commands.ts';
import type { Fault } from './fault.ts';
import type { KeyInfo } from './keys.ts';
import { EVERYONE_FAULT, SNOWFLAKE } from '../domain/snowflake.ts';
import { nearest, suggestion } from './nearest.ts';
import type { Findings } from './reader.ts';
import { pathText, placeOf } from './validate.ts';

type Tree = Readonly<Record<string, unknown>>;

/** Command names that any door may send, not only Discord; spaces separate subcommands. */
const RULE_NAME = /^[-_:'\p{L}\p{N}\p{sc=Deva}\p{sc=Thai}]+(?: [-_:'\p{L}\p{N}\p{sc=Deva}\p{sc=Thai}]+){0,2}$/u;

/**
 * Values that the Go service accepted although they cannot work, such as a role called `admin`, which nobody has.
 * They must not prevent a start after a swap of the image: they are warnings at start-up and errors in `config
 * check`.
 */
export function lapses(tree: Tree, findings: Findings): readonly Fault[] {
  return [...idLapses(tree, findings), ...roleMapLapses(tree, findings), ...everyoneLapses(tree, findings)];
}

/** The role `@everyone` has the id of its server, and Discord does not list it among anybody's roles. */
function everyoneLapses(tree: Tree, findings: Findings): readonly Fault[] {
  const { guild_id: guildId } = asTree(tree['discord']);
  if (typeof guildId !== 'string' || !SNOWFLAKE.test(guildId.trim())) {
    return [];
  }
  const lists: (readonly [readonly string[], unknown])[] = [
    ...Object.entries(asTree(tree['role_map'])).map(([name, roles]) => [['role_map', name], roles] as const),
    [['commands_from_templates', 'default_roles'], asTree(tree['commands_from_templates'])['default_roles']],
    [['knowledge', 'reviewers'], asTree(tree['knowledge'])['reviewers']],
  ];
  return lists.flatMap(([path, roles]) => {
    const list: unknown[] = Array.isArray(roles) ? roles : [];
    return list.flatMap((role, index) =>
      String(role).trim() === guildId.trim() ? [lapse([...path, index], EVERYONE_FAULT, findings)] : [],
    );
  });
}

function idLapses(tree: Tree, findings: Findings): readonly Fault[] {
  const discord = asTree(tree['discord']);
  return ['application_id', 'guild_id']
    .filter((name) => typeof discord[name] === 'string' && !SNOWFLAKE.test(discord[name].trim()))
    .map((name) => lapse(['discord', name], 'is not a Discord id (17 to 20 digits)', findings));
}

function roleMapLapses(tree: Tree, findings: Findings): readonly Fault[] {
  return Object.entries(asTree(tree['role_map'])).flatMap(([name, roles]) => {
    const list = Array.isArray(roles) ? roles.map((role) => String(role).trim()) : [];
    return [
      ...(isRuleName(name) ? [] : [lapse(['role_map', name], 'is not a command name in lower case', findings)]),
      ...list.flatMap((role, index) => {
        const message = roleFault(role, list.indexOf(role) < index);
        return message === undefined ? [] : [lapse(['role_map', name, index], message, findings)];
      }),
    ];
  });
}

/**
 * Rules for commands that are not defined here. They may be intended for `/events` and Kafka, which accept any command, but a
 * mistyped one leaves the intended command open to everyone.
 */
export function idleRules(tree: Tree, findings: Findings): readonly Fault[] {
  if ('namespaces' in asTree(tree['commands_from_templates'])) {
    // Templates define commands and refer to lists of roles, and only the cluster knows the templates.
    return [];
  }
  const known = new Set([...Object.keys(builtinCommands()), ...Object.keys(asTree(tree['commands']))]);
  return Object.keys(asTree(tree['role_map']))
    .filter((name) => !known.has(name.toLowerCase()))
    .map((name) => {
      const meant = suggestion(nearest(name, known));
      return lapse(['role_map', name], `does not match any command, so it has no effect${meant}`, findings);
    });
}

function lapse(path: readonly (string | number)[], message: string, findings: Findings): Fault {
  const key = pathText(path);
  return { ...placeOf(path, findings), key, message: `${key} ${message}` };
}

function isRuleName(name: string): boolean {
  return RULE_NAME.test(name) && name === name.toLowerCase();
}

function asTree(value: unknown): Tree {
  return typeof value === 'object' && value !== null ? (value as Tree) : {};
}

function roleFault(role: string, repeated: boolean): string | undefined {
  if (!SNOWFLAKE.test(role)) {
    return 'is not a Discord role id (17 to 20 digits), so nobody has it';
  }
  return repeated ? 'is a duplicate' : undefined;
}

/** Unknown keys with the most likely intended key: a sibling, else one with the same name elsewhere. */
export function unknownKeys(findings: Findings, keys: readonly Pick<KeyInfo, 'key'>[]): readonly Fault[] {
  return findings.unknown.map(({ key, siblings, place }) => {
    const name = key.slice(key.lastIndexOf('.') + 1);
    const prefix = key.slice(0, key.length - name.length);
    const sibling = nearest(name, siblings);
    const meant =
      sibling === undefined ? keys.find((other) => other.key.endsWith(`.${name}`))?.key : `${prefix}${sibling}`;
    const message =
      meant === key
        ? `${key} must not be one key with dots: put each part on a line of its own, indented below the one before`
        : `${key} is an unknown key${suggestion(meant)}`;
    return { ...place, key, message };
  });
}
