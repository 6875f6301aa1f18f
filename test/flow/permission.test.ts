import { expect } from 'vitest';
import { parameterOf } from '../../sandbox/cluster/plan.ts';
import { NAMESPACE } from '../support/cluster.ts';
import { startFacteur } from '../support/facteur.ts';
import { countRuns, created } from '../support/ledger.ts';
import { asProtobuf, event } from '../support/messages.ts';
import { db, test } from '../support/ledger-fixture.ts';

// The role map applies to /events as it does to Discord, however a command is spelled.

const ROLE = '123456789012345678';
const ENV = { FACTEUR_ROLE_MAP: JSON.stringify({ plan: [ROLE], run: [ROLE], Review: [], implement: [] }) };
const user = { id: '42', username: 'ada' };
const member = (...roles: string[]) => ({ user, member: { id: '42', roles } });

/** Names that count as `plan`. */
const SPELLINGS = ['plan ', ' plan', 'plan\n', 'plan.', 'plan-', 'plan\u200b', 'ｐｌａｎ'];

const ASKED: readonly [string, Parameters<typeof event>[0], number][] = [
  ['with the role', { command: 'plan', ...member('1', ROLE) }, 202],
  ['in capitals, with the role', { command: 'PLAN', ...member(ROLE) }, 202],
  ['without the role', { command: 'plan', ...member('1') }, 403],
  ['in capitals, without the role', { command: 'PLAN', ...member('1') }, 403],
  ['from a direct message, which has no member', { command: 'plan', user }, 403],
  ['without a user', { command: 'plan' }, 403],
  ['a command with an empty list', { command: 'implement' }, 202],
  ['a command without a rule', { command: 'deploy' }, 202],
  ['a command named like a property of every object', { command: 'constructor' }, 202],
];

test.each(
  [
    ...ASKED,
    ...SPELLINGS.map((command) => [JSON.stringify(command), { command, ...member('1') }, 403] as const),
  ].flatMap(([what, fields, status]) => [
    ['JSON', what, fields, status] as const,
    ['protobuf', what, fields, status] as const,
  ]),
)('in %s, %s', async (encoding, _what, fields, status) => {
  const facteur = await startFacteur({ db, env: ENV });
  const message = event({ interactionId: 'd1', ...fields });
  const answer = await facteur.send(encoding === 'JSON' ? message : asProtobuf(message));
  expect(answer.status).toBe(status);
  const { rows } = await db.query({ text: 'SELECT door, delivery_id, command, user_id FROM facteur.refusals' });
  if (status === 202) {
    expect(created(facteur.cluster)).toHaveLength(1);
    expect(rows).toEqual([]);
  } else {
    expect(answer.body).toEqual({ error: 'forbidden', details: expect.any(String) });
    expect(rows).toEqual([
      {
        door: 'http',
        delivery_id: 'd1',
        command: fields['command'],
        user_id: fields['user'] === undefined ? '' : '42',
      },
    ]);
    expect(created(facteur.cluster)).toEqual([]);
    expect(await countRuns(db)).toBe(0);
  }
});

test('a name that is checked as another one runs as that one', async () => {
  const facteur = await startFacteur({ db, env: ENV });
  const answer = await facteur.send(event({ interactionId: 'd1', command: 'Plan.', ...member(ROLE) }));
  expect(answer.body.workflowName).toMatch(/^plan-\d{8}-/);
  const { object } = facteur.cluster.store.get('workflows', NAMESPACE, answer.body.workflowName);
  expect(parameterOf(object, 'action')).toBe('plan');
  expect(object.metadata.labels).toMatchObject({ 'facteur.proompteng.ai/command': 'plan' });
});

test('a name without a safe letter runs as run, and is checked as run', async () => {
  const facteur = await startFacteur({ db, env: ENV });
  const ask = (command: string, ...roles: string[]) =>
    facteur.send(event({ interactionId: `${command}${roles.join()}`, command, ...member(...roles) }));
  expect([(await ask('!!!', '1')).status, (await ask('…')).status]).toEqual([403, 403]);
  expect((await ask('!!!', ROLE)).body.workflowName).toMatch(/^run-\d{8}-/);
  expect(await countRuns(db)).toBe(1);
});

test('an event in the older JSON has a user, but no roles', async () => {
  const facteur = await startFacteur({ db, env: ENV });
  const body = JSON.stringify({ command: 'plan', userId: '42', correlationId: 'c', traceId: 't' });
  const answer = await facteur.send({ path: '/events', contentType: 'application/json', body });
  expect(answer.status).toBe(403);
  const { rows } = await db.query({ text: 'SELECT user_id FROM facteur.refusals' });
  expect(rows).toEqual([{ user_id: '42' }]);
});
