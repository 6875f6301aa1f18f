import { cpSync, rmSync } from 'node:fs';
import { join } from 'node:path';
import { openCluster } from '../../scripts/cluster/api.ts';
import { ensureBinaries } from '../../scripts/cluster/binaries.ts';
import { LocalCluster, PARTS, type Part } from '../../scripts/cluster/local-cluster.ts';
import { setUpCluster } from '../../scripts/cluster/set-up.ts';
import { CACHE, ROOT } from '../../scripts/services/command-line.ts';
import { stopService } from '../../scripts/services/lifecycle.ts';
import { StateDirectory } from '../../scripts/services/state.ts';
import { openWorld, type World } from './world.ts';

/** A cluster for one file, which may kill its parts. Its custom resources accept anything: this starts faster. */
export class OwnCluster {
  readonly #state = new StateDirectory(join(ROOT, 'cluster'));
  readonly #owner = `run-${process.pid}`;
  #local: LocalCluster | undefined;

  get local(): LocalCluster {
    return this.#local!;
  }

  async start(): Promise<World> {
    const binaries = ensureBinaries({ cache: CACHE, say: (line) => console.error(line) });
    this.#local = await LocalCluster.create(binaries);
    await this.begin('etcd', 'apiserver');
    const api = await openCluster(this.local.kubeconfig);
    await setUpCluster(api, { definitions: binaries.definitions, full: [] });
    await api.close();
    await this.begin('controller', 'kubelet');
    return openWorld(this.local.kubeconfig, binaries.argo);
  }

  async stop(): Promise<void> {
    await stopService({ value: '', daemons: this.#local?.daemons ?? [] });
    this.#state.forget(this.#owner);
  }

  /** Starts parts one after the other, and records them: the leftovers of a killed test are cleaned up. */
  async begin(...parts: readonly Part[]): Promise<void> {
    for (const part of parts) {
      await this.local.start(part, () =>
        this.#state.write(this.#owner, { 'own cluster': { value: '', daemons: this.local.daemons } }),
      );
    }
  }

  /** Kills the API server like a crash, and restarts it. */
  async crashApiserver(during: () => Promise<void> = async () => undefined): Promise<void> {
    await this.local.kill('apiserver');
    await during();
    await this.begin('apiserver');
    await this.renewController();
  }

  /** Restarts the controller: it can stall for minutes after an outage. A real cluster's liveness probe would restart it. */
  async renewController(): Promise<void> {
    await this.local.kill('controller');
    await this.begin('controller');
  }

  /** Copies the current data of etcd. The returned function restores it, like a backup. */
  async snapshot(): Promise<() => Promise<void>> {
    const copy = `${this.local.etcdData}.copy`;
    await this.#whileStopped(() => cpSync(this.local.etcdData, copy, { recursive: true }));
    return () =>
      this.#whileStopped(() => {
        rmSync(this.local.etcdData, { recursive: true });
        cpSync(copy, this.local.etcdData, { recursive: true });
      });
  }

  async #whileStopped(work: () => void): Promise<void> {
    for (const part of PARTS.toReversed()) {
      await this.local.kill(part, part === 'etcd' ? 'SIGTERM' : 'SIGKILL');
    }
    work();
    await this.begin(...PARTS);
  }
}
