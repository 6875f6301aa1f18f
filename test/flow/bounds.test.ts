import { expect } from 'vitest';
import { listDeadLetters } from '../../src/ledger/unprocessed.ts';
import { startFacteur } from '../support/facteur.ts';
import { countRuns } from '../support/ledger.ts';
import { codexTask, event, type Message } from '../support/messages.ts';
import { db, test } from '../support/ledger-fixture.ts';

// Every text has a maximum length, which is checked before anything is recorded. A text within it fits every index.

/** Characters of three bytes, in an order that does not compress. */
function incompressible(length: number): string {
  let state = 1;
  return Array.from({ length }, () => {
    state = (state * 48_271) % 2_147_483_647;
    return String.fromCharCode(0x4e00 + (state % 20_000));
  }).join('');
}

/** The fields that become keys or are kept beside one, with their maximum lengths. */
const KEYS: readonly [string, number, (text: string) => Message][] = [
  ['interaction_id', 512, (interactionId) => event({ interactionId })],
  ['user.id', 256, (id) => event({ user: { id } })],
  ['member.id', 256, (id) => event({ member: { id } })],
  ['userId', 256, (userId) => event({ userId })],
  ['guild_id', 256, (guildId) => event({ guildId })],
  ['channel_id', 256, (channelId) => event({ channelId })],
  ['correlation_id', 256, (correlationId) => event({ correlationId })],
  ['trace_id', 256, (traceId) => event({ traceId })],
  ['delivery_id', 512, (deliveryId) => codexTask({ deliveryId })],
  ['repository', 512, (repository) => codexTask({ deliveryId: 'd1', repository })],
];

test.each(KEYS)(
  '%s: the longest text is recorded, a longer one is rejected with the name of the field',
  async (name, limit, message) => {
    const facteur = await startFacteur({ db });
    expect(await facteur.send(message(incompressible(limit)))).toMatchObject({ status: 202 });
    for (const length of [limit + 1, 6000, 1_000_000]) {
      expect(await facteur.send(message(incompressible(length)))).toMatchObject({
        status: 400,
        body: { error: 'invalid payload', details: `${name}: must have at most ${limit} characters` },
      });
    }
    expect(await countRuns(db)).toBe(1);
  },
);

test('an option name of 120,000 characters with an invalid value is rejected, and log lines stay short', async () => {
  const facteur = await startFacteur({ db });
  const { status, body } = await facteur.send(event({ options: { ['a'.repeat(120_000)]: '{{' } }));
  expect({ status, body }).toEqual({
    status: 400,
    body: { error: 'invalid payload', details: 'options (a key): must have at most 256 characters' },
  });
  expect(facteur.log.every((line) => line.length <= 8192)).toBe(true);
});

test('many long names are rejected with a short message', async () => {
  const facteur = await startFacteur({ db, yaml: 'commands: {plan: {description: Plans, options: []}}' });
  const options = Object.fromEntries(Array.from({ length: 5000 }, (_, index) => [`${'n'.repeat(200)}${index}`, 'x']));
  const { status, body } = await facteur.send(event({ options }));
  expect({ status, error: body.error }).toEqual({ status: 422, error: 'invalid option' });
  expect(body.details).toHaveLength(2000);
});

test('a CloudEvent with a text that is too long becomes a dead letter', async () => {
  const facteur = await startFacteur({ db });
  const answer = await facteur.send(event({ user: { id: 'u'.repeat(6000) } }), {
    'ce-id': '7',
    'ce-source': '/kafka',
    'ce-specversion': '1.0',
  });
  expect(answer.status).toBe(400);
  expect(await listDeadLetters(db, 10)).toMatchObject([
    { deliveryId: '/kafka|7', reason: 'invalid payload: user.id: must have at most 256 characters' },
  ]);
});
