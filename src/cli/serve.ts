import { Option, type Command } from 'commander';
import { nearest, suggestion } from '../config/nearest.ts';
import type { CliIo } from './io.ts';
import { UsageError, type RegisterCommand } from './program.ts';

/** A started facteur, as the command line sees it. */
export interface Running {
  readonly ready: Promise<void>;
  /** Rejects on a permanent failure of a part. */
  readonly consumed: Promise<void>;
  close(): Promise<void>;
}

/** `--config PATH`, which every command that reads the configuration takes. */
export function withConfigOption(command: Command): Command {
  return command.option(
    '--config <path>',
    'configuration file (default: FACTEUR_CONFIG_FILE, else environment variables only)',
  );
}

/** The options of `serve`. */
export interface ServeRequest {
  readonly configPath: string | undefined;
  /** Role names as given; undefined for all of them. */
  readonly only: readonly string[] | undefined;
}

/** `facteur serve`: until SIGINT or SIGTERM, then drains and exits with 0. */
export function serveCommand(
  roles: readonly string[],
  start: (io: CliIo, request: ServeRequest) => Promise<Running>,
): RegisterCommand {
  return (program, io) => {
    withConfigOption(program.command('serve'))
      .description('apply migrations, serve HTTP, and submit and follow workflows')
      .addHelpText('after', '\nExamples:\n  facteur serve --config facteur.yaml\n  facteur serve --only http')
      .option('--only <roles>', `run only these roles, separated by commas: ${roles.join(', ')}`)
      // Accepted and ignored, because manifests of the Go service may set it. One process is fast enough.
      .addOption(new Option('--prefork [value]').hideHelp())
      .action(async (options: { config?: string; only?: string }) => {
        const only = options.only?.split(',').map((role) => role.trim());
        const unknown = only?.find((role) => !roles.includes(role));
        if (unknown !== undefined) {
          throw new UsageError(
            `--only: unknown role ${unknown}; expected ${roles.join(', ')}${suggestion(nearest(unknown, roles))}`,
          );
        }
        await runUntilStopped(await start(io, { configPath: options.config, only }), io.signal);
      });
  };
}

/** Waits for the signal, or for a permanent failure; closes in both cases. */
export async function runUntilStopped(running: Running, signal: AbortSignal): Promise<void> {
  const stopped = new Promise<void>((resolve) => {
    if (signal.aborted) {
      resolve();
    }
    signal.addEventListener('abort', () => resolve(), { once: true });
  });
  try {
    await Promise.race([stopped, Promise.all([running.ready, running.consumed]).then(() => stopped)]);
  } finally {
    await running.close();
  }
}
