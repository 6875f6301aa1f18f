import { systemClock } from '../base/clock.ts';
import { createLogger } from '../base/logger.ts';
import { systemTimer } from '../base/timer.ts';
import type { BuildVersion } from './build-version.ts';
import type { ClusterAccessFor } from './known-commands.ts';
import { ROLES } from '../service/roles.ts';
import { processContext } from './process-context.ts';
import type { WithLedger } from './ledger-access.ts';
import { commandFirst, type RegisterCommand } from './program.ts';
import type { WithStore } from './store-access.ts';
import { versionCommand } from './version.ts';

/** Every command by its name, in the order of the help. Loading all of them takes longer than running most of them. */
function loaders(build: BuildVersion): Readonly<Record<string, () => Promise<RegisterCommand>>> {
  return {
    serve: async () => {
      const [{ serveCommand }, { serve }] = await Promise.all([import('./serve.ts'), import('./start-service.ts')]);
      return serveCommand(ROLES, (io, request) => serve(io, request, build));
    },
    consume: async () => {
      const [{ consumeCommand }, { consume }] = await Promise.all([
        import('./consume.ts'),
        import('./start-service.ts'),
      ]);
      return consumeCommand((io, path) => consume(io, path, build));
    },
    sandbox: async () => {
      const [{ sandboxCommand }, { startServing }] = await Promise.all([
        import('./sandbox.ts'),
        import('./start-service.ts'),
      ]);
      return sandboxCommand(startServing, build);
    },
    'codex-listen': async () => {
      const [{ codexListenCommand }, { listenForCommandLine }] = await Promise.all([
        import('./codex-listen.ts'),
        import('./codex-listener.ts'),
      ]);
      return codexListenCommand(listenForCommandLine);
    },
    migrate: async () => {
      const { applyMigrations, migrateCommand } = await import('./migrate.ts');
      return migrateCommand(applyMigrations);
    },
    runs: async () => (await import('./runs.ts')).runsCommand(await withStore(build), systemClock),
    'dead-letters': async () =>
      (await import('./dead-letters.ts')).deadLettersCommand(await withStore(build), systemClock),
    submit: async () => (await import('./submit.ts')).submitCommand(await withStore(build)),
    refusals: async () => (await import('./refusals.ts')).refusalsCommand(await withStore(build), systemClock),
    knowledge: async () =>
      (await import('./knowledge.ts')).knowledgeCommand(await withStore(build), await withLedger(build)),
    approvals: async () => (await import('./approvals.ts')).approvalsCommand(await withStore(build), systemClock),
    report: async () => (await import('./report.ts')).reportCommand({ timer: systemTimer, random: Math.random }),
    maintain: async () => (await import('./maintain.ts')).maintainCommand(await withLedger(build)),
    commands: async () =>
      (await import('./commands.ts')).commandsCommand({
        version: build.version,
        timer: systemTimer,
        clusterAccess: clusterAccessFor(build),
        openLedger: async (io, config) => {
          const { openLedger } = await import('../service/ledger.ts');
          return openLedger(config, processContext(io, { ...build, logger: createLogger('warn', io.stderr) }));
        },
      }),
    explain: async () => (await import('./explain.ts')).explainCommand(systemClock, clusterAccessFor(build)),
    send: async () => (await import('./send.ts')).sendCommand({ clock: systemClock, random: Math.random }),
    codex: async () => (await import('./codex-encode.ts')).codexCommand,
    health: async () => (await import('./health.ts')).healthCommand,
    config: async () => (await import('./config.ts')).configCommand,
  };
}

/** Everything that `facteur` can do, wired to the product. */
export async function allCommands(build: BuildVersion): Promise<readonly RegisterCommand[]> {
  const commands = await Promise.all(Object.values(loaders(build)).map((load) => load()));
  const { completionCommand } = await import('./completion.ts');
  return [...commands, completionCommand(await withStore(build)), version(build)];
}

/** The command that the arguments name; all commands if they are needed, as for help or a mistyped name. */
export async function commandsFor(args: readonly string[], build: BuildVersion): Promise<readonly RegisterCommand[]> {
  const [name = ''] = commandFirst(args);
  const commands = loaders(build);
  const load = Object.hasOwn(commands, name) ? commands[name] : undefined;
  return load === undefined ? allCommands(build) : [await load(), version(build)];
}

/** Adds `--version`, which every command line accepts. */
function version({ version: number, commit }: BuildVersion): RegisterCommand {
  return versionCommand(number, commit);
}

/** Finds the cluster from the command line's environment, only when needed. */
function clusterAccessFor(build: BuildVersion): ClusterAccessFor {
  return (io) => processContext(io, { ...build, logger: createLogger('warn', io.stderr) }).clusterAccess();
}

async function withLedger(build: BuildVersion): Promise<WithLedger> {
  return (await import('./ledger-access.ts')).ledgerAccess(build);
}

async function withStore(build: BuildVersion): Promise<WithStore> {
  return (await import('./store-access.ts')).storeAccess(await withLedger(build));
}
