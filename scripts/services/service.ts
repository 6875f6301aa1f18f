import type { DaemonRecord } from './daemon.ts';

/** A server that some tests need. */
export interface Service {
  readonly name: string;
  /** The environment variable that tells the tests where it is; set already, it names one that is used as it is. */
  readonly variable: string;
  /** Installs what is absent and starts a server of its own on a free port of 127.0.0.1. */
  start(context: ServiceContext): Promise<StartedService>;
  /**
   * How it would be started in a container; absent for what only runs on this machine.
   *
   * @param directory where files of the container may be copied to
   */
  plan?(directory: string): Promise<ContainerPlan>;
  /** Rejects, with instructions, if an existing server is unusable. */
  check?(location: Location): Promise<void>;
}

/** A service that can be started in a container. */
export interface ContainableService extends Service {
  plan(directory: string): Promise<ContainerPlan>;
}

/** What starting may use. */
export interface ServiceContext {
  /** Where downloads are kept between runs. */
  readonly cache: string;
  readonly say: (line: string) => void;
  /** Of the services before this one. */
  readonly variables?: Readonly<Record<string, string>>;
  /** Called with each process as soon as it exists: a start may be interrupted. */
  readonly began?: (daemon: DaemonRecord) => void;
}

/** Where a service is. */
export interface Location {
  /** What the service's variable is set to. */
  readonly value: string;
  /** Further variables that tests of this service read. */
  readonly also?: Readonly<Record<string, string>>;
}

/** A server that runs on this machine as processes of ours. */
export interface StartedService extends Location {
  /** In the order in which they were started; they are stopped the other way round. */
  readonly daemons: readonly DaemonRecord[];
}

/** The Compose settings of a container, and the address of the service. */
export interface ContainerPlan {
  readonly location: Location;
  /** The variables in compose.yaml. */
  readonly environment: Readonly<Record<string, string>>;
  /** Ports of 127.0.0.1 that lead into the container. */
  readonly ports: readonly number[];
  /** A file of the container that tests read, and where they look for it. */
  readonly copy?: { readonly from: string; readonly to: string };
}
