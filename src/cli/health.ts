import { FacteurError, fetchProblem } from '../base/errors.ts';
import type { ListenAddress } from '../config/listen-address.ts';
import type { CliIo } from './io.ts';
import type { RegisterCommand } from './program.ts';
import { readConfig } from './read-config.ts';
import { withConfigOption } from './serve.ts';

/** Shorter than the wait of the image's health check, in milliseconds. */
const ANSWER_MS = 4000;

/** `facteur health`: asks a facteur with this configuration on this machine, for the image's health check. */
export const healthCommand: RegisterCommand = (program, io) => {
  withConfigOption(program.command('health', { hidden: true }))
    .description('check that facteur answers on server.listen_address')
    .action(async (options: { config?: string }) => {
      const { config } = await readConfig(io, {
        path: options.config,
        require: [],
        // `serve` reports errors in other groups, and may have started despite them.
        reads: (group) => group === 'server',
        warn: () => undefined,
      });
      await askHealth(io, new URL(`http://${localHost(config.server.listeners[0])}/healthz`));
    });
};

async function askHealth(io: CliIo, url: URL): Promise<void> {
  const signal = AbortSignal.any([io.signal, AbortSignal.timeout(ANSWER_MS)]);
  const status = await io.fetch(url, { signal }).then(
    (answer) => `HTTP ${answer.status}`,
    (error: unknown) => fetchProblem(error),
  );
  if (status !== 'HTTP 200') {
    throw new FacteurError('health.failed', `${url.href}: ${status}`, { retryable: true });
  }
}

/** A server on every interface is also on the loopback interface. */
function localHost({ host, port }: ListenAddress): string {
  const own = ['', '0.0.0.0', '::'].includes(host) ? '127.0.0.1' : host;
  return `${own.includes(':') ? `[${own}]` : own}:${port}`;
}
