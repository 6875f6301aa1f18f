import type { App } from '../service/app.ts';
import type { BuildVersion } from './build-version.ts';
import { createLogger, type Logger } from '../base/logger.ts';
import type { Config } from '../config/config.ts';
import type { CliIo } from './io.ts';
import type { RegisterCommand } from './program.ts';
import type { SandboxOptions } from './sandbox-world.ts';

/** Starts the service from a configuration; the same one that `serve` uses. */
type StartServing = (config: Config, io: CliIo, build: BuildVersion & { logger: Logger }) => Promise<App>;

/** `facteur sandbox`: runs everything on one machine without installing anything, with a tour. */
export function sandboxCommand(start: StartServing, build: BuildVersion): RegisterCommand {
  return (program, io) => {
    program
      .command('sandbox')
      .description('run everything on this machine: embedded Postgres, simulated cluster and Discord, and a tour')
      .addHelpText(
        'after',
        '\nExamples:\n  facteur sandbox\n  facteur sandbox --exit --port 0 --data ./sandbox-data\n  facteur sandbox --config facteur.yaml',
      )
      .option(
        '--config <file>',
        'take commands, roles and workflow targets from this configuration, and play those commands',
      )
      .option('--data <dir>', 'keep the database in this directory (default: gone at the end)')
      .option('--port <port>', 'port of facteur on 127.0.0.1; 0 picks a free one', '8080')
      .option('--exit', 'exit after the tour, with code 0 if every step worked')
      .option('--no-tour', 'start without the tour')
      .option('--interactive', 'read commands from standard input after the tour (default: on a terminal)')
      .action(async (options: SandboxOptions) => {
        // No other command needs the simulators.
        const { runSandbox } = await import('./sandbox-run.ts');
        const logger = createLogger('warn', io.stderr);
        await runSandbox(options, io, (config, sandboxIo) => start(config, sandboxIo, { ...build, logger }));
      });
  };
}
