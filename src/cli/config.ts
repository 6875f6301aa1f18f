import type { Command } from 'commander';
import { checkConfig, configSchema, printConfig } from '../config/report.ts';
import { FacteurError } from '../base/errors.ts';
import type { CliIo } from './io.ts';
import { formatOf, oneOutput, withOutput, type OutputOptions } from './output.ts';
import type { RegisterCommand } from './program.ts';
import { loadOptions, readConfig } from './read-config.ts';
import { withConfigOption } from './serve.ts';
import { printable } from './table.ts';

interface ConfigOptions extends OutputOptions {
  readonly config?: string;
}

/** `facteur config check|print|schema`. */
export const configCommand: RegisterCommand = (program, io) => {
  const config = program.command('config').description('validate, show and describe the configuration');
  checkCommand(config, io);
  printCommand(config, io);
  config
    .command('schema')
    .description('print the JSON Schema of the configuration file')
    .addHelpText('after', '\nExamples:\n  facteur config schema > facteur.schema.json')
    .action(() => {
      io.stdout.write(configSchema());
    });
};

function checkCommand(config: Command, io: CliIo): void {
  withOutput(withConfigOption(config.command('check')))
    .description('report every error in the configuration, unknown keys included')
    .addHelpText(
      'after',
      '\nExamples:\n  facteur config check --config facteur.yaml\n  facteur config check -o json | jq .problems',
    )
    .action(async (options: ConfigOptions) => {
      const report = await checkConfig(loadOptions(io, options.config));
      const text = () => `${report.lines.map(printable).join('\n')}\n`;
      io.stdout.write(oneOutput(report, options, { name: ({ ok }) => (ok ? 'valid' : 'invalid'), text }));
      if (!report.ok) {
        throw new FacteurError('config.invalid', 'the configuration is invalid', { retryable: false });
      }
    });
}

function printCommand(config: Command, io: CliIo): void {
  withOutput(withConfigOption(config.command('print')), ['json', 'yaml'], 'the format: yaml unless given')
    .description('print every value and where it came from, with secrets as ***')
    .addHelpText(
      'after',
      '\nExamples:\n  facteur config print --config facteur.yaml\n  facteur config print -o json | jq .sources',
    )
    .action(async (options: ConfigOptions) => {
      const result = await readConfig(io, { path: options.config, require: [], reads: () => true });
      io.stdout.write(printConfig(result, formatOf(options) === 'json' ? 'json' : 'yaml'));
    });
}
