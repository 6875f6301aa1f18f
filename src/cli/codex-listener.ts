import { createLogger } from '../base/logger.ts';
import { readableLog } from '../base/readable-log.ts';
import type { CodexListenRequest } from './codex-listen.ts';
import { readConfig } from './read-config.ts';
import type { CliIo } from './io.ts';
import { listenToCodex } from '../entry/kafka/codex-listen.ts';

/** Prints the Codex topic to standard output; all other output goes to stderr, so the tasks can be piped. */
export async function listenForCommandLine(io: CliIo, request: CodexListenRequest): Promise<void> {
  const { config } = await readConfig(io, {
    path: request.configPath,
    require: [],
    reads: (group) => group === 'codex_listener',
  });
  await listenToCodex(request, {
    config: config.codexListener,
    print: request.print,
    logger: createLogger('info', io.stderr.isTTY ? readableLog(io.stderr, false) : io.stderr),
    random: Math.random,
    signal: AbortSignal.any([io.signal, io.outputClosed]),
  });
}
