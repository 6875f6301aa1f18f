import type { RegisterCommand } from './program.ts';

/** `facteur version`: what runs here. */
export function versionCommand(version: string, commit: string): RegisterCommand {
  return (program, io) => {
    program
      .command('version')
      .description('print version and commit')
      .option('--json', 'print as JSON')
      .action((options: { json?: boolean }) => {
        io.stdout.write(
          options.json === true ? `${JSON.stringify({ version, commit })}\n` : `facteur ${version} (${commit})\n`,
        );
      });
  };
}
