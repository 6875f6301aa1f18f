import { expect, test } from 'vitest';
import { loadYaml } from '../../test/support/config.ts';
import type { ListenerDoor } from './listeners.ts';

/** The listeners of a file's `server` and `discord.listen_address`, in short. */
async function listeners(server: string, discord = ''): Promise<[string, string, readonly ListenerDoor[]][]> {
  const own = discord === '' ? '' : `\ndiscord: { listen_address: '${discord}' }`;
  const { config } = await loadYaml(`server: { ${server} }${own}`);
  return config.server.listeners.map(({ key, host, port, doors }) => [key, `${host}:${port}`, doors]);
}

test('without addresses of their own, all doors share one listener', async () => {
  expect(await listeners("listen_address: ':80'")).toEqual([
    ['server.listen_address', ':80', ['intake', 'discord', 'api', 'metrics']],
  ]);
});

test('a door with an address has a listener of its own, and is on no other', async () => {
  const own = "listen_address: ':80', intake_address: ':81', api_address: '127.0.0.1:82', metrics_address: ':83'";
  expect(await listeners(own, ':84')).toEqual([
    ['server.listen_address', ':80', []],
    ['server.intake_address', ':81', ['intake']],
    ['discord.listen_address', ':84', ['discord']],
    ['server.api_address', '127.0.0.1:82', ['api']],
    ['server.metrics_address', ':83', ['metrics']],
  ]);
});

test('one address is one listener, however often it is given', async () => {
  expect(await listeners("listen_address: ':80', intake_address: ':81', api_address: ':81'", ':80')).toEqual([
    ['server.listen_address', ':80', ['discord', 'metrics']],
    ['server.intake_address', ':81', ['intake', 'api']],
  ]);
});

test('each port 0 has a listener of its own', async () => {
  expect(await listeners("listen_address: ':0', intake_address: ':0', api_address: ':0'")).toEqual([
    ['server.listen_address', ':0', ['discord', 'metrics']],
    ['server.intake_address', ':0', ['intake']],
    ['server.api_address', ':0', ['api']],
  ]);
});

test('reports an invalid address with its key', async () => {
  const yaml = "server: { intake_address: '81', api_address: ':a' }\ndiscord: { listen_address: 'h' }";
  const fault = (key: string): object => ({
    key,
    message: `${key} must be an address such as :8080 or 127.0.0.1:8080`,
  });
  await expect(loadYaml(yaml)).rejects.toMatchObject({
    faults: [fault('server.intake_address'), fault('server.api_address'), fault('discord.listen_address')],
  });
});
