import { describe, expect, onTestFinished } from 'vitest';
import { createLogger, type Logger } from '../../src/base/logger.ts';
import { UrgentWork } from '../../src/base/urgent-work.ts';
import { systemClock } from '../../src/base/clock.ts';
import { Secret } from '../../src/base/secret.ts';
import { createDiscordClient } from '../../src/clients/discord/client.ts';
import { openSessions } from '../../src/clients/sessions/open-sessions.ts';
import { Follower } from '../../src/follow/follower.ts';
import { Notifier } from '../../src/notify/notifier.ts';
import { Submitter } from '../../src/submit/submitter.ts';
import { clientFor, NAMESPACE, startCluster } from '../support/cluster.ts';
import { faultyDatabase, unavailable, type FaultyDatabase } from '../support/faulty-database.ts';
import { TurnableTimer } from '../support/turnable-timer.ts';
import { database, test } from '../support/ledger-fixture.ts';

// Every worker can be started and stopped in any order and any number of times.

interface Life {
  start(): void;
  stop(): Promise<void>;
}

interface Surroundings {
  readonly db: FaultyDatabase;
  readonly url: string;
  readonly logger: Logger;
}

/** How each worker is created, and the first statement of its work. */
const WORKERS: readonly [string, statement: string, (surroundings: Surroundings) => Life][] = [
  [
    'the submitter',
    'claim-due-runs',
    ({ db, url, logger }) =>
      new Submitter({
        db,
        workflows: clientFor(url),
        clock: systemClock,
        timer: new TurnableTimer(),
        random: Math.random,
        logger,
        concurrency: 4,
        urgent: new UrgentWork(),
        maxActive: undefined,
        onChanged: () => undefined,
      }),
  ],
  [
    'the follower',
    'claim-lease',
    ({ db, url, logger }) =>
      new Follower({
        labelOf: (command) => command,
        db,
        workflows: clientFor(url),
        random: Math.random,
        logger,
        namespaces: [NAMESPACE],
        holder: crypto.randomUUID(),
      }),
  ],
  [
    'the notifier',
    'claim-due-messages',
    ({ db, url, logger }) => {
      const discord = createDiscordClient({
        apiBaseUrl: url,
        applicationId: '1',
        botToken: new Secret('t'),
        version: 'test',
      });
      const sessions = openSessions({ url: new Secret('memory://'), clock: systemClock, logger });
      onTestFinished(async () => {
        await Promise.all([discord.close(), sessions.close()]);
      });
      return new Notifier({
        db,
        discord,
        sessions,
        clock: systemClock,
        random: Math.random,
        logger,
        maxActive: undefined,
        uiUrl: undefined,
        reviewed: false,
        concurrency: 2,
        urgent: new UrgentWork(),
      });
    },
  ],
];

describe.each(WORKERS)('%s', (_name, statement, make) => {
  async function setUp() {
    const db = faultyDatabase(database.db);
    const log: string[] = [];
    const said: string[] = [];
    db.faults.before = (name) => void said.push(name);
    const { url } = await startCluster();
    const worker = make({ db, url, logger: createLogger('info', { write: (line) => log.push(line) }) });
    onTestFinished(() => worker.stop());
    const begun = (): number => said.filter((name) => name === statement).length;
    return { db, log, worker, begun };
  }

  test('works once, even if it is started repeatedly', async () => {
    const { worker, begun } = await setUp();
    worker.start();
    worker.start();
    await expect.poll(begun).toBe(1);
    await worker.stop();
    expect(begun()).toBe(1);
  });

  test('can be stopped before it is started, and then never starts', async () => {
    const { worker, begun } = await setUp();
    await worker.stop();
    worker.start();
    await worker.stop();
    expect(begun()).toBe(0);
  });

  test('can be stopped repeatedly, at once and later', async () => {
    const { worker, begun } = await setUp();
    worker.start();
    await expect.poll(begun).toBe(1);
    await Promise.all([worker.stop(), worker.stop()]);
    await worker.stop();
    expect(begun()).toBe(1);
  });

  test('waits for the current statement when it is stopped', async () => {
    const { db, worker } = await setUp();
    const [arrived, held] = [Promise.withResolvers<void>(), Promise.withResolvers<void>()];
    db.faults.before = (name) => {
      if (name === statement) {
        arrived.resolve();
        return held.promise;
      }
    };
    worker.start();
    await arrived.promise;
    let stopped = false;
    const stopping = worker.stop().then(() => (stopped = true));
    await database.db.query({ text: 'SELECT 1' });
    expect(stopped).toBe(false);
    held.resolve();
    await stopping;
  });

  test('survives a database that is down for a while, and logs the failures', async () => {
    const { db, log, worker } = await setUp();
    let [failed, worked] = [0, 0];
    db.faults.before = (name) => {
      if (name === statement) {
        failed += 1;
        if (failed <= 2) {
          unavailable();
        }
        worked += 1;
      }
    };
    worker.start();
    await expect.poll(() => worked).toBeGreaterThan(0);
    expect(log.filter((line) => line.includes('worker pass failed'))).toHaveLength(2);
  });
});
