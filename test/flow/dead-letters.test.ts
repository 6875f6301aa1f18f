import { describe, expect } from 'vitest';
import { keepDeadLetter } from '../../src/ledger/unprocessed.ts';
import { startFacteur } from '../support/facteur.ts';
import { unavailable } from '../support/faulty-database.ts';
import { countRuns, created, expectRun } from '../support/ledger.ts';
import { asProtobuf, codexTask, event, type Message } from '../support/messages.ts';
import { db, test } from '../support/ledger-fixture.ts';

const CLOUD_EVENT = { 'ce-id': '7', 'ce-source': 'kafka', 'ce-type': 'record', 'ce-specversion': '1.0' };
const ROLES = { FACTEUR_ROLE_MAP: '{"plan": ["123456789012345678"]}' };

/** The id of the only letter. */
async function letterId(): Promise<string> {
  const { rows } = await db.query<{ id: string }>({ text: 'SELECT id FROM facteur.dead_letters' });
  expect(rows).toHaveLength(1);
  return rows[0]?.id ?? '';
}

async function countLetters(): Promise<number> {
  return (await db.query({ text: 'SELECT FROM facteur.dead_letters WHERE settled_at IS NULL' })).rowCount;
}

const DOORS: readonly [string, Message][] = [
  ['/events in JSON', event({ interactionId: 'd1' })],
  ['/events in protobuf', asProtobuf(event({ interactionId: 'd1' }))],
  ['/events without an id of its own', event({})],
];

describe.each(DOORS)('%s', (_path, message) => {
  test('a refused delivery can be replayed once it is permitted, and replays are idempotent', async () => {
    const refusing = await startFacteur({ db, env: ROLES });
    expect((await refusing.send(message, CLOUD_EVENT)).status).toBe(403);
    const id = await letterId();
    // Nothing has changed: it is refused again, and kept.
    const inVain = await refusing.cli('dead-letters', 'replay', id);
    expect(inVain).toMatchObject({
      code: 1,
      stderr: expect.stringMatching(/^facteur: dead letter \d+ stays in the list: forbidden.*facteur explain/),
    });
    expect(await countLetters()).toBe(1);
    await refusing.app.close();

    const facteur = await startFacteur({ db });
    // The letter is not settled, as if the process died just before that.
    facteur.faults.before = (statement) => (statement === 'settle-dead-letter' ? unavailable() : undefined);
    expect((await facteur.cli('dead-letters', 'replay', id)).code).toBe(1);
    facteur.faults.before = () => undefined;
    const again = await facteur.cli('dead-letters', 'replay', id);
    expect(again).toMatchObject({
      code: 0,
      stdout: expect.stringMatching(/^dead letter \d+ became run [-0-9a-f]{36} \(already known\)\n$/),
    });
    expect(await countLetters()).toBe(0);
    expect(await countRuns(db)).toBe(1);
    await expect.poll(() => created(facteur.cluster)).toHaveLength(1);
    expect((await facteur.cli('dead-letters', 'replay', id)).stderr).toContain('was already replayed');
    // The sender retries with the same event.
    expect(await facteur.send(message, CLOUD_EVENT)).toMatchObject({ status: 202, body: { duplicate: true } });
    expect(created(facteur.cluster)).toHaveLength(1);
  });
});

describe('a Codex task', () => {
  test('with a template tag in its branch is kept, and refused again on replay', async () => {
    const facteur = await startFacteur({ db });
    expect((await facteur.send(codexTask({ deliveryId: 'd1', head: '{{x}}' }), CLOUD_EVENT)).status).toBe(422);
    const replay = await facteur.cli('dead-letters', 'replay', await letterId());
    expect(replay).toMatchObject({ code: 1, stderr: expect.stringContaining('template tag') });
    expect(await countLetters()).toBe(1);
  });

  test('of another stage is refused on replay, as at the door: it must not run as an implementation', async () => {
    const facteur = await startFacteur({ db });
    const planning = codexTask({ deliveryId: 'd1', stage: 'CODEX_TASK_STAGE_PLANNING' });
    expect(await facteur.send(planning, CLOUD_EVENT)).toMatchObject({ status: 400 });
    const replay = await facteur.cli('dead-letters', 'replay', await letterId());
    expect(replay).toMatchObject({
      code: 1,
      stderr: expect.stringMatching(/^facteur: dead letter \d+ stays in the list: unsupported codex stage.*drop it\n$/),
    });
    expect(await countRuns(db)).toBe(0);
  });

  test('without a delivery id is refused on replay, as at the door', async () => {
    const facteur = await startFacteur({ db });
    const { 'ce-source': _source, ...headers } = CLOUD_EVENT;
    expect(await facteur.send(codexTask({}), headers)).toMatchObject({ status: 400 });
    const replay = await facteur.cli('dead-letters', 'replay', await letterId());
    expect(replay).toMatchObject({
      code: 1,
      stderr: expect.stringMatching(
        /^facteur: dead letter \d+ stays in the list: missing delivery_id.*corrected request/,
      ),
    });
    expect(await countRuns(db)).toBe(0);
  });

  test('is not replayed while the orchestrator is switched off', async () => {
    const facteur = await startFacteur({ db, env: { FACTEUR_CODEX_IMPLEMENTATION_ORCHESTRATOR_ENABLED: 'false' } });
    await keepDeadLetter(db, {
      door: 'http',
      deliveryId: 'd1',
      reason: 'a test',
      attempts: 1,
      headers: { 'content-type': 'application/json', ':path': '/codex/tasks' },
      body: Buffer.from(String(codexTask({ deliveryId: 'd1' }).body)),
    });
    const replay = await facteur.cli('dead-letters', 'replay', await letterId());
    expect(replay).toMatchObject({ code: 1, stderr: expect.stringContaining('disabled') });
    expect(await countRuns(db)).toBe(0);
    expect(await countLetters()).toBe(1);
  });
});

