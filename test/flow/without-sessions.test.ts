import { once } from 'node:events';
import { createServer, type AddressInfo } from 'node:net';
import { expect, onTestFinished } from 'vitest';
import { freePort } from '../../scripts/services/daemon.ts';
import { startFacteur } from '../support/facteur.ts';
import { created, expectRun } from '../support/ledger.ts';
import { codexTask, event } from '../support/messages.ts';
import { db, test } from '../support/ledger-fixture.ts';

// Invariant 5: the state of sessions never changes what happens to a run.

/** The port of a server that accepts connections and never sends anything. */
async function silentPort(): Promise<number> {
  const server = createServer().listen(0, '127.0.0.1');
  const sockets = new Set<{ destroy(): void }>();
  server.on('connection', (socket) => sockets.add(socket));
  await once(server, 'listening');
  onTestFinished(() => {
    sockets.forEach((socket) => socket.destroy());
    server.close();
  });
  return (server.address() as AddressInfo).port;
}

test.each([
  ['in process', async () => 'memory://'],
  ['gone', async () => `redis://127.0.0.1:${await freePort()}/0`],
  ['silent', async () => `redis://127.0.0.1:${await silentPort()}/0`],
])('sessions %s: facteur is ready, and runs are submitted at the usual speed', async (_how, url) => {
  const facteur = await startFacteur({ db, env: { FACTEUR_REDIS_URL: await url() } });
  expect(await (await fetch(`${facteur.url}/readyz`)).json()).toMatchObject({ status: 'ready' });
  const command = event({ interactionId: 'd1', user: { id: '42', username: 'ada' } });
  const answers = [await facteur.send(command), await facteur.send(codexTask({ deliveryId: 'd2' }))];
  // `submitted` within the two seconds that an answer may wait: nothing waited for a session.
  for (const { status, body } of answers) {
    expect({ status, said: body.status }).toEqual({ status: 202, said: 'submitted' });
  }
  expect((await facteur.send(command)).body).toEqual({ ...answers[0]?.body, duplicate: true });
  expect(created(facteur.cluster)).toEqual(answers.map(({ body }) => body.workflowName));
  expect(await expectRun(db, 'd1', 'submitted')).toMatchObject({ user_id: '42' });
});
