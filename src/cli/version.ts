import { Option } from 'commander';
import type { RegisterCommand } from './program.ts';

/** `facteur version`: prints version and commit. */
export function versionCommand(version: string, commit: string): RegisterCommand {
  return (program, io) => {
    const text = `facteur ${version} (${commit})`;
    program
      .version(text, '-v, --version', 'print version and commit')
      .command('version')
      .description('print version and commit')
      .addHelpText('after', '\nExamples:\n  facteur version -o json')
      .addOption(new Option('-o, --output <format>', 'a format for programs').choices(['json']))
      .option('--json', 'short for -o json')
      .action((options: { json?: boolean; output?: string }) => {
        io.stdout.write(
          options.json === true || options.output === 'json' ? `${JSON.stringify({ version, commit })}\n` : `${text}\n`,
        );
      });
  };
}
