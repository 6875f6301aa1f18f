import type { Logger } from '../base/logger.ts';
import { errorMessage } from '../base/errors.ts';
import { createArgoClient } from '../clients/argo/client.ts';
import type { WorkflowTemplate } from '../clients/argo/workflows.ts';
import type { Config, ConfigWith } from '../config/config.ts';
import { lintTemplates, type Finding } from '../domain/lint/lint.ts';
import { RULES } from '../domain/lint/rules.ts';
import type { AppContext } from './context.ts';

type Settings = Pick<Config, 'commands' | 'argo' | 'codex'> & Pick<ConfigWith<never>, 'commandsFromTemplates'>;

/** A template that the configuration uses, and the keys that use it. */
interface Wanted {
  readonly namespace: string;
  readonly name: string;
  readonly by: readonly string[];
}

/** Every template in the namespaces where facteur runs workflows. @throws ArgoError if they cannot be read */
export async function listTemplates(
  config: Settings,
  { clusterAccess }: Pick<AppContext, 'clusterAccess'>,
  signal: AbortSignal,
): Promise<readonly WorkflowTemplate[]> {
  const client = createArgoClient(await clusterAccess());
  const namespaces = new Set([
    ...wantedTemplates(config).map(({ namespace }) => namespace),
    ...(config.commandsFromTemplates?.namespaces ?? []),
  ]);
  try {
    const found: WorkflowTemplate[] = [];
    for (const namespace of namespaces) {
      for await (const { templates } of client.listWorkflowTemplates(namespace, { signal })) {
        // An API server may omit the kind of a list's items.
        found.push(...templates.map((template) => ({ ...template, kind: 'WorkflowTemplate' as const })));
      }
    }
    return found;
  } finally {
    await client.close();
  }
}

/** Findings for templates that the configuration names and the cluster lacks. */
export function missingTemplates(config: Settings, templates: readonly WorkflowTemplate[]): readonly Finding[] {
  const present = new Set(templates.map(({ metadata }) => `${metadata?.namespace}/${metadata?.name}`));
  return wantedTemplates(config)
    .filter(({ namespace, name }) => !present.has(`${namespace}/${name}`))
    .map(({ namespace, name, by }) => {
      const { level, problem, fix } = RULES['missing-template'];
      const found = { rule: 'missing-template', level, manifest: -1, kind: 'WorkflowTemplate' } as const;
      const message = `${namespace}/${name}, used by ${by.join(', ')}, ${problem}`;
      return { ...found, namespace, name, path: [], line: 0, text: '', place: by.join(', '), message, fix };
    });
}

function wantedTemplates({ commands, argo, codex }: Settings): readonly Wanted[] {
  const uses = [
    ...Object.entries(commands)
      .filter(([, { action }]) => action === 'dispatch')
      .map(([command, { namespace = argo.namespace, workflowTemplate = argo.workflowTemplate }]) => ({
        namespace,
        name: workflowTemplate,
        by: `/${command}`,
      })),
    ...(codex.enabled ? codexTemplates(codex, argo) : []),
  ];
  const groups = Map.groupBy(uses, ({ namespace, name }) => `${namespace}/${name}`);
  return [...groups.values()].flatMap((group) =>
    group.slice(0, 1).map(({ namespace, name }) => ({ namespace, name, by: [...new Set(group.map(({ by }) => by))] })),
  );
}

function codexTemplates(
  codex: Config['codex'],
  argo: Config['argo'],
): readonly (Omit<Wanted, 'by'> & { by: string })[] {
  const by = 'Codex tasks';
  const namespace = codex.namespace ?? argo.namespace;
  return [
    { namespace, name: codex.workflowTemplate ?? argo.workflowTemplate, by },
    { namespace: codex.autonomousNamespace ?? namespace, name: codex.autonomousWorkflowTemplate, by },
  ];
}

/**
 * Warns of each configured template that runs user text as code, or is missing. Blocks nothing: those commands existed before.
 * Never rejects.
 */
export async function lintConfigured(
  config: Config,
  context: Pick<AppContext, 'clusterAccess'> & { readonly logger: Logger },
  signal: AbortSignal,
): Promise<void> {
  const { logger } = context;
  if (config.dispatcherDisabled) {
    return;
  }
  try {
    const templates = await listTemplates(config, context, signal);
    const findings = lintTemplates(templates, { complete: true, guildId: config.discord.guildId });
    const errors = findings.filter(({ level }) => level === 'error');
    for (const { namespace, name, by } of wantedTemplates(config)) {
      warn(logger, { namespace, name, by }, errors);
    }
    for (const { namespace, name, place, message } of findings.filter(({ rule }) => rule === 'everyone')) {
      logger.warn({ namespace, template: name }, `${place}: ${message}`);
    }
    for (const { message } of missingTemplates(config, templates)) {
      logger.warn({}, `workflow template ${message}`);
    }
  } catch (error) {
    if (!signal.aborted) {
      logger.info({ error: errorMessage(error) }, 'the workflow templates of the commands were not checked');
    }
  }
}

function warn(logger: Logger, { namespace, name, by }: Wanted, errors: readonly Finding[]): void {
  const found = errors.filter((finding) => finding.namespace === namespace && finding.name === name);
  const [first] = found;
  if (first !== undefined) {
    const fields = {
      namespace,
      template: name,
      used_by: by,
      errors: found.length,
      first: `${first.place}: ${first.message}`,
    };
    logger.warn(fields, 'a workflow template has errors; facteur commands lint --cluster says how to fix them');
  }
}
