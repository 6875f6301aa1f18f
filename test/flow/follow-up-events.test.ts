import { afterAll, beforeAll, beforeEach, expect, onTestFinished, test, vi } from 'vitest';
import type { SimulatedMessage } from '../../sandbox/discord/message.ts';
import type { Exchange } from '../../sandbox/discord/people.ts';
import { createTestDatabase, type TestDatabase } from '../support/database.ts';
import { openDiscordDoor, type DiscordDoor } from '../support/discord-door.ts';
import { startRelay, type Relay } from '../../scripts/rehearsal/relay.ts';
import { created, emptyLedger, expectRun } from '../support/ledger.ts';
import type { Answer } from '../support/messages.ts';

// A relay received the interaction, answered it and passed it on: facteur follows up by the interaction's token.

let database: TestDatabase;
beforeAll(async () => {
  database = await createTestDatabase();
});
afterAll(() => database.close());
beforeEach(() => emptyLedger(database.db));

const OPTIONS = [{ name: 'objective', value: 'Land on the moon' }];
const ACKNOWLEDGED = 'The relay received it.';

interface RelayedOptions {
  readonly env?: Record<string, string>;
  readonly ephemeral?: boolean;
  readonly applicationId?: string;
}

interface Relayed extends DiscordDoor {
  readonly relay: Relay<Answer>;
  /** Somebody runs /plan through the relay. */
  plan(): Promise<Exchange>;
}

async function open({ env = {}, ephemeral = false, ...options }: RelayedOptions = {}): Promise<Relayed> {
  const door = await openDiscordDoor({
    db: database.db,
    // Runs stay submitted.
    roles: ['http', 'submit', 'notify'],
    env: { FACTEUR_DISCORD_FOLLOW_UP_EVENTS: 'true', ...env },
  });
  const { discord, facteur } = door;
  const { applicationId = discord.applicationId } = options;
  const relay = await startRelay({
    send: (fields) => facteur.send({ path: '/events', contentType: 'application/json', body: JSON.stringify(fields) }),
    answer: ACKNOWLEDGED,
    ephemeral,
    applicationId,
  });
  onTestFinished(relay.close);
  discord.people.pointAt(relay.url);
  return { ...door, relay, plan: () => discord.people.command('plan', OPTIONS) };
}

/** The one message in Discord, once facteur has changed it. */
async function changed({ discord }: DiscordDoor): Promise<SimulatedMessage> {
  await vi.waitFor(() => expect(discord.messages()[0]?.versions.length).toBeGreaterThan(1));
  expect(discord.messages()).toHaveLength(1);
  return discord.messages()[0]!;
}

test('the answer of the relay becomes the message of the run, with the token of the interaction', async () => {
  const relayed = await open();
  const { interactionId, outcome } = await relayed.plan();
  expect(outcome).toBe('acknowledged');
  const { versions } = await changed(relayed);
  expect(versions[0]).toMatchObject({ content: ACKNOWLEDGED, by: 'interaction' });
  expect(versions[1]).toMatchObject({ by: 'webhook.message.edit' });
  expect(versions[1]!.content).toMatch(/\*\*(Queued|Submitted)\*\*.* · via HTTP\n/);
  await expectRun(database.db, interactionId, 'submitted');
});

test('a redelivered event is the same run and the same message', async () => {
  const relayed = await open();
  const exchange = await relayed.plan();
  await changed(relayed);
  await relayed.discord.people.again(exchange);
  await vi.waitFor(async () => expect(await relayed.relay.answers()).toHaveLength(2));
  await expectRun(database.db, exchange.interactionId, 'submitted');
  expect(created(relayed.facteur.cluster)).toHaveLength(1);
  const { rows } = await database.db.query({ text: 'SELECT run_id FROM facteur.messages', values: [] });
  expect(rows).toHaveLength(1);
});

test('an ephemeral answer stays ephemeral', async () => {
  const relayed = await open({ ephemeral: true });
  await relayed.plan();
  expect((await changed(relayed)).ephemeral).toBe(true);
  const { rows } = await database.db.query({ text: 'SELECT ephemeral FROM facteur.messages', values: [] });
  expect(rows).toEqual([{ ephemeral: true }]);
});

test.each<[string, RelayedOptions]>([
  ['unless it is enabled', { env: { FACTEUR_DISCORD_FOLLOW_UP_EVENTS: 'false' } }],
  ['for another application', { applicationId: '999999999999999999' }],
])('there is no follow-up %s', async (_why, options) => {
  const { plan, discord } = await open(options);
  const { interactionId } = await plan();
  await expectRun(database.db, interactionId, 'submitted');
  const { rows } = await database.db.query({ text: 'SELECT run_id FROM facteur.messages', values: [] });
  expect(rows).toEqual([]);
  expect(discord.messages().map(({ versions }) => versions.map(({ content }) => content))).toEqual([[ACKNOWLEDGED]]);
});

test('the token is neither in a row nor in the log', async () => {
  const relayed = await open();
  const { interactionId } = await relayed.plan();
  await expectRun(database.db, interactionId, 'submitted');
  await changed(relayed);
  const { rows } = await database.db.query({
    text: `SELECT row_to_json(r)::text AS run, row_to_json(i)::text AS idea, row_to_json(m)::text AS message
           FROM facteur.runs r, codex_kb.ideas i, facteur.messages m`,
    values: [],
  });
  expect(rows).toHaveLength(1);
  const [token = ''] = relayed.relay.tokens;
  expect(token.length).toBeGreaterThan(20);
  expect(JSON.stringify(rows) + relayed.facteur.log.join('')).not.toContain(token);
});
