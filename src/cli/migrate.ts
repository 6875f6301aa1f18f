import { errorMessage } from '../base/errors.ts';
import { loadMigrations } from '../clients/postgres/load-migrations.ts';
import { migrate } from '../clients/postgres/migrate.ts';
import { openDatabase } from '../clients/postgres/open-database.ts';
import type { CliIo } from './io.ts';
import { oneOutput, withOutput, type OutputOptions } from './output.ts';
import type { RegisterCommand } from './program.ts';
import { readConfig } from './read-config.ts';
import { withConfigOption } from './serve.ts';
import { printable } from './table.ts';

/** The name of an applied migration. */
export interface Applied {
  readonly version: number;
  readonly name: string;
}

/** `facteur migrate`: one line per migration, in the format of the Go service, or `noop`. */
export function migrateCommand(
  run: (io: CliIo, configPath: string | undefined) => Promise<readonly Applied[]>,
): RegisterCommand {
  return (program, io) => {
    withOutput(withConfigOption(program.command('migrate')))
      .description('apply the database migrations and exit')
      .addHelpText('after', '\nExamples:\n  FACTEUR_POSTGRES_DSN=postgres://… facteur migrate')
      .action(async (options: OutputOptions & { readonly config?: string }) => {
        const applied = await run(io, options.config);
        const name = () => applied.map((one) => one.name).join('\n');
        io.stdout.write(oneOutput(applied, options, { name, text: () => migrationLines(applied) }));
      });
  };
}

function migrationLines(applied: readonly Applied[]): string {
  if (applied.length === 0) {
    return 'noop\n';
  }
  return applied
    .map(({ version, name }) => `migration ${String(version).padStart(6, '0')} applied (${name})\n`)
    .join('');
}

/** Applies the migrations that the configured database lacks. */
export async function applyMigrations(io: CliIo, configPath: string | undefined): Promise<readonly Applied[]> {
  const { config } = await readConfig(io, {
    path: configPath,
    require: ['postgres'],
    reads: (group) => group === 'postgres',
  });
  const db = openDatabase({
    dsn: config.postgres.dsn.reveal(),
    pid: io.pid,
    random: Math.random,
    onLost: (error) => io.stderr.write(`${printable(errorMessage(error))}\n`),
  });
  try {
    return await migrate(db, await loadMigrations(io.migrationsDir), { signal: io.signal });
  } finally {
    await db.close();
  }
}
