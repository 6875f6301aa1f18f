import { once } from 'node:events';
import { createServer, type AddressInfo } from 'node:net';
import { expect, onTestFinished } from 'vitest';
import { DOORS, type ListenerDoor } from '../../src/config/listeners.ts';
import { freePort } from '../../scripts/services/daemon.ts';
import { startFacteur, type Facteur } from '../support/facteur.ts';
import { db, test } from '../support/ledger-fixture.ts';

const KEYS: Readonly<Record<ListenerDoor, string>> = {
  intake: 'FACTEUR_SERVER_INTAKE_ADDRESS',
  discord: 'FACTEUR_DISCORD_LISTEN_ADDRESS',
  api: 'FACTEUR_SERVER_API_ADDRESS',
  metrics: 'FACTEUR_SERVER_METRICS_ADDRESS',
};
const EACH_ITS_OWN = Object.fromEntries(DOORS.map((door) => [KEYS[door], '127.0.0.1:0']));
const CONTEXT = { scrape: async () => 'facteur_up 1\n' };

/** A request for each path that a door serves, by the door. */
const PATHS: readonly (readonly [ListenerDoor, string, number])[] = [
  ['intake', 'POST /events', 400],
  ['intake', 'POST /codex/tasks', 400],
  // No public key is configured.
  ['discord', 'POST /discord/interactions', 503],
  ['api', 'GET /v1/runs', 200],
  ['metrics', 'GET /metrics', 200],
];

async function ask(facteur: Facteur, at: ListenerDoor | 'main', request: string): Promise<number> {
  const [method = '', path = ''] = request.split(' ');
  const { port } = at === 'main' ? facteur.app.address : facteur.app.addressOf(at);
  return (await fetch(`http://127.0.0.1:${port}${path}`, { method })).status;
}

test.each(PATHS)('only the listener %s serves %s', async (door, request, status) => {
  const facteur = await startFacteur({ db, env: EACH_ITS_OWN, context: CONTEXT });
  for (const at of ['main', ...DOORS] as const) {
    expect([at, await ask(facteur, at, request)]).toEqual([at, at === door ? status : 404]);
  }
});

test('every listener answers the probes, and only the main one serves /', async () => {
  const facteur = await startFacteur({ db, env: EACH_ITS_OWN });
  const ports = new Set(DOORS.map((door) => facteur.app.addressOf(door).port));
  expect(ports.size).toBe(DOORS.length);
  for (const at of ['main', ...DOORS] as const) {
    const statuses = [await ask(facteur, at, 'GET /healthz'), await ask(facteur, at, 'GET /readyz')];
    expect([at, ...statuses, await ask(facteur, at, 'GET /')]).toEqual([at, 200, 200, at === 'main' ? 200 : 404]);
  }
});

test('all listeners keep serving until a probe of one of them has seen that facteur stops', async () => {
  const facteur = await startFacteur({ db, env: EACH_ITS_OWN });
  expect(await ask(facteur, 'main', 'GET /readyz')).toBe(200);
  const closed = facteur.app.close();
  for (const at of DOORS) {
    expect(await ask(facteur, at, 'GET /healthz')).toBe(200);
  }
  expect(await ask(facteur, 'main', 'GET /readyz')).toBe(503);
  await closed;
  for (const at of ['main', ...DOORS] as const) {
    await expect(ask(facteur, at, 'GET /healthz')).rejects.toThrow('fetch failed');
  }
});

test.each(DOORS)('an address of %s that is in use is one error with its key, and nothing listens', async (door) => {
  const server = createServer().listen(0, '127.0.0.1');
  onTestFinished(() => void server.close());
  await once(server, 'listening');
  const taken = `127.0.0.1:${(server.address() as AddressInfo).port}`;
  const main = `127.0.0.1:${await freePort()}`;
  const key = KEYS[door].replace('FACTEUR_', '').toLowerCase().replace('_', '.');
  await expect(
    startFacteur({ db, env: { FACTEUR_SERVER_LISTEN_ADDRESS: main, [KEYS[door]]: taken } }),
  ).rejects.toMatchObject({
    code: 'http.listen',
    message: expect.stringMatching(`^${key}: cannot listen on ${taken}: .*EADDRINUSE`),
  });
  await expect(fetch(`http://${main}/healthz`)).rejects.toThrow('fetch failed');
});
