import type { AppContext } from './app-context.ts';
import type { ArgoClient } from './clients/argo/workflows.ts';
import type { Sessions } from './clients/sessions/sessions.ts';
import type { Config } from './config/config.ts';
import type { Core } from './core.ts';
import { createChat, type Chat } from './dispatch/chat.ts';
import type { CommandMetrics } from './dispatch/command-metrics.ts';
import { observeChat } from './dispatch/observed-chat.ts';
import type { InteractionsRoute } from './entry/http/interactions-route.ts';

export interface InteractionsSettings {
  readonly config: Config;
  readonly context: AppContext;
  /** Absent where there is no cluster to ask. */
  readonly argo: ArgoClient | undefined;
  readonly sessions: Sessions;
  readonly commandMetrics: CommandMetrics;
}

/**
 * Discord's door, wired. It opens before the database does: until then Discord's probes pass, and people are told to try
 * again.
 *
 * @param requireCore throws a retryable FacteurError while there is none
 */
export function interactionsRoute(settings: InteractionsSettings, requireCore: () => Core): InteractionsRoute {
  const { config, context, argo, sessions, commandMetrics } = settings;
  const { clock, logger } = context;
  const urgently = <T>(work: (chat: Chat) => Promise<T>): Promise<T> => {
    const { db, dispatch, urgent } = requireCore();
    const plain = createChat({
      db,
      dispatch,
      sessions,
      commands: config.commands,
      roleMap: config.roleMap,
      argo: config.argo,
      disabled: config.dispatcherDisabled,
      templates: argo,
      workflows: argo,
      clock,
      logger,
    });
    const chat = observeChat(plain, commandMetrics);
    return urgent.run(() => work(chat));
  };
  return {
    publicKey: config.discord.publicKey,
    guildId: config.discord.guildId,
    commands: config.commands,
    roleMap: config.roleMap,
    clock,
    logger,
    chat: {
      command: async (command, options) => urgently((chat) => chat.command(command, options)),
      form: async (command, options) => urgently((chat) => chat.form(command, options)),
      press: async (press, options) => urgently((chat) => chat.press(press, options)),
    },
  };
}
