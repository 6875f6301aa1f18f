import { describe, expect, test } from 'vitest';
import { ANONYMOUS } from '../domain/command.ts';
import { authorise } from './authorise.ts';

const roleMap = { plan: ['111', '222'], open: [] };

describe('authorise', () => {
  test.each([
    { command: 'plan', roles: ['222'], allowed: true, why: 'one of the roles is enough' },
    { command: 'plan', roles: ['333'], allowed: false, why: 'another role is not' },
    { command: 'plan', roles: [], allowed: false, why: 'without a member there are no roles' },
    { command: 'PLAN', roles: [], allowed: false, why: 'another case does not bypass a rule' },
    { command: 'PlAn', roles: ['111'], allowed: true, why: 'another case does not lock anyone out' },
    { command: 'open', roles: [], allowed: true, why: 'an empty list is open to anyone' },
    { command: 'review', roles: [], allowed: true, why: 'a command without a rule is open to anyone' },
    { command: 'constructor', roles: [], allowed: true, why: 'inherited names are not rules' },
  ])('$command with roles $roles: $why', ({ command, roles, allowed }) => {
    expect(authorise({ roleMap, commands: {} }, command, { ...ANONYMOUS, roles }).allowed).toBe(allowed);
  });
});
