import type { Person } from '../discord/interaction-payload.ts';

/** A person of the sandbox, and whether they have every role that the configuration names. */
export interface Player extends Omit<Person, 'roles'> {
  readonly trusted: boolean;
}

/** The requester, the approvers, and a person without permissions. */
export const CAST = {
  ada: { id: '200000000000000001', username: 'ada', globalName: 'Ada', trusted: true },
  bob: { id: '200000000000000002', username: 'bob', globalName: 'Bob', trusted: true },
  carol: { id: '200000000000000003', username: 'carol', globalName: 'Carol', trusted: true },
  mallory: { id: '200000000000000004', username: 'mallory', globalName: 'Mallory', trusted: false },
} as const satisfies Readonly<Record<string, Player>>;

export const PLAYERS: readonly Player[] = Object.values(CAST);

/** The role of the tour's own templates. */
export const TEAM_ROLE = '500000000000000001';

/** A player as Discord knows them. */
export function asPerson({ trusted, ...person }: Player, roles: readonly string[]): Person {
  return { ...person, roles: trusted ? roles : [] };
}

/** The name that Discord shows for an id: of a person, or else of a role. */
export function shownName(id: string): string {
  const role = id === TEAM_ROLE ? 'team' : `role ${id}`;
  return PLAYERS.find((player) => player.id === id)?.globalName ?? role;
}
