import type { SimulatedCluster } from '../../sandbox/cluster/cluster.ts';
import type { SimulatedDiscord } from '../../sandbox/discord/discord.ts';
import type { PlannedFailures } from '../../sandbox/play/failures.ts';
import type { Config } from '../config/config.ts';
import type { CliIo } from './io.ts';
import type { OwnConfig } from './sandbox-config.ts';
import type { SandboxService } from './sandbox-service.ts';

/** Options of `facteur sandbox`. */
export interface SandboxOptions {
  readonly config?: string;
  readonly data?: string;
  readonly port: string;
  readonly exit?: boolean;
  readonly interactive?: boolean;
  readonly tour: boolean;
}

/** The parts of the sandbox. */
export interface World {
  readonly io: CliIo;
  readonly options: SandboxOptions;
  readonly own: OwnConfig | undefined;
  readonly config: Config;
  readonly service: SandboxService;
  readonly cluster: SimulatedCluster;
  readonly discord: SimulatedDiscord;
  readonly failures: PlannedFailures;
  readonly colour: boolean;
}