test('a run that the cluster refused must be retried instead of replayed, and the error says so', async () => {
  const facteur = await startFacteur({ db });
  const answer = { status: 422, reason: 'Invalid', message: 'spec: Invalid value' };
  facteur.cluster.faults.requests.add({ match: { verb: 'create' }, action: { kind: 'answer', answer }, times: 1 });
  const { body } = await facteur.send(event({ interactionId: 'd1' }), CLOUD_EVENT);
  const replay = await facteur.cli('dead-letters', 'replay', await letterId());
  expect(replay).toMatchObject({ code: 1, stderr: expect.stringContaining('use runs retry') });
  expect(await countLetters()).toBe(1);
  await facteur.cli('runs', 'retry', body.runId);
  await expectRun(db, `retry:${body.runId}`, 'submitted');
});

describe('on the command line', () => {
  const binary = Buffer.from([0, 255, 10, 27]);
  const letter = {
    door: 'kafka',
    deliveryId: 'd\u001b[31m',
    reason: 'invalid payload: not a CommandEvent\nin protobuf',
    attempts: 3,
    headers: { 'content-type': 'application/x-protobuf', 'ce-id': '7' },
    body: binary,
  };

  test('list shows the oldest first, in pages and without control characters', async () => {
    const facteur = await startFacteur({ db });
    expect((await facteur.cli('dead-letters', 'list')).stdout).toBe('no dead letters\n');
    for (let index = 0; index < 3; index += 1) {
      await keepDeadLetter(db, { ...letter, deliveryId: `${letter.deliveryId}${index}` });
    }
    const { stdout } = await facteur.cli('dead-letters', 'list');
    expect(stdout.split('\n')).toHaveLength(5);
    expect(stdout).toContain(String.raw`d\u001b[31m0`);
    expect(stdout).not.toContain('\u001b');
    const pages: string[] = [];
    for (let after = '0'; ; after = JSON.parse(pages.at(-1) ?? '').id) {
      const page = await facteur.cli('dead-letters', 'list', '--json', '--limit', '1', '--after', after);
      if (page.stdout === '') {
        break;
      }
      pages.push(page.stdout);
    }
    expect(pages.map((page) => JSON.parse(page).deliveryId)).toEqual([0, 1, 2].map((n) => `d\u001b[31m${n}`));
  });

  test('show prints everything, and --body the exact bytes', async () => {
    const facteur = await startFacteur({ db });
    await keepDeadLetter(db, letter);
    const id = await letterId();
    const { stdout } = await facteur.cli('dead-letters', 'show', id);
    expect(stdout).toMatch(/reason +invalid payload: not a CommandEvent\\u000ain protobuf/);
    expect(stdout).toContain('application/x-protobuf');
    expect(stdout).not.toContain('\u001b');
    const json = JSON.parse((await facteur.cli('dead-letters', 'show', id, '--json')).stdout);
    expect(json).toMatchObject({ ...letter, id, bytes: 4, body: binary.toString('base64') });
    expect((await facteur.cli('dead-letters', 'show', id, '--body')).bytes).toEqual(binary);
  });

  test.each(['replay', 'drop'])(
    'a record that is read again after a %s does not recreate its letter',
    async (action) => {
      const facteur = await startFacteur({ db });
      const { body } = event({ interactionId: 'd1' });
      const headers = { 'content-type': 'application/json' };
      const record = {
        ...{ ...letter, headers: { ...headers, ':path': '/events' }, body: Buffer.from(String(body)) },
        source: 'commands/0/7',
      };
      await keepDeadLetter(db, record);
      expect((await facteur.cli('dead-letters', action, await letterId())).code).toBe(0);
      await keepDeadLetter(db, record);
      expect(await countLetters()).toBe(0);
    },
  );

  test('drop empties a letter; an unknown id is an error, an invalid one wrong usage', async () => {
    const facteur = await startFacteur({ db });
    await keepDeadLetter(db, letter);
    const id = await letterId();
    expect(await facteur.cli('dead-letters', 'drop', id)).toMatchObject({
      code: 0,
      stdout: `dead letter ${id} dropped\n`,
    });
    expect(await countLetters()).toBe(0);
    expect(await facteur.cli('dead-letters', 'drop', id)).toMatchObject({
      code: 1,
      stderr: `facteur: dead letter ${id} was already dropped\n`,
    });
    expect((await facteur.cli('dead-letters', 'list')).stdout).toBe('no dead letters\n');
    const left = JSON.parse((await facteur.cli('dead-letters', 'show', id, '--json')).stdout);
    expect(left).toMatchObject({ outcome: 'dropped', bytes: 0, body: '', headers: {} });
    expect(await facteur.cli('dead-letters', 'drop', '999')).toMatchObject({
      code: 1,
      stderr: 'facteur: unknown dead letter 999\n',
    });
    for (const args of [
      ['show', 'x'],
      ['replay', '-1'],
      ['drop', '1;2'],
      ['replay'],
      ['replay', '1', '--all'],
      ['drop', '1', '--reason', 'forbidden'],
      ['drop', '--door', 'kafka'],
      ['list', '--limit', '0'],
      ['list', '--after', 'x'],
    ]) {
      expect({ args, code: (await facteur.cli('dead-letters', ...args)).code }).toEqual({ args, code: 2 });
    }
  });
});
