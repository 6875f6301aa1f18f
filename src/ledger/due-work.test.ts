import { expect, onTestFinished, vi } from 'vitest';
import { faultyDatabase, unavailable } from '../../test/support/faulty-database.ts';
import { createLogger } from '../base/logger.ts';
import { createAnnouncements, MESSAGE_CHANNEL, SUBMIT_CHANNEL } from './due-work.ts';
import { database, test } from '../../test/support/ledger-fixture.ts';

async function setUp() {
  const db = faultyDatabase(database.db);
  const log: string[] = [];
  const said: string[] = [];
  const heard: string[] = [];
  db.faults.before = (name) => void said.push(name);
  for (const channel of [SUBMIT_CHANNEL, MESSAGE_CHANNEL]) {
    const subscription = await database.db.listen(channel, () => heard.push(channel));
    onTestFinished(() => subscription.close());
  }
  const announcements = createAnnouncements(db, createLogger('info', { write: (line) => log.push(line) }));
  return { db, announcements, log, said, heard };
}

test('each kind is heard on its channel', async () => {
  const { announcements, heard } = await setUp();
  await announcements.runsDue();
  await vi.waitFor(() => expect(heard).toEqual([SUBMIT_CHANNEL]));
  await announcements.messagesDue();
  await vi.waitFor(() => expect(heard).toEqual([SUBMIT_CHANNEL, MESSAGE_CHANNEL]));
});

test('a thousand at once are two statements, and one comes after the last of them', async () => {
  const { announcements, said } = await setUp();
  await Promise.all(Array.from({ length: 500 }, () => announcements.messagesDue()));
  expect(said).toHaveLength(1);
  await Promise.all(Array.from({ length: 500 }, () => announcements.messagesDue()));
  expect(said).toHaveLength(2);
});

test('what is announced while a statement is on its way is announced again', async () => {
  const { db, announcements, said } = await setUp();
  const held = Promise.withResolvers<void>();
  db.faults.before = (name) => {
    said.push(name);
    return held.promise;
  };
  const first = announcements.runsDue();
  await vi.waitFor(() => expect(said).toHaveLength(1));
  const second = announcements.runsDue();
  held.resolve();
  await Promise.all([first, second]);
  expect(said).toHaveLength(2);
});

test('before the end all that is to be said is said, without a pause', async () => {
  const { announcements, said } = await setUp();
  await announcements.runsDue();
  void announcements.runsDue();
  void announcements.messagesDue();
  await announcements.flush();
  expect(said.toSorted()).toEqual([
    `announce-${MESSAGE_CHANNEL}`,
    ...Array.from({ length: 2 }, () => `announce-${SUBMIT_CHANNEL}`),
  ]);
});

test('a lost database does not matter here', async () => {
  const { db, announcements, log } = await setUp();
  db.faults.before = () => unavailable();
  await announcements.runsDue();
  expect(log.join('')).toContain('could not notify other processes');
  db.faults.before = () => undefined;
  await announcements.runsDue();
});
