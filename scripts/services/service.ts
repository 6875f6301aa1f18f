import type { DaemonRecord } from './daemon.ts';

/** A server that some tests need. */
export interface Service {
  readonly name: string;
  /** The environment variable that tells the tests where it is; set already, it names one that is used as it is. */
  readonly variable: string;
  /** Installs what is absent and starts a server of its own on a free port of 127.0.0.1. */
  start(context: ServiceContext): Promise<StartedService>;
}

/** What starting may use. */
export interface ServiceContext {
  /** Where downloads are kept between runs. */
  readonly cache: string;
  readonly say: (line: string) => void;
}

/** A running server, as remembered in the state file. */
export interface StartedService {
  /** What the service's variable is set to. */
  readonly value: string;
  /** Further variables that tests of this service read. */
  readonly also?: Readonly<Record<string, string>>;
  readonly daemon: DaemonRecord;
}
