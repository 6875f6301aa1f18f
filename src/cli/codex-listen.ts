import type { HeardTask, ListenOptions } from '../entry/kafka/codex-listen.ts';
import type { CliIo } from './io.ts';
import type { RegisterCommand } from './program.ts';
import { positive } from './option-pairs.ts';
import { withConfigOption } from './serve.ts';
import { printable } from './table.ts';

export interface CodexListenRequest extends ListenOptions {
  readonly configPath: string | undefined;
  readonly print: (task: HeardTask) => void;
}

/**
 * `facteur codex-listen`: one line per Codex task, until SIGINT or SIGTERM, or until the limit.
 *
 * @param listen rejects when the configuration does not enable the listener
 */
export function codexListenCommand(listen: (io: CliIo, request: CodexListenRequest) => Promise<void>): RegisterCommand {
  return (program, io) => {
    withConfigOption(program.command('codex-listen'))
      .description('print tasks from the Codex topic without running them')
      .addHelpText('after', '\nExamples:\n  facteur codex-listen --config facteur.yaml')
      .option('--from-beginning', 'read the topic from its first record; committed offsets do not change')
      .option('--limit <n>', 'exit after this many tasks', positive('--limit'))
      .option('--json', 'one JSON object per line')
      .action(async (options: { config?: string; fromBeginning?: boolean; limit?: number; json?: boolean }) => {
        const format = options.json === true ? jsonLine : textLine;
        await listen(io, {
          configPath: options.config,
          fromBeginning: options.fromBeginning === true,
          ...(options.limit === undefined ? {} : { limit: options.limit }),
          print: (task) => io.stdout.write(`${format(task)}\n`),
        });
      });
  };
}

/** The format of the Go service. The JSON comes last, so a line can be cut where it begins. */
function textLine({ key, stage, repository, issue, task }: HeardTask): string {
  return printable(`codex task key=${key} stage=${stage} repo=${repository} issue=${issue} payload=${task}`);
}

function jsonLine({ key, stage, repository, issue, task }: HeardTask): string {
  return JSON.stringify({ key, stage, repository, issue, task: JSON.parse(task) as unknown });
}
