import { randomUUID } from 'node:crypto';
import { systemClock } from '../base/clock.ts';
import type { Logger } from '../base/logger.ts';
import { systemTimer } from '../base/timer.ts';
import type { AppContext } from '../service/context.ts';
import type { BuildVersion } from './build-version.ts';
import type { CliIo } from './io.ts';

/** The process's own clock, randomness and files. */
export function processContext(io: CliIo, build: BuildVersion & { logger: Logger }): AppContext {
  return {
    logger: build.logger,
    clock: systemClock,
    timer: systemTimer,
    random: Math.random,
    newId: randomUUID,
    pid: io.pid,
    migrationsDir: io.migrationsDir,
    clusterAccess: async () =>
      (await import('../clients/argo/kubeconfig.ts')).resolveClusterAccess({
        environment: io.env,
        homeDirectory: io.homeDir,
        clock: systemClock,
      }),
    version: build.version,
    commit: build.commit,
  };
}
