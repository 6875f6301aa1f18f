import { createLogger } from './base/logger.ts';
import { readableLog } from './base/readable-log.ts';
import { loadConfig } from './config/load.ts';
import type { CodexListenRequest } from './entry/cli/codex-listen.ts';
import { loadOptions } from './entry/cli/config.ts';
import type { CliIo } from './entry/cli/io.ts';
import { listenToCodex } from './entry/kafka/codex-listen.ts';

/** The Codex topic on standard output; what else there is to say goes to stderr, so that the tasks can be piped on. */
export async function listenForCommandLine(io: CliIo, request: CodexListenRequest): Promise<void> {
  const { config } = await loadConfig({ ...loadOptions(io, request.configPath), require: [] });
  await listenToCodex(request, {
    config: config.codexListener,
    print: request.print,
    logger: createLogger('info', io.stderr.isTTY ? readableLog(io.stderr, false) : io.stderr),
    random: Math.random,
    signal: io.signal,
  });
}
