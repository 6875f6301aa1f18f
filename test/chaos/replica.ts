import type { SimulatedCluster } from '../../sandbox/cluster/cluster.ts';
import type { Environment } from '../../src/config/environment.ts';
import { FacteurProcess, temporaryFolder, writeKubeconfig } from '../support/facteur-process.ts';
import { startWireProxy, type Hit, type Tripwire, type WireProxy } from './wire-proxy.ts';

/** The two connections of a replica to its servers. */
export type Wire = 'postgres' | 'cluster';

export interface ReplicaOptions {
  readonly dsn: string;
  readonly cluster: SimulatedCluster;
  /** Another executable than that of this checkout. */
  readonly executable?: string;
  /** Overrides the test's configuration. */
  readonly env?: Environment;
}

/** One of several facteur processes on one database, with its own wire to each server. */
export class Replica {
  readonly wires: Readonly<Record<Wire, WireProxy>>;
  readonly #start: () => FacteurProcess;
  readonly #removeFiles: () => void;
  #process: FacteurProcess;
  #ready: Promise<unknown>;
  #url = '';
  #killing = false;

  private constructor(wires: Readonly<Record<Wire, WireProxy>>, removeFiles: () => void, start: () => FacteurProcess) {
    this.wires = wires;
    this.#removeFiles = removeFiles;
    this.#start = start;
    [this.#process, this.#ready] = this.#begin();
  }

  static async start({ dsn, cluster, executable, env: own }: ReplicaOptions): Promise<Replica> {
    const url = new URL(dsn);
    const wires = {
      postgres: await startWireProxy(Number(url.port)),
      cluster: await startWireProxy(cluster.port),
    };
    url.port = String(wires.postgres.port);
    // A statement on a blocked wire must not block the whole test.
    url.searchParams.set('statement_timeout', '3000');
    const folder = temporaryFolder();
    const kubeconfig = cluster.kubeconfig().replace(cluster.url, `http://127.0.0.1:${wires.cluster.port}`);
    const env = {
      ...own,
      FACTEUR_POSTGRES_DSN: url.href,
      FACTEUR_KUBECONFIG: writeKubeconfig(folder.path, kubeconfig),
    };
    return new Replica(
      wires,
      folder.remove,
      () => new FacteurProcess({ env, ...(executable === undefined ? {} : { executable }) }),
    );
  }

  /** The URL where it listens, or listened before it died. No other process uses it: a sender notices the failure. */
  get url(): string {
    return this.#url;
  }

  get log(): readonly string[] {
    return this.#process.log;
  }

  /** The output of each process that ended without being killed. */
  readonly crashes: string[] = [];

  /** Waits until it accepts work. */
  async ready(): Promise<void> {
    await this.#ready;
  }

  /** Sends SIGKILL now, and starts a new process at once. */
  async kill(): Promise<void> {
    this.#killing = true;
    await this.#process.kill();
    this.#killing = false;
    [this.#process, this.#ready] = this.#begin();
  }

  /** Pauses it, as on an overloaded machine, or continues it. */
  signal(signal: 'SIGSTOP' | 'SIGCONT'): void {
    this.#process.signal(signal);
  }

  async stop(): Promise<void> {
    this.#killing = true;
    await this.#process.kill();
    Object.values(this.wires).forEach((wire) => wire.close());
    this.#removeFiles();
  }

  arm(wire: Wire, tripwire: Tripwire): Promise<Hit> {
    return this.wires[wire].arm(tripwire);
  }

  disarm(): void {
    Object.values(this.wires).forEach((wire) => wire.disarm());
  }

  #begin(): [FacteurProcess, Promise<unknown>] {
    const process = this.#start();
    const ready = process.ready().then(() => {
      this.#url = process.url;
    });
    void process.exited.then(({ code, signal }) => {
      if (!this.#killing) {
        this.crashes.push(`ended with ${code ?? signal}:\n${process.log.slice(-40).join('\n')}`);
      }
    });
    // Waiting callers get the error; a process that is killed during its start never becomes ready.
    ready.catch(() => undefined);
    return [process, ready];
  }
}
