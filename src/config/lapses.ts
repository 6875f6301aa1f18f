import type { Fault } from './fault.ts';
import type { KeyInfo } from './keys.ts';
import { SNOWFLAKE } from './kinds.ts';
import { nearest } from './nearest.ts';
import type { Findings } from './reader.ts';
import { ROLE_MAP_NAME } from './schema.ts';
import { pathText, placeOf } from './validate.ts';

type Tree = Readonly<Record<string, unknown>>;

/**
 * What the Go service let pass although it cannot work, such as a role called `admin`, which nobody has. An operator who
 * swaps the image must not be kept from starting by it: warnings at start-up, errors for `config check`.
 */
export function lapses(tree: Tree, findings: Findings): readonly Fault[] {
  return [...idLapses(tree, findings), ...roleMapLapses(tree, findings)];
}

function idLapses(tree: Tree, findings: Findings): readonly Fault[] {
  const discord = asTree(tree['discord']);
  return ['application_id', 'guild_id']
    .filter((name) => typeof discord[name] === 'string' && !SNOWFLAKE.test(discord[name].trim()))
    .map((name) => lapse(['discord', name], 'is no Discord id (17 to 20 digits)', findings));
}

function roleMapLapses(tree: Tree, findings: Findings): readonly Fault[] {
  return Object.entries(asTree(tree['role_map'])).flatMap(([name, roles]) => {
    const list = Array.isArray(roles) ? roles.map((role) => String(role).trim()) : [];
    return [
      ...(ROLE_MAP_NAME.test(name) ? [] : [lapse(['role_map', name], 'is no command name in lower case', findings)]),
      ...list.flatMap((role, index) => {
        const message = roleFault(role, list.indexOf(role) < index);
        return message === undefined ? [] : [lapse(['role_map', name, index], message, findings)];
      }),
    ];
  });
}

function lapse(path: readonly (string | number)[], message: string, findings: Findings): Fault {
  const key = pathText(path);
  return { ...placeOf(path, findings), key, message: `${key} ${message}` };
}

function asTree(value: unknown): Tree {
  return typeof value === 'object' && value !== null ? (value as Tree) : {};
}

function roleFault(role: string, repeated: boolean): string | undefined {
  if (!SNOWFLAKE.test(role)) {
    return 'is no Discord role id (17 to 20 digits), so nobody has it';
  }
  return repeated ? 'stands in this list a second time' : undefined;
}

/** Unknown keys with the key that was most likely meant: one beside it, else one of the same name elsewhere. */
export function unknownKeys(findings: Findings, keys: readonly Pick<KeyInfo, 'key'>[]): readonly Fault[] {
  return findings.unknown.map(({ key, siblings, place }) => {
    const name = key.slice(key.lastIndexOf('.') + 1);
    const prefix = key.slice(0, key.length - name.length);
    const sibling = nearest(name, siblings);
    const meant =
      sibling === undefined ? keys.find((other) => other.key.endsWith(`.${name}`))?.key : `${prefix}${sibling}`;
    return { ...place, key, message: `${key} is no known key${suggestion(meant)}` };
  });
}

/** `; did you mean …?`, or nothing. */
export function suggestion(meant: string | undefined): string {
  return meant === undefined ? '' : `; did you mean ${meant}?`;
}
