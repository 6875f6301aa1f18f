import { expect, onTestFinished, test } from 'vitest';
import type { Database } from '../../src/clients/postgres/database.ts';
import { startOwnPostgres, type OwnPostgres } from '../chaos/own-postgres.ts';
import { openTestPostgres } from '../support/database.ts';
import { startFacteur } from '../support/facteur.ts';
import { countRuns } from '../support/ledger.ts';
import { codexTask } from '../support/messages.ts';

/*
 * The cost of a delivery in a real PostgreSQL, counted: statements, flushes to disk and bytes of WAL. A busy machine does
 * not change it: while the WAL writer is held, only commits that wait for the disk flush.
 */

const WARM_UP = 40;
const DELIVERIES = 200;
/** Statements that run periodically, not for a delivery. */
const BY_THE_CLOCK = new Set(['due-work', 'ping', 'claim-lease']);

interface Cost {
  readonly flushes: number;
  readonly bytes: number;
  /** Rows read by scans of whole tables, except `runs`, which the test itself counts that way. */
  readonly scanned: number;
}

interface Load {
  readonly name: string;
  readonly count: number;
  readonly atATime: number;
}

async function readCost(observer: Database): Promise<Cost> {
  // A backend reports its flushes when it exits.
  const others = `SELECT FROM pg_stat_activity WHERE backend_type = 'client backend' AND pid <> pg_backend_pid()`;
  await expect.poll(async () => (await observer.query({ text: others })).rows).toEqual([]);
  const { rows } = await observer.query<Cost>({
    text: `SELECT (SELECT sum(fsyncs)::float8 FROM pg_stat_io WHERE object = 'wal') AS flushes,
      (pg_current_wal_insert_lsn() - '0/0')::float8 AS bytes,
      (SELECT sum(seq_tup_read)::float8 FROM pg_stat_user_tables WHERE relname NOT IN ('goose_db_version', 'migrations', 'runs')) AS scanned`,
  });
  return rows[0]!;
}

/** Sends new Codex tasks, `atATime` of them at once, until the ledger has them as submitted. Returns the statements. */
async function deliver(postgres: OwnPostgres, { name, count, atATime }: Load): Promise<string[]> {
  const db = openTestPostgres(postgres.dsn, { poolSize: 16 });
  const statements: string[] = [];
  const facteur = await startFacteur({ db, faults: { before: (asked) => void statements.push(asked) } });
  // Each has its own issue: tasks of one issue write the same rows, and share no statement.
  const numbers = Array.from({ length: count }, (_, index) => index + 1).values();
  const sendOn = async (): Promise<void> => {
    for (const issueNumber of numbers) {
      const { status } = await facteur.send(
        codexTask({ deliveryId: `${name}-${issueNumber}`, issueNumber, repository: `acme/${name}` }),
      );
      expect(status).toBe(202);
    }
  };
  await Promise.all(Array.from({ length: atATime }, sendOn));
  await expect.poll(() => countRuns(db, 'queued')).toBe(0);
  await facteur.app.close();
  await db.close();
  return statements.filter((asked) => !BY_THE_CLOCK.has(asked));
}

test.each([
  ['alone', 1, { statements: 1.7, flushes: 1.1, bytes: 7_000 }],
  ['among-64', 64, { statements: 0.8, flushes: 0.5, bytes: 7_000 }],
])('%s, a delivery stays within its limits of statements, flushes and bytes', async (name, atATime, limit) => {
  const postgres = await startOwnPostgres();
  const observer = openTestPostgres(postgres.dsn, { poolSize: 1 });
  onTestFinished(async () => {
    await observer.close();
    postgres.releaseWalWriter();
    await postgres.stop();
  });
  await deliver(postgres, { name: 'warm-up', count: WARM_UP, atATime });
  await postgres.holdWalWriter();
  const before = await readCost(observer);
  const statements = await deliver(postgres, { name, count: DELIVERIES, atATime });
  const after = await readCost(observer);
  // One to record, a share of one to mark, and those of a start. Fewer if deliveries share them.
  expect(statements.length / DELIVERIES).toBeLessThanOrEqual(limit.statements);
  expect((after.flushes - before.flushes) / DELIVERIES).toBeLessThanOrEqual(limit.flushes);
  expect((after.bytes - before.bytes) / DELIVERIES).toBeLessThanOrEqual(limit.bytes);
  // Every plan was made when the tables were empty, and is kept.
  expect(after.scanned - before.scanned).toBe(0);
});
