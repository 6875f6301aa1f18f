import { expect, test } from 'vitest';
import { reasonToTrust, type Provenance } from './judge-trust.ts';

const RULES = {
  trustedAuthors: ['github:Ada', 'discord:20000000000000001', 'api:ops'],
  trustedRepositories: ['acme/Rocket'],
};
const ORIGIN: Provenance = {
  runState: 'succeeded',
  kind: 'codex',
  repository: 'acme/rocket',
  askedBy: 'github:mallory',
  inherited: [],
};

test.each<readonly [string, Partial<Provenance>, boolean]>([
  ['a Codex task in a trusted repository', {}, true],
  ['a Codex task of a trusted author, in any repository', { repository: 'other/repo', askedBy: 'github:ada' }, true],
  ['a run of a trusted token', { repository: 'other/repo', askedBy: 'api:ops' }, true],
  ['a run that failed', { runState: 'failed' }, false],
  ['a run that is still running', { runState: 'running' }, false],
  ['another repository', { repository: 'acme/rocket2' }, false],
  ['no repository', { repository: '' }, false],
  ['a command that names the repository', { kind: 'command' }, false],
  ['a command of a trusted author', { kind: 'command', askedBy: 'discord:20000000000000001' }, true],
  ['a GitHub login like a Discord id', { repository: '', askedBy: 'github:20000000000000001' }, false],
  ['an unknown author', { repository: '', askedBy: '' }, false],
  ['a run that received trusted reflections', { inherited: ['trusted', 'trusted'] }, true],
  ['a run that received a quarantined reflection', { inherited: ['trusted', 'quarantined'] }, false],
  [
    'a run of a trusted author that received a retired reflection',
    { askedBy: 'github:ada', inherited: ['retired'] },
    false,
  ],
])('%s', (_what, from, trusted) => {
  expect(reasonToTrust({ ...ORIGIN, ...from }, RULES) !== undefined).toBe(trusted);
});

test('without rules nothing is trusted', () => {
  expect(reasonToTrust({ ...ORIGIN, askedBy: '' }, { trustedAuthors: [''], trustedRepositories: [] })).toBeUndefined();
});
