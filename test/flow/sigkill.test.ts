import { join } from 'node:path';
import { afterEach, beforeEach, expect, test, vi } from 'vitest';
import { openPglite } from '../../src/clients/postgres/open-pglite.ts';
import type { SimulatedCluster } from '../../sandbox/cluster/cluster.ts';
import { startCluster } from '../support/cluster.ts';
import { fillDirectory } from '../support/database.ts';
import { FacteurProcess, temporaryFolder, writeKubeconfig } from '../support/facteur-process.ts';
import { created, timePasses } from '../support/ledger.ts';
import { codexTask, event } from '../support/messages.ts';

// Invariants 1 and 2 with a process that really dies: an acknowledged delivery survives, and is still one workflow.

const processes: FacteurProcess[] = [];
let folder: ReturnType<typeof temporaryFolder>;
beforeEach(async () => {
  folder = temporaryFolder();
  await fillDirectory(join(folder.path, 'postgres'));
});
afterEach(async () => {
  await Promise.all(processes.splice(0).map((facteur) => facteur.kill()));
  folder.remove();
});

async function serve(cluster: SimulatedCluster): Promise<FacteurProcess> {
  const facteur = new FacteurProcess({
    env: {
      FACTEUR_POSTGRES_DSN: `pglite:${join(folder.path, 'postgres')}`,
      FACTEUR_KUBECONFIG: writeKubeconfig(folder.path, cluster.kubeconfig()),
    },
  });
  processes.push(facteur);
  return facteur.ready();
}

/** The runs in the database of a dead facteur, whose claims expire now. */
async function lookInside(): Promise<{ delivery_id: string; state: string }[]> {
  const db = await openPglite({ directory: join(folder.path, 'postgres'), pid: process.pid, onLost: () => undefined });
  await timePasses(db);
  const { rows } = await db.query<{ delivery_id: string; state: string }>({
    text: 'SELECT delivery_id, state FROM facteur.runs ORDER BY 1',
  });
  await db.close();
  return rows;
}

test('an accepted delivery survives SIGKILL and is one workflow, whatever the cluster had done', async () => {
  const cluster = await startCluster();
  // The follower sees nothing.
  const deaf = (['list', 'watch'] as const).map((verb) =>
    cluster.faults.requests.add({ match: { verb }, action: { kind: 'hang' } }),
  );
  const first = await serve(cluster);
  // The cluster creates one workflow without an answer, and none of the others.
  cluster.faults.requests.add({ match: { verb: 'create' }, action: { kind: 'commit-then-hang' }, times: 1 });
  const lost = first.send(event({ interactionId: 'lost' })).catch(() => undefined);
  await vi.waitFor(() => expect(created(cluster)).toHaveLength(1));
  const hang = cluster.faults.requests.add({ match: { verb: 'create' }, action: { kind: 'hang' } });
  const answers = await Promise.all([
    first.send(event({ interactionId: 'command' })),
    first.send(codexTask({ deliveryId: 'task' })),
  ]);
  await first.kill();
  for (const answer of answers) {
    expect(answer).toMatchObject({ status: 202, body: { status: 'queued', duplicate: false } });
  }
  expect(await lookInside()).toEqual([
    { delivery_id: 'command', state: 'queued' },
    { delivery_id: 'lost', state: 'queued' },
    { delivery_id: 'task', state: 'queued' },
  ]);
  expect(created(cluster)).toHaveLength(1);

  [...deaf, hang].forEach((rule) => cluster.faults.requests.remove(rule));
  const second = await serve(cluster);
  await vi.waitFor(() => expect(created(cluster)).toHaveLength(3));
  await lost;
  await vi.waitFor(async () => {
    const replays = await Promise.all([
      second.send(event({ interactionId: 'command' })),
      second.send(codexTask({ deliveryId: 'task' })),
      second.send(event({ interactionId: 'lost' })),
    ]);
    for (const [index, replay] of replays.entries()) {
      const said = answers[index]?.body ?? { workflowName: created(cluster)[0] };
      expect(replay).toMatchObject({ status: 202, body: { ...said, status: 'submitted', duplicate: true } });
    }
  });

  expect(await second.stop()).toEqual({ code: 0, signal: null });
  expect(created(cluster)).toHaveLength(3);
});
