import { join } from 'node:path';
import { engineRuns, planContainer, startContainer, stopContainer } from './compose.ts';
import { type DaemonRecord, stopDaemon } from './daemon.ts';
import type { ContainableService, Location, Service } from './service.ts';
import type { RememberedService } from './state.ts';

export interface StarterOptions {
  /** The folder for downloads and for files from containers. */
  readonly root: string;
  readonly say: (line: string) => void;
  /** Whether containers may be used at all. */
  readonly containers: boolean;
}

type Variables = Readonly<Record<string, string>>;
type Remember = (service: RememberedService) => void;

/** Starts services: in containers where an engine runs, else as processes on this machine. */
export class Starter {
  readonly #options: StarterOptions;
  /** Detected when the first service starts: no engine is needed if all services are given. */
  #containers: boolean | undefined;

  constructor(options: StarterOptions) {
    this.#options = options;
    this.#containers = options.containers ? undefined : false;
  }

  /**
   * @param variables those of the services before this one
   * @param remember called with everything that must be stopped later, as soon as it may exist
   */
  async start(service: Service, variables: Variables, remember: Remember): Promise<Location> {
    this.#containers ??= engineRuns();
    const contained = this.#containers && isContainable(service) ? await this.#contain(service, remember) : undefined;
    return contained ?? this.#startHere(service, variables, remember);
  }

  async #startHere(service: Service, variables: Variables, remember: Remember): Promise<Location> {
    const { root, say } = this.#options;
    say(`starting ${service.name}`);
    const daemons: DaemonRecord[] = [];
    const began = (daemon: DaemonRecord): void => {
      daemons.push(daemon);
      remember({ value: '', daemons });
    };
    try {
      const started = await service.start({ cache: join(root, 'cache'), say, variables, began });
      remember(started);
      return started;
    } catch (error) {
      await stopService({ value: '', daemons });
      throw error;
    }
  }

  async #contain(service: ContainableService, remember: Remember): Promise<Location | undefined> {
    const { root, say } = this.#options;
    say(`starting ${service.name} in a container`);
    const planned = await planContainer(service, root);
    // Remembered before it exists: pulling the image may take minutes, and an interrupted start leaves parts behind.
    remember(planned.service);
    try {
      await startContainer(planned);
      return planned.service;
    } catch (error) {
      say(`${error instanceof Error ? error.message : String(error)}; going on without containers`);
      this.#containers = false;
      stopContainer(planned.service.container);
      return undefined;
    }
  }
}

function isContainable(service: Service): service is ContainableService {
  return service.plan !== undefined;
}

/** Stops a service and removes its files; a service that has already ended is not an error. */
export async function stopService(service: RememberedService): Promise<void> {
  if ('container' in service) {
    stopContainer(service.container);
  } else {
    for (const daemon of service.daemons.toReversed()) {
      await stopDaemon(daemon);
    }
  }
}
