import { readFileSync } from 'node:fs';
import type { Client } from 'pg';
import { ServiceProcess, statusOf } from './service-process.ts';

const FIXTURES = new URL('../../test/fixtures/go-database/', import.meta.url);
/** The schema of each migration, and the rows that the Go service would have written after it. */
const STEPS = [['1.sql', '1-rows.sql'], ['2.sql'], ['3.sql', '3-rows.sql']] as const;

/** The Go service: the real one if there is a binary, else the data that it would leave in the database. */
export class GoService {
  readonly #binary: string | undefined;
  readonly #env: Readonly<Record<string, string>>;

  constructor(binary: string | undefined, env: Readonly<Record<string, string>>) {
    this.#binary = binary;
    this.#env = env;
  }

  get isReal(): boolean {
    return this.#binary !== undefined;
  }

  /** Migrates an empty database like the Go service; without a binary, also adds rows between the migrations. */
  async migrate(db: Client): Promise<void> {
    await db.query('CREATE EXTENSION IF NOT EXISTS vector');
    if (this.#binary !== undefined) {
      // The first migration grants privileges to this role.
      await db.query(`DO $$ BEGIN CREATE ROLE facteur; EXCEPTION WHEN duplicate_object THEN NULL; END $$`);
      const migration = new ServiceProcess({ command: this.#binary, args: ['migrate'], env: this.#env });
      if ((await migration.ended()) !== 0) {
        throw new Error(`the Go service cannot migrate:\n${migration.log}`);
      }
      return;
    }
    await db.query(fixture('goose.sql'));
    for (const [index, files] of STEPS.entries()) {
      for (const file of files) {
        await db.query(fixture(file));
      }
      await db.query('INSERT INTO goose_db_version (version_id, is_applied) VALUES ($1, true)', [index + 1]);
    }
  }

  /** Runs the service during `work`; does nothing without a binary. */
  async serve(url: string, work: (service: ServiceProcess) => Promise<void>): Promise<void> {
    if (this.#binary === undefined) {
      return;
    }
    const service = new ServiceProcess({ command: this.#binary, args: ['serve'], env: this.#env });
    try {
      await service.until('the Go service starts', async () => (await statusOf(`${url}/readyz`)) === 200);
      await work(service);
    } finally {
      await service.stop();
    }
  }
}

function fixture(name: string): string {
  return readFileSync(new URL(name, FIXTURES), 'utf8');
}
