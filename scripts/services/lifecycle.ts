import { join } from 'node:path';
import { engineRuns, planContainer, startContainer, stopContainer } from './compose.ts';
import { stopDaemon } from './daemon.ts';
import type { Location, Service } from './service.ts';
import type { RememberedService } from './state.ts';

export interface StarterOptions {
  /** Where downloads and what containers give out are kept. */
  readonly root: string;
  readonly say: (line: string) => void;
  /** Whether containers may be used at all. */
  readonly containers: boolean;
}

/** Starts services: in containers where an engine runs, else as processes on this machine. */
export class Starter {
  readonly #options: StarterOptions;
  /** Found out when the first service is started: whoever names all of them needs no engine. */
  #containers: boolean | undefined;

  constructor(options: StarterOptions) {
    this.#options = options;
    this.#containers = options.containers ? undefined : false;
  }

  /** @param remember is told of everything that must be stopped one day, as soon as it may be there */
  async start(service: Service, remember: (service: RememberedService) => void): Promise<Location> {
    this.#containers ??= engineRuns();
    const contained = this.#containers ? await this.#contain(service, remember) : undefined;
    return contained ?? this.#startHere(service, remember);
  }

  async #startHere(service: Service, remember: (service: RememberedService) => void): Promise<Location> {
    const { root, say } = this.#options;
    say(`starting ${service.name}`);
    const started = await service.start({ cache: join(root, 'cache'), say });
    remember(started);
    return started;
  }

  async #contain(service: Service, remember: (service: RememberedService) => void): Promise<Location | undefined> {
    const { root, say } = this.#options;
    say(`starting ${service.name} in a container`);
    const planned = await planContainer(service, root);
    // Before it is there: an image may take minutes to arrive, and who gives up meanwhile leaves half of it behind.
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

/** Ends a service and removes its files; one that has ended by itself is no error. */
export async function stopService(service: RememberedService): Promise<void> {
  if ('container' in service) {
    stopContainer(service.container);
  } else {
    await stopDaemon(service.daemon);
  }
}
