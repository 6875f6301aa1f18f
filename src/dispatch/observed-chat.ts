import type { Chat } from './chat.ts';
import type { CommandMetrics } from './command-metrics.ts';

/** The same, with a count of what is refused before it gets as far as a run. */
export function observeChat(chat: Chat, metrics: Pick<CommandMetrics, 'failed'>): Chat {
  const counting = async <T>(command: string, work: () => Promise<T>): Promise<T> => {
    try {
      return await work();
    } catch (error) {
      metrics.failed(command, error);
      throw error;
    }
  };
  return {
    ...chat,
    command: (command, options) => counting(command.name, () => chat.command(command, options)),
    form: (command, options) => counting(command.name, () => chat.form(command, options)),
  };
}
