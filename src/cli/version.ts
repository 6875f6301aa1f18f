import type { RegisterCommand } from './program.ts';

/** `facteur version`: what runs here. */
export function versionCommand(version: string, commit: string): RegisterCommand {
  return (program, io) => {
    const text = `facteur ${version} (${commit})`;
    program
      .version(text, '-v, --version', 'print version and commit')
      .command('version')
      .description('print version and commit')
      .addHelpText('after', '\nExamples:\n  facteur version --json')
      .option('--json', 'print as JSON')
      .action((options: { json?: boolean }) => {
        io.stdout.write(options.json === true ? `${JSON.stringify({ version, commit })}\n` : `${text}\n`);
      });
  };
}
