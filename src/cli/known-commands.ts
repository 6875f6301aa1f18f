import { errorMessage } from '../base/errors.ts';
import type { ClusterAccess } from '../clients/argo/connection.ts';
import type { Config, ConfigWith } from '../config/config.ts';
import { mergeCommands, type CommandSnapshot } from '../dispatch/command-catalogue.ts';
import type { CliIo } from './io.ts';
import { printable } from './table.ts';

/** Finds the cluster of a command line. */
export type ClusterAccessFor = (io: CliIo) => Promise<ClusterAccess>;

type Settings = Pick<Config, 'commands' | 'roleMap'> & Pick<ConfigWith<never>, 'argo' | 'commandsFromTemplates'>;

/** All commands, including those of templates. @throws FacteurError if templates may define commands and cannot be read */
export async function requiredCommands(
  io: CliIo,
  config: Settings,
  clusterAccess: ClusterAccessFor,
): Promise<CommandSnapshot> {
  if (config.commandsFromTemplates === undefined) {
    return mergeCommands(config, []);
  }
  // The cluster client is loaded only if needed.
  const { currentCommands } = await import('../service/templates.ts');
  return currentCommands(config, { clusterAccess: () => clusterAccess(io) });
}

/** The same for a command that only shows them: without the cluster, it warns and shows the others. */
export async function knownCommands(
  io: CliIo,
  config: Settings,
  clusterAccess: ClusterAccessFor,
): Promise<CommandSnapshot> {
  try {
    return await requiredCommands(io, config, clusterAccess);
  } catch (error) {
    io.stderr.write(`facteur: warning: commands of templates are missing here: ${printable(errorMessage(error))}\n`);
    return mergeCommands(config, []);
  }
}
