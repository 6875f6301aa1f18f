import type { Command } from 'commander';
import { checkConfig, configSchema, printConfig } from '../../config/report.ts';
import { loadConfig, type LoadOptions } from '../../config/load.ts';
import { FacteurError } from '../../base/errors.ts';
import type { CliIo } from './io.ts';
import type { RegisterCommand } from './program.ts';
import { withConfigOption } from './serve.ts';

interface ConfigOptions {
  readonly config?: string;
  readonly json?: boolean;
}

/** `facteur config check|print|schema`. */
export const configCommand: RegisterCommand = (program, io) => {
  const config = program.command('config').description('validate, show and describe the configuration');
  checkCommand(config, io);
  printCommand(config, io);
  config
    .command('schema')
    .description('print the JSON Schema of the configuration file')
    .action(() => {
      io.stdout.write(configSchema());
    });
};

/** What `loadConfig` needs of the process. */
export function loadOptions(io: CliIo, path: string | undefined): LoadOptions {
  return { path, env: io.env, readFile: async (file) => (await io.readFile(file)).toString('utf8') };
}

function checkCommand(config: Command, io: CliIo): void {
  withConfigOption(config.command('check'))
    .description('say everything that is wrong with the configuration; unknown keys are errors')
    .option('--json', 'print as JSON')
    .action(async (options: ConfigOptions) => {
      const report = await checkConfig(loadOptions(io, options.config));
      io.stdout.write(options.json === true ? `${JSON.stringify(report)}\n` : `${report.lines.join('\n')}\n`);
      if (!report.ok) {
        throw new FacteurError('config.invalid', 'the configuration is not valid', { retryable: false });
      }
    });
}

function printCommand(config: Command, io: CliIo): void {
  withConfigOption(config.command('print'))
    .description('print every value and where it came from, with secrets as ***')
    .option('--json', 'print as JSON')
    .action(async (options: ConfigOptions) => {
      const result = await loadConfig({ ...loadOptions(io, options.config), require: [] });
      io.stdout.write(printConfig(result, options.json === true ? 'json' : 'yaml'));
    });
}
