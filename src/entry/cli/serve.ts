import type { Command } from 'commander';
import type { CliIo } from './io.ts';
import type { RegisterCommand } from './program.ts';

/** A started facteur, as far as the command line cares. */
export interface Running {
  readonly ready: Promise<void>;
  close(): Promise<void>;
}

/** `--config PATH`, which every command that reads the configuration takes. */
export function withConfigOption(command: Command): Command {
  return command.option(
    '--config <path>',
    'configuration file (default: FACTEUR_CONFIG_FILE, else the environment alone)',
  );
}

/** `facteur serve`: until SIGINT or SIGTERM, then drains and ends with 0. */
export function serveCommand(start: (io: CliIo, configPath: string | undefined) => Promise<Running>): RegisterCommand {
  return (program, io) => {
    withConfigOption(program.command('serve'))
      .description('apply migrations, serve HTTP and follow workflows until told to stop')
      .action(async (options: { config?: string }) => {
        await runUntilStopped(await start(io, options.config), io.signal);
      });
  };
}

/** Waits for the signal, or for the news that the start failed for good; closes in both cases. */
export async function runUntilStopped(running: Running, signal: AbortSignal): Promise<void> {
  const stopped = new Promise<void>((resolve) => {
    if (signal.aborted) {
      resolve();
    }
    signal.addEventListener('abort', () => resolve(), { once: true });
  });
  try {
    await Promise.race([stopped, running.ready.then(() => stopped)]);
  } finally {
    await running.close();
  }
}
