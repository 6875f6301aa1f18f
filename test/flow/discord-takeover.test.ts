import { join } from 'node:path';
import { afterEach, beforeEach, expect, test, vi } from 'vitest';
import { openPglite } from '../../src/clients/postgres/open-pglite.ts';
import { startSimulatedDiscord, type SimulatedDiscord } from '../../sandbox/discord/discord.ts';
import type { SimulatedCluster } from '../../sandbox/cluster/cluster.ts';
import { startCluster } from '../support/cluster.ts';
import { fillDirectory } from '../support/database.ts';
import { discordEnv } from '../support/discord-door.ts';
import { FacteurProcess, temporaryFolder, writeKubeconfig } from '../support/facteur-process.ts';
import { created, timePasses } from '../support/ledger.ts';

// A deferred answer is a promise: another process keeps it.

const processes: FacteurProcess[] = [];
let folder: ReturnType<typeof temporaryFolder>;
let discord: SimulatedDiscord;
beforeEach(async () => {
  folder = temporaryFolder();
  // This test does not measure how fast facteur answers.
  discord = await startSimulatedDiscord({ answerMs: 60_000 });
  await fillDirectory(join(folder.path, 'postgres'));
});
afterEach(async () => {
  await Promise.all(processes.splice(0).map((facteur) => facteur.kill()));
  await discord.close();
  folder.remove();
});

async function serve(cluster: SimulatedCluster): Promise<FacteurProcess> {
  const facteur = new FacteurProcess({
    env: {
      ...discordEnv(discord),
      FACTEUR_POSTGRES_DSN: `pglite:${join(folder.path, 'postgres')}`,
      FACTEUR_KUBECONFIG: writeKubeconfig(folder.path, cluster.kubeconfig()),
    },
  });
  processes.push(facteur);
  await facteur.ready();
  discord.people.pointAt(`${facteur.url}/discord/interactions`);
  return facteur;
}

/** Lets the claims of a dead facteur expire in its database. */
async function letClaimsRunOut(): Promise<void> {
  const db = await openPglite({ directory: join(folder.path, 'postgres'), pid: process.pid, onLost: () => undefined });
  await timePasses(db);
  await db.query({ text: `UPDATE facteur.messages SET due_at = now() WHERE due_at IS NOT NULL` });
  await db.query({ text: 'UPDATE facteur.leases SET expires_at = now()' });
  await db.close();
}

test('if a process is killed right after the deferred answer, another starts the run and reports its end', async () => {
  const cluster = await startCluster({ defaults: { outcome: 'succeed', pendingMs: 20, startMs: 20, stepMs: 20 } });
  const first = await serve(cluster);
  const hang = cluster.faults.requests.add({ match: { verb: 'create' }, action: { kind: 'hang' } });
  const exchange = await discord.people.command('plan', [{ name: 'objective', value: 'x' }]);
  await first.kill();
  expect(exchange).toMatchObject({ outcome: 'acknowledged', answer: { type: 5 } });
  expect(created(cluster)).toEqual([]);
  await letClaimsRunOut();

  cluster.faults.requests.remove(hang);
  await serve(cluster);
  // The interaction's token was in the memory of the first process, so the bot may have to post.
  const contents = () => discord.messages().flatMap(({ versions }) => versions.map(({ content }) => content));
  await vi.waitFor(() => expect(contents()).toContainEqual(expect.stringContaining('Succeeded')));
  expect(created(cluster)).toHaveLength(1);
  // A redelivery of the interaction, to the process that knows it only from the ledger.
  expect((await discord.people.again(exchange)).answer).toEqual({ type: 5 });
  expect(created(cluster)).toHaveLength(1);
});
