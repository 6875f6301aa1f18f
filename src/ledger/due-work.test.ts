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

test('announces each kind on its own channel', async () => {
  const { announcements, heard } = await setUp();
  await announcements.runsDue();
  await vi.waitFor(() => expect(heard).toEqual([SUBMIT_CHANNEL]));
  await announcements.messagesDue();
  await vi.waitFor(() => expect(heard).toEqual([SUBMIT_CHANNEL, MESSAGE_CHANNEL]));
});

test('combines 500 concurrent announcements into one statement', async () => {
  const { announcements, said } = await setUp();
  await Promise.all(Array.from({ length: 500 }, () => announcements.messagesDue()));
  expect(said).toHaveLength(1);
  await Promise.all(Array.from({ length: 500 }, () => announcements.messagesDue()));
  expect(said).toHaveLength(2);
});

test('an announcement during a statement gets a statement of its own', async () => {
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

test('flush sends pending announcements at once', async () => {
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

test('logs a failed announcement and does not throw', async () => {
  const { db, announcements, log } = await setUp();
  db.faults.before = () => unavailable();
  await announcements.runsDue();
  expect(log.join('')).toContain('could not notify other processes');
  db.faults.before = () => undefined;
  await announcements.runsDue();
});
