import type { CliIo } from './io.ts';
import type { RegisterCommand } from './program.ts';
import { runUntilStopped, withConfigOption, type Running } from './serve.ts';

/**
 * `facteur consume`: reads command events from Kafka until SIGINT or SIGTERM, then finishes or returns work in flight and exits
 * with 0.
 *
 * @param start returns undefined if the configuration does not enable the consumer
 */
export function consumeCommand(
  start: (io: CliIo, configPath: string | undefined) => Promise<Running | undefined>,
): RegisterCommand {
  return (program, io) => {
    withConfigOption(program.command('consume'))
      .description('run commands from the Kafka topic')
      .addHelpText('after', '\nExamples:\n  facteur consume --config facteur.yaml')
      .action(async (options: { config?: string }) => {
        const running = await start(io, options.config);
        if (running === undefined) {
          io.stderr.write('the consumer is disabled; set consumer.enabled to true to run it\n');
          return;
        }
        await runUntilStopped(running, io.signal);
      });
  };
}
