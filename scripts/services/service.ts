import type { DaemonRecord } from './daemon.ts';

/** A server that some tests need. */
export interface Service {
  readonly name: string;
  /** The environment variable with its location, for the tests; if already set, that server is used as it is. */
  readonly variable: string;
  /** Installs missing programs and starts a separate server on a free port of 127.0.0.1. */
  start(context: ServiceContext): Promise<StartedService>;
  /**
   * How to start it in a container; absent for services that only run on this machine.
   *
   * @param directory for files that are copied from the container
   */
  plan?(directory: string): Promise<ContainerPlan>;
  /** Rejects, with instructions, if an existing server is unusable. */
  check?(location: Location): Promise<void>;
}

/** A service that can be started in a container. */
export interface ContainableService extends Service {
  plan(directory: string): Promise<ContainerPlan>;
}

/** What a start may use. */
export interface ServiceContext {
  /** Where downloads are kept between runs. */
  readonly cache: string;
  readonly say: (line: string) => void;
  /** Variables of the services before this one. */
  readonly variables?: Readonly<Record<string, string>>;
  /** Called with each process as soon as it exists: a start may be interrupted. */
  readonly began?: (daemon: DaemonRecord) => void;
}

/** The location of a service. */
export interface Location {
  /** The value of the service's variable. */
  readonly value: string;
  /** Further variables that tests of this service read. */
  readonly also?: Readonly<Record<string, string>>;
}

/** A server whose processes we started on this machine. */
export interface StartedService extends Location {
  /** In the order of their start; they are stopped in reverse. */
  readonly daemons: readonly DaemonRecord[];
}

/** The Compose settings of a container, and the address of the service. */
export interface ContainerPlan {
  readonly location: Location;
  /** The variables in compose.yaml. */
  readonly environment: Readonly<Record<string, string>>;
  /** Ports of 127.0.0.1 that lead into the container. */
  readonly ports: readonly number[];
  /** A file of the container that tests read, and the path where they expect it. */
  readonly copy?: { readonly from: string; readonly to: string };
}
