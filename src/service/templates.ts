import type { ObservableResult } from '@opentelemetry/api';
import { gauge } from '../base/metrics.ts';
import { createArgoClient } from '../clients/argo/client.ts';
import type { WorkflowTemplate } from '../clients/argo/workflows.ts';
import type { CommandTemplatesConfig, Config, ConfigWith } from '../config/config.ts';
import { mergeCommands, type CommandCatalogue, type CommandSnapshot } from '../dispatch/command-catalogue.ts';
import type { TemplateCommand } from '../domain/template-command.ts';
import { readTemplateCommands } from '../domain/template-commands.ts';
import { listTemplates, TemplateFollower } from '../follow/follow-templates.ts';
import type { Clients } from './clients.ts';
import type { AppContext } from './context.ts';
import type { Role } from './roles.ts';

type Settings = Pick<Config, 'roleMap'> & Pick<ConfigWith<never>, 'argo' | 'commandsFromTemplates' | 'discord'>;

/**
 * Whether a process with these roles must know the commands of templates: it accepts or plans commands, or asks the users who may
 * run them for approval.
 */
export function needsTemplates(config: Settings, roles: ReadonlySet<Role>, clients: Pick<Clients, 'argo'>): boolean {
  const isAsked = (['http', 'submit', 'kafka', 'notify'] as const).some((role) => roles.has(role));
  return config.commandsFromTemplates !== undefined && isAsked && clients.argo !== undefined;
}

/** Keeps the catalog of this process up to date; undefined if no template may define a command. */
export function followTemplates(
  config: Settings,
  { logger, random }: Pick<AppContext, 'logger' | 'random'>,
  {
    roles,
    clients,
    catalogue,
  }: {
    readonly roles: ReadonlySet<Role>;
    readonly clients: Pick<Clients, 'argo'>;
    readonly catalogue: Pick<CommandCatalogue, 'replace'>;
  },
): TemplateFollower | undefined {
  const { argo: templates } = clients;
  const { commandsFromTemplates: settings } = config;
  if (settings === undefined || templates === undefined || !needsTemplates(config, roles, clients)) {
    return undefined;
  }
  const read = readerOf(settings, config);
  return new TemplateFollower({
    ...{ templates, namespaces: settings.namespaces, selector: settings.selector },
    onChanged: (all, isComplete) => catalogue.replace(read(all), isComplete),
    logger,
    random,
  });
}

/**
 * Counts the commands that templates define, by whether they are active or refused.
 *
 * @returns a function that stops it
 */
export function countCommands(catalogue: Pick<CommandCatalogue, 'rules'>): () => void {
  const instrument = gauge('facteur_template_commands');
  const observe = (result: ObservableResult): void => {
    const asked = catalogue.rules().listed.filter(({ definition }) => definition.template !== undefined);
    const refused = asked.filter(({ problems }) => problems.length > 0).length;
    result.observe(asked.length - refused, { state: 'active' });
    result.observe(refused, { state: 'refused' });
  };
  instrument.addCallback(observe);
  return () => instrument.removeCallback(observe);
}

/** All current commands, for a short-lived command line. @throws ArgoError if templates cannot be read */
export async function currentCommands(
  config: Settings & Pick<Config, 'commands'>,
  { clusterAccess }: Pick<AppContext, 'clusterAccess'>,
): Promise<CommandSnapshot> {
  const { commandsFromTemplates: settings } = config;
  if (settings === undefined) {
    return mergeCommands(config, []);
  }
  const client = createArgoClient(await clusterAccess());
  try {
    const { namespaces, selector } = settings;
    const all = await listTemplates({ templates: client, namespaces, selector });
    return mergeCommands(config, readerOf(settings, config)(all));
  } finally {
    await client.close();
  }
}

function readerOf(
  { selector, serviceAccounts, defaultRoles }: CommandTemplatesConfig,
  { roleMap, argo, discord }: Settings,
): (templates: readonly WorkflowTemplate[]) => readonly TemplateCommand[] {
  const { serviceAccount = '', parameters = {} } = argo ?? {};
  const rules = {
    parameters,
    roleMap,
    guildId: discord?.guildId,
    defaultRoles,
    serviceAccounts: [...serviceAccounts, serviceAccount].filter((account) => account !== ''),
  };
  // With a selector, templates that were not read may exist and be called by others.
  return (templates) => readTemplateCommands(templates, rules, { complete: selector === undefined });
}
