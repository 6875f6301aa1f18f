import { execFile } from 'node:child_process';
import { readFileSync } from 'node:fs';
import { join } from 'node:path';
import { promisify } from 'node:util';
import { afterAll, beforeAll, beforeEach, expect } from 'vitest';
import { ensureNamespace } from '../../scripts/cluster/set-up.ts';
import { systemTimer } from '../../src/base/timer.ts';
import { deliveryLabel } from '../../src/domain/workflow-name.ts';
import { SERVE_ROLES } from '../../src/service/roles.ts';
import { DEPLOY, parseManifests } from '../deploy/manifests.ts';
import type { Json } from '../support/cluster.ts';
import { createTestDatabase, type TestDatabase } from '../support/database.ts';
import { startFacteur, type Facteur, type FacteurOptions } from '../support/facteur.ts';
import { emptyLedger } from '../support/ledger.ts';
import { logIn, openSharedWorld, SHIPPED_CONFIG, SHIPPED_ENV, type World } from './world.ts';

/** A ledger, a real cluster and helpers for both. The ledger is empty at the start of each test. */
export class Bench {
  #database: TestDatabase | undefined;
  #world: World | undefined;

  async open(openWorld: () => Promise<World>): Promise<void> {
    [this.#database, this.#world] = await Promise.all([createTestDatabase(), openWorld()]);
  }

  async close(): Promise<void> {
    await this.#world?.api.close();
    await this.#database?.close();
  }

  get db(): TestDatabase['db'] {
    return this.#database!.db;
  }

  get world(): World {
    return this.#world!;
  }

  /** Starts facteur as shipped, with its own service account. Its commands run `template`. */
  async start(template: string, options: Partial<FacteurOptions> = {}): Promise<Facteur> {
    const access = options.access ?? (await logIn(this.world)).access;
    return startFacteur({
      db: this.db,
      yaml: SHIPPED_CONFIG,
      roles: SERVE_ROLES,
      ...options,
      // A real cluster takes real time.
      context: { timer: systemTimer, ...options.context },
      access,
      env: { ...SHIPPED_ENV, FACTEUR_ARGO_WORKFLOW_TEMPLATE: template, ...options.env },
    });
  }

  /** Creates a namespace, facteur's rights in it as in deploy/base, and the tests' templates. */
  async deployIn(namespace: string): Promise<void> {
    await ensureNamespace(this.world.api, namespace);
    const files = [join(DEPLOY, 'base/workflow-access.yaml'), join(import.meta.dirname, 'templates.yaml')];
    for (const manifest of files.flatMap((file) => parseManifests(readFileSync(file, 'utf8')))) {
      await this.world.api.apply({ ...manifest, metadata: { ...manifest.metadata, namespace } });
    }
  }

  async workflow(name: string): Promise<Json> {
    return this.world.api.call(workflowPath(name));
  }

  async patch(name: string, patch: object): Promise<void> {
    const contentType = 'application/merge-patch+json';
    await this.world.api.call(workflowPath(name), { method: 'PATCH', contentType, body: patch });
  }

  async remove(name: string): Promise<void> {
    await this.world.api.call(workflowPath(name), { method: 'DELETE' });
  }

  /** All workflows with the delivery's label. */
  async workflowsOf(deliveryId: string): Promise<Json[]> {
    const selector = encodeURIComponent(`facteur.proompteng.ai/delivery=${deliveryLabel(deliveryId)}`);
    return (await this.world.api.call(`${workflowPath('')}?labelSelector=${selector}`)).items;
  }

  /** Like Argo's command line: retry, restart, resubmit, stop, terminate, suspend, resume. Returns the output. */
  async argo(verb: string, name: string): Promise<string> {
    const env = { ...process.env, KUBECONFIG: this.world.kubeconfig };
    const { stdout } = await promisify(execFile)(this.world.argo, [verb, 'argo-workflows', name], { env });
    return stdout.trim();
  }
}

/** A bench for all tests of a file. */
export function useBench(openWorld: () => Promise<World> = openSharedWorld): Bench {
  const bench = new Bench();
  beforeAll(() => bench.open(openWorld), 300_000);
  afterAll(() => bench.close(), 60_000);
  beforeEach(() => emptyLedger(bench.db));
  return bench;
}

/** Waits until the workflow is in this phase. */
export async function expectPhase(bench: Bench, name: string, phase: string): Promise<void> {
  await expect.poll(async () => (await bench.workflow(name)).status?.phase).toBe(phase);
}

let last = 0;

/** A delivery id that no test has used before, in this run or an earlier one. */
export function freshId(what: string): string {
  last += 1;
  return `${what}-${process.pid}-${Date.now()}-${last}`;
}

export function workflowPath(name: string): string {
  const collection = '/apis/argoproj.io/v1alpha1/namespaces/argo-workflows/workflows';
  return name === '' ? collection : `${collection}/${name}`;
}
