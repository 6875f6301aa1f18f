import { createLogger } from '../base/logger.ts';
import { createArgoClient } from '../clients/argo/client.ts';
import type { ArgoClient } from '../clients/argo/workflows.ts';
import type { Database } from '../clients/postgres/database.ts';
import type { Config, Requirement } from '../config/config.ts';
import type { Embedder } from '../knowledge/embed.ts';
import type { Dispatch } from '../dispatch/dispatch.ts';
import type { CommandRules } from '../domain/command-rules.ts';
import { runPages, type RunPages } from '../domain/run-pages.ts';
import { createAnnouncements, type Announcements } from '../ledger/due-work.ts';
import type { AppContext } from '../service/context.ts';
import { dispatchFor } from '../service/dispatch.ts';
import { currentCommands } from '../service/templates.ts';
import { openEmbedder } from '../service/embedder.ts';
import { openLedger } from '../service/ledger.ts';
import type { BuildVersion } from './build-version.ts';
import type { CliIo } from './io.ts';
import { processContext } from './process-context.ts';
import { readConfig } from './read-config.ts';

/** The ledger and its operations, for a command that runs beside a serving facteur. */
export interface LedgerAccess {
  readonly db: Database;
  readonly dispatch: Dispatch;
  /** The configured embedder. */
  readonly embedder: Embedder;
  readonly wakes: Announcements;
  /** Whether Codex tasks are currently accepted. */
  readonly codexEnabled: boolean;
  /** Opens the cluster for the duration of `work`; undefined while the dispatcher is disabled. */
  readonly withCluster: <T>(work: (cluster: ArgoClient | undefined) => Promise<T>) => Promise<T>;
  /** The rules for who may run which command. */
  readonly rules: CommandRules;
  readonly pages: RunPages;
}

/**
 * Opens the configured ledger for the duration of `work`. Only Postgres must be configured, unless a run is to be
 * planned: a CronJob that cleans up needs no bot token.
 */
export type WithLedger = <T>(
  io: CliIo,
  request: { readonly configPath: string | undefined; readonly plans?: boolean },
  work: (access: LedgerAccess) => Promise<T>,
) => Promise<T>;

/** Remembers nothing: an operator's dispatch is not a user's last request. */
const NO_SESSIONS = { rememberDispatch: () => Promise.resolve() };

/** Without planning, no target is needed. */
const NO_TARGET: Config['argo'] = { namespace: '', workflowTemplate: '', serviceAccount: '', parameters: {} };

/** The ledger for commands that run beside a serving facteur: they record, and its submitter does the rest. */
export function ledgerAccess(build: BuildVersion): WithLedger {
  return async (io, { configPath, plans = false }, work) => {
    const needed: readonly Requirement[] = plans ? ['postgres', 'argo'] : ['postgres'];
    const { config } = await readConfig(io, { path: configPath, require: needed });
    const context = processContext(io, { ...build, logger: createLogger('warn', io.stderr) });
    const db = openLedger(config, context);
    const announcements = createAnnouncements(db, context.logger);
    const embeddings = openEmbedder(config, context);
    try {
      // A replayed letter may be for a template's command.
      const commands = plans ? await currentCommands(config, context) : config;
      const rules = () => commands;
      const parts = { db, submitter: undefined, sessions: NO_SESSIONS, wakes: announcements, rules };
      const dispatch = dispatchFor({ ...config, argo: config.argo ?? NO_TARGET }, context, parts);
      return await work({
        db,
        dispatch,
        embedder: embeddings.embedder,
        wakes: announcements,
        codexEnabled: config.codex.enabled,
        rules: commands,
        withCluster: (use) => openCluster(config.dispatcherDisabled, context, use),
        pages: runPages({ ui: config.argo?.uiUrl, trace: config.telemetry.traceUrl }),
      });
    } finally {
      await announcements.flush();
      await embeddings.close();
      await db.close();
    }
  };
}

async function openCluster<T>(
  disabled: boolean,
  { clusterAccess }: Pick<AppContext, 'clusterAccess'>,
  use: (cluster: ArgoClient | undefined) => Promise<T>,
): Promise<T> {
  if (disabled) {
    return use(undefined);
  }
  const client = createArgoClient(await clusterAccess());
  try {
    return await use(client);
  } finally {
    await client.close();
  }
}
