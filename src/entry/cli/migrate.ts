import type { CliIo } from './io.ts';
import type { RegisterCommand } from './program.ts';
import { withConfigOption } from './serve.ts';

/** What one applied migration is called. */
export interface Applied {
  readonly version: number;
  readonly name: string;
}

/** `facteur migrate`: one line a migration, in the words of the Go service, or `noop`. */
export function migrateCommand(
  run: (io: CliIo, configPath: string | undefined) => Promise<readonly Applied[]>,
): RegisterCommand {
  return (program, io) => {
    withConfigOption(program.command('migrate'))
      .description('apply the database migrations and exit')
      .option('--json', 'print as JSON')
      .action(async (options: { config?: string; json?: boolean }) => {
        const applied = await run(io, options.config);
        io.stdout.write(options.json === true ? `${JSON.stringify(applied)}\n` : migrationLines(applied));
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
