/** Writes `migrations/schema.sql`: the schema that the migrations create, for reading and for diffs. */
import { writeFileSync } from 'node:fs';
import { loadMigrations } from '../src/clients/postgres/load-migrations.ts';
import { migrate } from '../src/clients/postgres/migrate.ts';
import { openPglite } from '../src/clients/postgres/open-pglite.ts';
import { schemaFile } from './schema-text.ts';

const directory = new URL('../migrations/', import.meta.url);
const db = await openPglite({ pid: process.pid, onLost: console.error });
await migrate(db, await loadMigrations(directory));
writeFileSync(new URL('schema.sql', directory), await schemaFile(db));
await db.close();
